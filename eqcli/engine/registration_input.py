"""What a registration is given: points of two clouds, fit to be registered."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqcli.errors import InputError, Where

LINE = 1e-3
"""Second principal extent over the first below which a cloud is a line."""

LEAST_POINTS = 4

SAMPLE = 1000
"""Points that are looked at for a few distinct ones before all are."""


class HasPoints(Protocol):
    """A cloud; nothing but its points is used."""

    points: NDArray[np.float64]


Cloud = HasPoints | NDArray[np.floating[Any]]


def points_of(cloud: Cloud, name: str) -> Tensor:
    """The finite points of a cloud, `[N, 3]` float64.

    Raises
    ------
    InputError
        No points `[N, 3]`, fewer than 4 distinct finite ones, all on one line; `name` says whose.
    """
    where = Where(getattr(cloud, "path", None))
    array = np.asarray(getattr(cloud, "points", cloud), dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"the {name} has the shape {array.shape}; points are [N, 3]", where)
    points = torch.from_numpy(np.ascontiguousarray(array[np.isfinite(array).all(axis=1)]))
    distinct = len(torch.unique(points[:: max(1, len(points) // SAMPLE)], dim=0)) if len(points) else 0
    if distinct < LEAST_POINTS:
        distinct = len(torch.unique(points, dim=0)) if len(points) else 0
    if distinct < LEAST_POINTS:
        found = f"the {name} has {distinct} distinct finite points; at least {LEAST_POINTS} are needed"
        raise InputError(found, where)
    centred = points - points.mean(0)
    variances = torch.linalg.eigvalsh(centred.T @ centred)
    if variances[1] <= LINE**2 * variances[2]:
        raise InputError(f"all points of the {name} lie on one line: a turn about it cannot be found", where)
    return points
