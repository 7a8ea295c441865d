"""Relaxation and dynamics of many structures at once, as pure functions over a batched state."""
