"""Hyper-parameters of the generators."""
