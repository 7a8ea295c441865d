"""Normals of a surface from the points on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.graph.points.orientation import away_from_centre, propagated, towards
from eqcli.graph.points.search import neighbour_blocks

SPREAD = 1e-10
"""Share of the largest variance that the second one must reach: below, the neighbours lie on a line."""

MOST = 64
"""Neighbours within a radius that are looked at, the nearest."""


@dataclass(frozen=True)
class Normals:
    """What the covariance of each neighbourhood tells."""

    vectors: Tensor
    """`[N, 3]` unit vectors; zero where the neighbours are too few or lie on a line."""
    eigenvalues: Tensor
    """`[N, 3]`, variances along the principal axes, largest first; squared unit of the points."""

    @property
    def curvature(self) -> Tensor:
        """`[N]`, the share of the smallest variance: 0 on a plane, 1/3 in a ball."""
        return self.eigenvalues[:, 2] / self._total(self.eigenvalues.sum(1))

    @property
    def linearity(self) -> Tensor:
        """`[N]`, (a - b) / a of the variances a >= b >= c: 1 on a line."""
        a, b, _ = self.eigenvalues.unbind(1)
        return (a - b) / self._total(a)

    @property
    def planarity(self) -> Tensor:
        """`[N]`, (b - c) / a of the variances a >= b >= c: 1 on an evenly covered plane."""
        a, b, c = self.eigenvalues.unbind(1)
        return (b - c) / self._total(a)

    @staticmethod
    def _total(value: Tensor) -> Tensor:
        return torch.where(value > 0, value, torch.ones_like(value))


def normals(
    points: Tensor,
    *,
    k: int = 20,
    radius: float | None = None,
    viewpoint: Tensor | None = None,
    orientation: str = "local",
    reach: float | None = None,
) -> Normals:
    """Normals of `points [N, 3]`: the axis of least variance among the neighbours.

    Parameters
    ----------
    k
        Neighbours, the point itself included. With a `radius`, not used.
    radius
        Take the points within this distance instead, at most the nearest 64.
    viewpoint
        `[3]`: where the points were seen from; normals point to its side. Without it `orientation` decides.
    orientation
        `local`: away from the mean of the points within `reach`; `propagated`: along a spanning tree;
        `none`: as the eigenvectors come.
    reach
        Radius for `local`; by default three times the median radius of the neighbourhoods.

    Raises
    ------
    InputError
        No neighbourhood that spans a plane: fewer than three distinct points, points on a line.
    """
    vectors, eigenvalues = torch.empty_like(points), torch.empty_like(points)
    extent = torch.empty_like(points[:, 0])
    for block in neighbour_blocks(points, MOST if radius is not None else k, radius=radius):
        value, axis = _principal(points, block.index, torch.isfinite(block.distance))
        spans = value[:, 1] > SPREAD * value[:, 2]
        vectors[block.rows] = (axis[:, :, 0] * spans.unsqueeze(1)).to(points.dtype)
        eigenvalues[block.rows] = value.flip(1).to(points.dtype)
        extent[block.rows] = block.distance.masked_fill(torch.isinf(block.distance), 0).amax(1)
    if not vectors.any():
        raise InputError("no point has a normal: the points are too few, too far apart or on a line")
    if viewpoint is not None:
        vectors = towards(points, vectors, viewpoint)
    elif orientation == "local":
        vectors = away_from_centre(points, vectors, reach or 3 * float(extent.median()))
    elif orientation == "propagated":
        vectors = propagated(points, vectors)
    return Normals(vectors, eigenvalues)


def _principal(points: Tensor, index: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Variances, smallest first, and axes (columns) of neighbourhoods, float64."""
    x = points[index].double()
    weight = present.to(x).unsqueeze(2)
    number = weight.sum(1, keepdim=True)
    # About the first point before the mean: coordinates may be large and the neighbourhood small.
    x = (x - x[:, :1]) * weight
    x = (x - x.sum(1, keepdim=True) / number) * weight
    value, axis = torch.linalg.eigh(x.mT @ x / number)
    return value.clamp(min=0), axis


def local_frames(points: Tensor, radius: float, *, limit: int = 256) -> Tensor:
    """A frame of axes for every point from the points around it, `[N, 3] -> [N, 3, 3]`; it turns with the cloud.

    The axes are the columns, those of the covariance about the point with weights radius - distance, largest
    variance first, so that the third is near the normal (Tombari, Salti, Di Stefano, ECCV 2010, with other signs).
    Two of them point to the side of the longer tail of the neighbourhood (weighted third moment); the one with the
    weakest tail makes the frame right-handed. Coordinates in the frame of point i are `(x - points[i]) @ frames[i]`.
    Where the neighbours are too few or symmetric the frame is orthonormal, but does not turn with the cloud.

    Parameters
    ----------
    radius
        Same unit as the points; of more than `limit` points within it the nearest count.

    Raises
    ------
    InputError
        An empty cloud, points that are not finite, a radius that is not positive.
    """
    frames = points.new_empty(len(points), 3, 3)
    for block in neighbour_blocks(points, limit, radius=radius, rows=2**14):
        offset = (points[block.index] - points[block.rows].unsqueeze(1)).double()
        weight = (radius - block.distance.double()).clamp(min=0).unsqueeze(2)
        value, axes = torch.linalg.eigh((offset * weight).mT @ offset)
        axes = axes.flip(2)
        tail = (weight * (offset @ axes).pow(3)).sum(1)
        scale = (value.flip(1) / weight.sum(1).clamp(min=1e-300)).clamp(min=1e-300).pow(1.5)
        frames[block.rows] = _right_handed(axes, tail / scale).to(points.dtype)
    return frames


def _right_handed(axes: Tensor, tail: Tensor) -> Tensor:
    """Axes `[B, 3, 3]` with signs by their tails `[B, 3]`, the weakest by handedness."""
    axes = axes * torch.where(tail < 0, -1.0, 1.0).to(axes).unsqueeze(1)
    turn = torch.ones_like(tail).scatter(
        1, tail.abs().argmin(1, keepdim=True), torch.linalg.det(axes).sign().unsqueeze(1)
    )
    return axes * turn.unsqueeze(1)
