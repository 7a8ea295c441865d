"""Docking: where and how a ligand binds to a receptor."""
