"""How dense a cloud is, and the voxel that suits a pair of clouds."""

from __future__ import annotations

from math import log2

import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.graph.points.checks import require_points
from eqcli.graph.points.principal import principal_frame
from eqcli.graph.points.search import nearest
from eqcli.graph.points.voxels import voxel_means

SAMPLE = 5000
"""Points at which the spacing is measured."""

COUNTED = 60000
"""Points on which occupied voxels are counted."""

POINTS = 5000
"""Voxels that a cloud is to have."""

LEAST_SPACINGS = 1.5
"""A voxel is not below this number of spacings: there a grid no longer evens out the density."""

STEPS = 8
"""Sizes tried per doubling. Coarse, so that two copies of a pair almost always get the same one."""


def spacing(points: Tensor) -> float:
    """The median distance from a point to the nearest other, over an even sample of `points [N, 3]`.

    Duplicates do not count as neighbours of each other.

    Raises
    ------
    InputError
        Fewer than two distinct points, points that are not finite.
    """
    require_points(points)
    sample = points[:: max(1, len(points) // SAMPLE)]
    distance, _ = nearest(sample, points, 8)
    positive = _first_positive(distance)
    if len(positive) == 0:
        distinct = torch.unique(points, dim=0)
        if len(distinct) < 2:
            raise InputError("the cloud has a single distinct point: it has no spacing")
        positive = _first_positive(nearest(distinct[:: max(1, len(distinct) // SAMPLE)], distinct, 2)[0])
    return float(positive.median())


def _first_positive(distance: Tensor) -> Tensor:
    """The smallest positive distance of each row that has one."""
    shortest = torch.where(distance > 0, distance, torch.inf).min(1).values
    return shortest[torch.isfinite(shortest)]


def automatic_voxel(source: Tensor, target: Tensor) -> float:
    """The edge of the voxels to which both of two clouds are thinned.

    The larger of the two sizes at which each cloud has about 5 000 occupied voxels, but never less than 1.5
    spacings of the coarser cloud. Counting voxels asks neither for the extent, which far outliers stretch, nor for
    the density, which varies within a scan. It scales with the unit of the clouds and does not depend on how they lie.

    Raises
    ------
    InputError
        A cloud with fewer than two distinct points, points that are not finite.
    """
    least = LEAST_SPACINGS * max(spacing(source), spacing(target))
    return max(least, _size_for(source), _size_for(target))


def _size_for(points: Tensor) -> float:
    """The largest edge at which the cloud has at least :data:`POINTS` voxels, or as many as can be."""
    sample = points[:: max(1, len(points) // COUNTED)]
    frame = principal_frame(sample)
    extent = float((sample.double() - frame.centre).norm(dim=1).median())
    low, high = 0, STEPS * int(log2(1e6))
    while low < high:
        middle = (low + high) // 2
        if len(voxel_means(sample, 2 * extent * 2 ** (-middle / STEPS), frame=frame).points) >= POINTS:
            high = middle
        else:
            low = middle + 1
    return 2 * extent * 2.0 ** (-low / STEPS)
