"""Partial views of a complete surface, and pairs of them with a wanted overlap.

A view says of any points whether they belong to it. A family of pairs of views depends on one number from 0 to 1, along
which their overlap falls; bisection finds the number that the wanted overlap needs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from eqcli.data.pair_solids import Floats
from eqcli.data.pair_surfaces import Complete, Mask

Score = Callable[[Floats], Floats]
View = Callable[[Floats, Floats | None], Mask]
"""Which of points [N, 3] with normals [N, 3] or None are seen."""

Family = Callable[[float], tuple[View, View]]

CELL = 2.0
"""Voxels: the cells of depth maps, at the typical distance."""

SMALLEST = 0.06
"""Share of a complete surface that a view has at least."""


def unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))


def crops(complete: Complete, rng: np.random.Generator) -> Family:
    """Two connected parts about different places: what lies on one side of a plane, or in a ball."""
    points = complete.points[complete.coarse]
    direction = unit(rng.normal(size=3))
    scores = [_score(points, side * direction, rng) for side in (1.0, -1.0)]
    ordered = [np.sort(score(points)) for score in scores]
    share = np.exp(rng.uniform(-0.5, 0.0, 2))
    share /= share.max()
    trims = [_trim(points, rng) for _ in scores]

    def family(t: float) -> tuple[View, View]:
        limits = [o[int((len(o) - 1) * s * (1 - t))] for o, s in zip(ordered, share, strict=True)]
        views = [_part(*each) for each in zip(scores, limits, trims, strict=True)]
        return views[0], views[1]

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


def _part(score: Score, limit: float, trim: tuple[Floats, float]) -> View:
    return lambda points, normals: np.asarray((score(points) <= limit) & (points @ trim[0] <= trim[1]))


def sights(complete: Complete, rng: np.random.Generator) -> Family:
    """What two cameras see: from outside around an object, or from two places within a scene."""
    if complete.stations is not None:
        return _within(complete, complete.stations, rng)
    radius = float(np.quantile(np.linalg.norm(complete.points[complete.coarse], axis=-1), 0.98))
    distance, opening = radius * rng.uniform(1.8, 5.0, 2), rng.uniform(0.7, 1.2)
    start = Rotation.random(random_state=rng)
    axis = unit(np.cross([0.0, 0.0, 1.0], unit(rng.normal(size=3))))
    aims = rng.normal(size=(2, 3)) * 0.1 * radius

    def family(t: float) -> tuple[View, View]:
        turned = start * Rotation.from_rotvec(axis * np.pi * t)
        views = []
        for frame, far, aim in ((start, distance[0], aims[0]), (turned, distance[1], aims[1])):
            axes = frame.as_matrix()
            spread = max(1.1, opening * 1.3) * np.arcsin(min(radius / far, 1.0))
            views.append(camera(complete, aim - far * axes[:, 2], axes, spread, CELL / far))
        return views[0], views[1]

    return family


def _within(complete: Complete, stations: Floats, rng: np.random.Generator) -> Family:
    first, second = stations[rng.choice(len(stations), 2, replace=False)]
    frames = Rotation.from_matrix(np.stack([_upright(rng), _upright(rng)]))
    between = Slerp([0.0, 1.0], frames)
    opening, cell = rng.uniform(0.5, 0.9), 0.05

    def family(t: float) -> tuple[View, View]:
        views = [
            camera(complete, first + s * (second - first), between(s).as_matrix(), opening, cell) for s in (0.0, t)
        ]
        return views[0], views[1]

    return family


def _upright(rng: np.random.Generator) -> Floats:
    """Axes of a camera (columns: right, down, forward) in a scene whose third axis points up."""
    around, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(-0.7, 0.3)
    forward = np.array([np.cos(around) * np.cos(tilt), np.sin(around) * np.cos(tilt), np.sin(tilt)])
    right = unit(np.cross(forward, [0.0, 0.0, 1.0]))
    return np.stack([right, np.cross(forward, right), forward], -1)


def camera(complete: Complete, eye: Floats, axes: Floats, opening: float, cell: float) -> View:
    """What a camera at `eye` with its axes as columns, the third forward, sees within `opening` radians of that axis.

    A depth map of cells of `cell` (tangents of angles) tells what is hidden; a surface that faces away is not seen.
    """
    reach = float(np.tan(min(opening, 1.3)))
    width = int(np.ceil(2 * reach / cell)) + 1

    def mapped(points: Floats) -> tuple[Mask, Floats, Floats]:
        x, y, depth = ((points - eye) @ axes).T
        safe = np.maximum(depth, 1e-3)
        u, v = x / safe, y / safe
        ahead = (depth > 0.5) & (u * u + v * v < reach * reach)
        index = np.floor((u[ahead] + reach) / cell) * width + np.floor((v[ahead] + reach) / cell)
        return ahead, index.astype(np.int64), depth[ahead]

    _, cells, depths = mapped(complete.occluders)
    nearest = np.full(width * width, np.inf)
    np.minimum.at(nearest, cells, depths)

    def view(points: Floats, normals: Floats | None) -> Mask:
        seen, index, depth = mapped(points)
        allowance = np.full(len(depth), 1.5 + cell * depth.mean() if len(depth) else 0.0)
        facing = np.ones(len(depth), dtype=bool)
        if normals is not None:
            ray = points[seen] - eye
            cosine = -(normals[seen] * ray).sum(-1) / np.linalg.norm(ray, axis=-1)
            facing = cosine > 0.1
            allowance = 1.0 + np.minimum(cell * depth / np.maximum(cosine, 0.1), 6.0)
        visible = np.zeros(len(points), dtype=bool)
        visible[seen] = facing & (depth < nearest[index] + allowance)
        return visible

    return view


def bisected(complete: Complete, family: Family, wanted: float, tolerance: float = 0.01) -> float | None:
    """The number at which the family's views overlap by `wanted`; None where they do not, or where one is too small."""
    points = complete.points[complete.coarse]
    normals = None if complete.normals is None else complete.normals[complete.coarse]
    least = SMALLEST * len(points)

    def overlap(t: float) -> float | None:
        first, second = (view(points, normals) for view in family(t))
        return complete.overlap(first, second) if min(first.sum(), second.sum()) >= least else None

    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        value = overlap(middle)
        if value is not None and abs(value - wanted) <= tolerance:
            return middle
        if value is not None and value > wanted:
            low = middle
        else:
            high = middle
    return None
