"""Partial views of a complete surface, and pairs of them with a wanted overlap.

A family of pairs of views depends on one number from 0 to 1, along which their overlap falls; bisection finds the
number that the wanted overlap needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eqcli.data.pair_solids import Floats
from eqcli.data.pair_surfaces import Complete, Mask

Score = Callable[[Floats], Floats]

SMALLEST = 200
"""Voxels that a view has at least."""

STEPS = 10
"""Bisections of a family, at most."""


@dataclass(frozen=True)
class View:
    """A part of a surface.

    Attributes
    ----------
    sees
        Which of points [N, 3] with normals [N, 3] or None belong to it.
    pattern
        Makes of the points that belong to it those that the sensor gives; None where it gives them all.
    """

    sees: Callable[[Floats, Floats | None], Mask]
    pattern: Callable[[Floats, Floats | None], Floats] | None = None


Family = Callable[[float], tuple[View, View]]


def unit(vector: Floats) -> Floats:
    """The vector with length 1."""
    return np.asarray(vector / np.linalg.norm(vector))


def crops(complete: Complete, rng: np.random.Generator) -> Family:
    """Two connected parts about opposite places, roughly: what lies on one side of a plane, or in a ball."""
    points = complete.points[complete.coarse]
    direction = unit(rng.normal(size=3))
    scores = [_score(points, side * direction, rng) for side in (1.0, -1.0)]
    ordered = [np.sort(score(points)) for score in scores]
    share = np.exp(rng.uniform(-0.5, 0.0, 2))
    share /= share.max()
    trims = [_trim(points, rng) for _ in scores]

    def family(t: float) -> tuple[View, View]:
        limits = [o[int((len(o) - 1) * s * (1 - t))] for o, s in zip(ordered, share, strict=True)]
        first, second = (View(_part(*each)) for each in zip(scores, limits, trims, strict=True))
        return first, second

    return family


def _score(points: Floats, direction: Floats, rng: np.random.Generator) -> Score:
    """A function of place whose low values are towards `direction`, roughly."""
    towards = unit(direction + 0.5 * rng.normal(size=3))
    along = points @ towards
    if rng.random() < 0.5:
        return lambda p: np.asarray(-(p @ towards))
    outer = np.flatnonzero(along >= np.quantile(along, 0.85))
    centre = points[rng.choice(outer)]
    return lambda p: np.asarray(((p - centre) ** 2).sum(-1))


def _trim(points: Floats, rng: np.random.Generator) -> tuple[Floats, float]:
    """A plane that takes away up to a quarter besides, half of the time."""
    direction = unit(rng.normal(size=3))
    share = rng.uniform(0.75, 1.0) if rng.random() < 0.5 else 1.0
    return direction, float(np.quantile(points @ direction, share)) + 1e-6


def _part(score: Score, limit: float, trim: tuple[Floats, float]) -> Callable[[Floats, Floats | None], Mask]:
    return lambda points, normals: np.asarray((score(points) <= limit) & (points @ trim[0] <= trim[1]))


def bisected(complete: Complete, family: Family, wanted: float, tolerance: float = 0.01) -> tuple[View, View] | None:
    """The views of the family that overlap by `wanted`; None where none do, or where one of them is too small."""
    points = complete.points[complete.coarse]
    normals = None if complete.normals is None else complete.normals[complete.coarse]
    first: tuple[View, Mask] | None = None
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        views = family(middle)
        if first is None or first[0] is not views[0]:  # It is often the same all along.
            first = views[0], views[0].sees(points, normals)
        masks = first[1], views[1].sees(points, normals)
        overlap = complete.overlap(*masks)
        enough = min(mask.sum() for mask in masks) >= SMALLEST
        if enough and abs(overlap - wanted) <= tolerance:
            return views
        low, high = (middle, high) if enough and overlap > wanted else (low, middle)
    return None
