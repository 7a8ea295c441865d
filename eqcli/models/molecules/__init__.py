"""Generators of molecules."""
