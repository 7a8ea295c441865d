"""Hyper-parameters of the generators of molecules."""
