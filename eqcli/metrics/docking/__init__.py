"""Figures of docked poses: errors against the crystal, symmetry included, clashes, validity."""
