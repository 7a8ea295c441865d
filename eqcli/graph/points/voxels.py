"""Thinning of clouds on a cubic grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.graph.points.checks import require_length, require_points
from eqcli.graph.points.principal import Frame

SHIFT = 0.6180339887498949
"""The origin lies this part of an edge inside its voxel: planes through the origin and coordinates that are
simple fractions of the edge are far from every wall, where rounding would decide."""

FRACTION = 2.0**40
"""Sums are taken over integers in units of an edge over this: they do not depend on the order of the points."""

MOST_CELLS = 2**62


@dataclass(frozen=True)
class Thinned:
    """One point per occupied voxel."""

    points: Tensor
    """`[M, 3]`, the mean of the points of each voxel; by cloud, then by voxel (x, y, z of the grid)."""
    member: Tensor
    """`[N]` int64: the voxel that each point is in."""
    counts: Tensor
    """`[M]` int64: how many points each voxel has."""
    batch: Tensor | None = None
    """`[M]` int64: the cloud of each voxel, where clouds were given."""


def voxel_means(
    points: Tensor, size: float, *, frame: Frame | Sequence[Frame] | None = None, batch: Tensor | None = None
) -> Thinned:
    """The mean of the points in each occupied voxel of a cubic grid with edge `size`.

    The order of the result and its bits do not depend on the order of the points, on CPU and CUDA. Not
    differentiable.

    Parameters
    ----------
    points
        `[N, 3]`, any unit of length.
    size
        Edge of the voxels, in the same unit.
    frame
        Where the grid lies; the coordinate axes when absent. In the :func:`principal_frame` of the cloud a
        turned cloud is cut in the same way, so that the result turns with it. One frame per cloud for a batch.
    batch
        `[N]` int64, the cloud of each point (0, 1, ... in ascending order); voxels are not shared by clouds.

    Raises
    ------
    InputError
        An empty cloud, points that are not finite, an edge that is not positive or far too small for the extent.
    """
    require_points(points)
    require_length(size, "the edge of the voxels")
    scaled = _local(points, frame, batch) / size + SHIFT
    if float(scaled.abs().max()) > 2.0**40:
        raise InputError(
            f"voxels of {size:g} are too small to number over the extent of the cloud", hint="Take larger ones."
        )
    cell = scaled.floor()
    keys = _keys(cell.long(), batch)
    occupied, member, counts = torch.unique(keys, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(occupied), 3, dtype=torch.int64, device=points.device)
    sums.index_add_(0, member, ((scaled - cell) * FRACTION).round().long())
    first = torch.empty(len(occupied), dtype=torch.int64, device=points.device)
    first[member] = torch.arange(len(points), device=points.device)
    local = (cell[first] + sums.double() / (FRACTION * counts.double().unsqueeze(1)) - SHIFT) * size
    clouds = None if batch is None else batch[first]
    return Thinned(_global(local, frame, clouds).to(points.dtype), member, counts, clouds)


def _local(points: Tensor, frame: Frame | Sequence[Frame] | None, batch: Tensor | None) -> Tensor:
    """Coordinates along the axes of the grid, float64."""
    x = points.double()
    if frame is None:
        return x
    if isinstance(frame, Frame):
        return frame.local(x)
    centres, axes = _stacked(frame, batch, x)
    return torch.einsum("ni,nij->nj", x - centres, axes)


def _global(local: Tensor, frame: Frame | Sequence[Frame] | None, batch: Tensor | None) -> Tensor:
    if frame is None:
        return local
    if isinstance(frame, Frame):
        return local @ frame.axes.to(local).T + frame.centre.to(local)
    centres, axes = _stacked(frame, batch, local)
    return torch.einsum("nj,nij->ni", local, axes) + centres


def _stacked(frames: Sequence[Frame], batch: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
    if batch is None:
        raise ValueError("several frames need the cloud of each point")
    centres = torch.stack([frame.centre for frame in frames]).to(like)
    axes = torch.stack([frame.axes for frame in frames]).to(like)
    return centres[batch], axes[batch]


def _keys(cell: Tensor, batch: Tensor | None) -> Tensor:
    """One integer per cell that sorts as (cloud, x, y, z)."""
    columns = [*cell.unbind(1)] if batch is None else [batch, *cell.unbind(1)]
    keys = columns[0] - columns[0].min()
    for column in columns[1:]:
        column = column - column.min()
        if (int(keys.max()) + 1) * (int(column.max()) + 1) > MOST_CELLS:
            # A far point spreads the numbers: only their ranks matter.
            keys = torch.unique(keys, return_inverse=True)[1]
            column = torch.unique(column, return_inverse=True)[1]
        keys = keys * (int(column.max()) + 1) + column
    return keys
