"""The frame of a whole cloud, which turns with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.graph.points.checks import require_points

DISTINCT = 1e-4
"""Relative gap of two variances, and skewness, below which rounding could decide an axis or its sign."""


@dataclass(frozen=True)
class Frame:
    """An origin and three orthonormal right-handed axes; local coordinates are `(x - centre) @ axes`."""

    centre: Tensor
    """`[3]`."""
    axes: Tensor
    """`[3, 3]`, the axes are the columns, longest first."""
    determined: bool
    """Whether the cloud fixes every axis and its sign; if not, the frame of a turned copy may be another."""

    def local(self, points: Tensor) -> Tensor:
        """The coordinates `[N, 3]` of points in this frame."""
        return (points - self.centre.to(points)) @ self.axes.to(points)


def principal_frame(points: Tensor) -> Frame:
    """The principal axes of `points [N, 3]` about their mean, float64.

    Each axis points to the side on which the cloud has the longer tail (positive third moment); the axis with
    the smallest skewness takes the sign that makes the frame right-handed. A rotation and shift of the cloud
    turns and shifts the frame with it.

    Raises
    ------
    InputError
        An empty cloud, points that are not finite.
    """
    require_points(points)
    x = points.double()
    centre = x.mean(0)
    x = x - centre
    variance, axes = torch.linalg.eigh(x.T @ x / len(x))
    variance, axes = variance.flip(0), axes.flip(1)
    along = x @ axes
    skewness = along.pow(3).mean(0) / variance.clamp(min=1e-300).pow(1.5)
    # An axis along which nothing extends has a skewness of rounding errors.
    flat = variance <= 1e-12 * variance[0].clamp(min=1e-300)
    skewness = torch.where(flat, torch.zeros_like(skewness), skewness)
    axes = _signed(axes, skewness)
    gaps = (variance[:2] - variance[1:]) / variance[0].clamp(min=1e-300)
    # Two signs are enough: the third follows from handedness.
    determined = bool((gaps > DISTINCT).all()) and bool(skewness.abs().sort().values[1] > DISTINCT)
    return Frame(centre, axes, determined)


def _signed(axes: Tensor, skewness: Tensor) -> Tensor:
    """The axes with signs by skewness, right-handed."""
    signs = torch.where(skewness < 0, -1.0, 1.0).to(axes)
    axes = axes * signs
    weakest = int(skewness.abs().argmin())
    handedness = torch.linalg.det(axes).sign()
    turn = torch.ones(3, dtype=axes.dtype, device=axes.device)
    turn[weakest] = handedness
    return axes * turn
