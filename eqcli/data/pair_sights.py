"""What sensors see of a complete surface: cameras around an object or within a room, and scanners along a street."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from eqcli.data.pair_solids import Floats
from eqcli.data.pair_surfaces import Complete, Mask
from eqcli.data.pair_views import Family, View, unit

Integers = NDArray[np.int64]

CELL = 2.0
"""Voxels: the cells of depth maps, where they are seen from about."""

NARROW = 0.05
"""Radians: the cells of depth maps within a scene."""

GRAZING = 0.1
"""Cosine of the angle between ray and normal below which a surface gives no point."""

SNAP = 4.0
"""Voxels that a point moves along its tangent plane, at most, to lie on a ring of the scanner."""


def sights(complete: Complete, rng: np.random.Generator) -> Family:
    """Two cameras outside an object, the second turned about it up to the far side."""
    radius = float(np.quantile(np.linalg.norm(complete.points[complete.coarse], axis=-1), 0.98))
    far, opening = radius * rng.uniform(1.8, 5.0, 2), rng.uniform(0.9, 1.6)
    start = Rotation.random(random_state=rng)
    axis = unit(np.append(rng.normal(size=2), 0.0))
    aims = rng.normal(size=(2, 3)) * 0.1 * radius

    def of(frame: Rotation, number: int) -> View:
        axes = frame.as_matrix()
        eye = aims[number] - far[number] * axes[:, 2]
        return camera(complete, eye, axes, opening * float(np.arcsin(radius / far[number])), CELL / far[number])

    first = of(start, 0)
    return lambda t: (first, of(start * Rotation.from_rotvec(axis * np.pi * t), 1))


def glances(complete: Complete, stations: Floats, rng: np.random.Generator) -> Family:
    """Two cameras within a scene, the second on the way from the place and direction of the first to others."""
    places = stations[rng.choice(len(stations), 2, replace=False)]
    between = Slerp([0.0, 1.0], Rotation.from_matrix(np.stack([_level(rng), _level(rng)])))
    opening = rng.uniform(0.55, 0.95)

    def of(t: float) -> View:
        return camera(complete, places[0] + t * (places[1] - places[0]), between(t).as_matrix(), opening, NARROW)

    first = of(0.0)
    return lambda t: (first, of(t))


def _level(rng: np.random.Generator) -> Floats:
    """Axes of a camera (columns: right, down, forward) held level in a scene whose third axis points up."""
    around, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(-0.7, 0.3)
    forward = np.array([np.cos(around) * np.cos(tilt), np.sin(around) * np.cos(tilt), np.sin(tilt)])
    right = unit(np.cross(forward, [0.0, 0.0, 1.0]))
    return np.stack([right, np.cross(forward, right), forward], -1)


def scans(complete: Complete, stations: Floats, rng: np.random.Generator) -> Family:
    """Two scanners on their way along a street, the second up to its far end."""
    first, second = stations[0], stations[-1]
    if rng.random() < 0.5:
        first, second = second, first
    rings = np.deg2rad(np.linspace(-rng.uniform(22, 32), rng.uniform(4, 16), int(rng.integers(32, 65))))
    step, reach = np.deg2rad(rng.uniform(0.3, 0.8)), np.linalg.norm(second - first) * rng.uniform(0.5, 0.9)

    def of(t: float) -> View:
        return scanner(complete, first + t * (second - first), rings, float(step), float(reach))

    start = of(0.0)
    return lambda t: (start, of(t))


def camera(complete: Complete, eye: Floats, axes: Floats, opening: float, cell: float) -> View:
    """What a camera at `eye` with its axes as columns, the third forward, sees within `opening` radians of that axis.

    A depth map of cells of `cell` (tangents of angles) tells what is hidden; a surface that faces away is not seen.
    """
    reach = float(np.tan(min(opening, 1.3)))
    width = int(np.ceil(2 * reach / cell)) + 1

    def mapped(points: Floats) -> tuple[Mask, Integers, Floats]:
        x, y, depth = axes.T.astype(points.dtype) @ (points - eye.astype(points.dtype)).T
        safe = np.maximum(depth, 1e-3)
        u, v = x / safe, y / safe
        ahead = (depth > 0.5) & (u * u + v * v < reach * reach)
        index = ((u[ahead] + reach) / cell).astype(np.int64) * width + ((v[ahead] + reach) / cell).astype(np.int64)
        return ahead, index, depth[ahead]

    nearest = _nearest(*mapped(complete.occluders)[1:], width * width)

    def sees(points: Floats, normals: Floats | None) -> Mask:
        ahead, index, depth = mapped(points)
        ahead[ahead] = _unhidden(
            points[ahead] - eye, None if normals is None else normals[ahead], depth, nearest[index], cell
        )
        return ahead

    return View(sees)


def _nearest(cells: Integers, depths: Floats, count: int) -> Floats:
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, cells, depths.astype(np.float64))
    return nearest


def _unhidden(rays: Floats, normals: Floats | None, depth: Floats, nearest: Floats, cell: float) -> Mask:
    """Which points are not behind the nearest one in their cell, by more than a sloping surface falls within it."""
    if normals is None:
        return np.asarray(depth < nearest + 1.5 + cell * depth)
    cosine = -(normals * rays).sum(-1) / np.linalg.norm(rays, axis=-1)
    fall = np.minimum(cell * depth / np.maximum(cosine, GRAZING), 6.0)
    return np.asarray((cosine > GRAZING) & (depth < nearest + 1.0 + fall))


def scanner(complete: Complete, eye: Floats, rings: Floats, step: float, reach: float) -> View:
    """What a scanner at `eye` sees up to `reach` voxels away, all round, between the lowest and the highest of `rings`.

    Its pattern moves each point along the tangent plane to the nearest ring (elevations in radians, rising), and keeps
    one in each `step` radians of azimuth: the density falls with the square of the distance.
    """
    width = int(2 * np.pi / NARROW) + 1

    def mapped(points: Floats) -> tuple[Floats, Floats, Floats]:
        ray = points - eye.astype(points.dtype)
        flat = np.hypot(ray[:, 0], ray[:, 1])
        return np.arctan2(ray[:, 1], ray[:, 0]) + np.pi, np.arctan2(ray[:, 2], flat), np.hypot(flat, ray[:, 2])

    def cells(around: Floats, elevation: Floats) -> Integers:
        return ((elevation + np.pi / 2) / NARROW).astype(np.int64) * width + (around / NARROW).astype(np.int64)

    around, elevation, distance = mapped(complete.occluders)
    nearest = _nearest(cells(around, elevation), distance, (int(np.pi / NARROW) + 1) * width)

    def sees(points: Floats, normals: Floats | None) -> Mask:
        around, elevation, distance = mapped(points)
        seen = (distance > 2.0) & (distance < reach) & (elevation > rings[0]) & (elevation < rings[-1])
        hiding = nearest[cells(around[seen], elevation[seen])]
        seen[seen] = _unhidden(
            points[seen] - eye, None if normals is None else normals[seen], distance[seen], hiding, NARROW
        )
        return seen

    def pattern(points: Floats, normals: Floats | None) -> Floats:
        around, elevation, _ = mapped(points)
        ring = np.searchsorted((rings[1:] + rings[:-1]) / 2, elevation)
        ray = np.stack([-np.cos(around), -np.sin(around), np.tan(rings[ring])], -1)
        normals = points * 0 if normals is None else normals
        cosine = (ray * normals).sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            there = eye + ray * (((points - eye) * normals).sum(-1) / cosine)[:, None]
        kept = np.flatnonzero(np.linalg.norm(there - points, axis=-1) < SNAP)  # Not where the quotient is none.
        key = ring[kept] * int(2 * np.pi / step + 2) + (around[kept] / step).astype(np.int64)
        return np.asarray(there[kept[np.unique(key, return_index=True)[1]]])

    return View(sees, pattern)
