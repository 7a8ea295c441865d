"""Clouds that tests of registration make for themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def box(size: FloatArray, place: FloatArray, density: float, rng: np.random.Generator) -> FloatArray:
    """Points on the six faces of a box with a corner at `place`."""
    faces = []
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        count = int(density * size[others[0]] * size[others[1]])
        for side in (0.0, 1.0):
            unit = rng.random((count, 3))
            unit[:, axis] = side
            faces.append(place + unit * size)
    return np.concatenate(faces)


def scene(seed: int, *, points: int = 6000, boxes: int = 7, noise: float = 0.004, sample: int = 0) -> FloatArray:
    """A floor, two walls and boxes on the floor, some metres wide; another `sample` of the same `seed` differs."""
    shape, rng = np.random.default_rng(seed), np.random.default_rng([seed, sample])
    width = np.array([*shape.uniform(2.0, 3.5, 2), shape.uniform(1.2, 2.0)])
    parts = [
        (np.array([width[0], width[1], 0.0]), np.zeros(3)),
        (np.array([width[0], 0.0, width[2]]), np.zeros(3)),
        (np.array([0.0, width[1], width[2]]), np.zeros(3)),
    ]
    for _ in range(boxes):
        size = shape.uniform(0.25, 0.9, 3)
        parts.append((size, np.array([*(shape.random(2) * (width[:2] - size[:2])), 0.0])))
    area = sum(2 * (s[0] * s[1] + s[1] * s[2] + s[0] * s[2]) for s, _ in parts)
    cloud = np.concatenate([box(size, place, points / area, rng) for size, place in parts])
    return rng.permutation(cloud + rng.normal(size=cloud.shape) * noise)


def halves(first: FloatArray, second: FloatArray, overlap: float, seed: int) -> tuple[FloatArray, FloatArray]:
    """What lies on the lower side in one cloud and on the upper side in the other, along one random direction."""
    direction = np.random.default_rng(seed).normal(size=3)
    share = 1 / (2 - overlap)
    low, high = first @ direction, second @ direction
    return first[low <= np.quantile(low, share)], second[high >= np.quantile(high, 1 - share)]


def turn(seed: int, shift: float = 3.0) -> FloatArray:
    """A random rigid motion, `[4, 4]`."""
    rng = np.random.default_rng(seed)
    rotation, upper = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation = rotation * np.sign(np.diag(upper))
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.sign(np.linalg.det(rotation))
    matrix[:3, 3] = rng.normal(size=3) * shift
    return matrix


def moved(points: FloatArray, matrix: FloatArray) -> FloatArray:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def errors(found: FloatArray, truth: FloatArray, points: FloatArray) -> tuple[float, float]:
    """Degrees between two motions, and how far they take the middle of `points` apart."""
    relative = found[:3, :3].T @ truth[:3, :3]
    angle = float(np.degrees(2 * np.arcsin(min(1.0, np.linalg.norm(relative - np.eye(3)) / np.sqrt(8)))))
    middle = points.mean(axis=0, keepdims=True)
    return angle, float(np.linalg.norm(moved(middle, found) - moved(middle, truth)))
