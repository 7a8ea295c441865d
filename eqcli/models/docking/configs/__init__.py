"""Hyper-parameters of docking networks."""
