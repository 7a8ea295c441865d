"""What every operation on clouds of points asks of its input."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor

from eqcli.errors import InputError


def require_points(points: Tensor, what: str = "the cloud") -> None:
    """Raises InputError unless `points` is `[N, 3]` with N > 0, floating and finite."""
    if points.dim() != 2 or points.shape[1] != 3:
        raise InputError(f"{what} has the shape {tuple(points.shape)}; points are an array of N rows of 3 numbers")
    if not points.is_floating_point():
        raise InputError(f"{what} holds {points.dtype}; coordinates are float32 or float64")
    if len(points) == 0:
        raise InputError(f"{what} has no points")
    if not torch.isfinite(points).all():
        bad = int((~torch.isfinite(points).all(1)).sum())
        raise InputError(f"{what} has {bad} points that are not finite", hint="Remove them first.")


def require_length(value: float, what: str) -> None:
    """Raises InputError unless `value` is a positive finite number."""
    if not (isfinite(value) and value > 0):
        raise InputError(f"{what} is {value}; it is a positive length")


def require_count(value: int, what: str) -> None:
    """Raises InputError unless `value` is at least 1."""
    if value < 1:
        raise InputError(f"{what} is {value}; it is at least 1")
