"""Objects that the program makes itself, to train registration without any dataset.

Each is a complete closed surface: a union of simple solids, an animal-like body of blended limbs, or a symmetric object
with its group. They are random, not models of anything; what matters is that no two are alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from eqcli.data.pair_solids import (
    Floats,
    Solid,
    blob,
    box,
    cylinder,
    revolved,
    sampled,
    superquadric,
    torus,
    tube,
)

AXIS_STEP = 5
"""Degrees between the rotations that stand for a continuous axis of symmetry."""

SYMMETRIC = ("turned", "cylinder", "torus", "block", "prism", "cube", "wheel")


@dataclass(frozen=True)
class Shape:
    """Points [N, 3] evenly spread on a surface, outward normals [N, 3], the area, in any unit of length; rotations
    [S, 3, 3] about the origin that leave the shape as it is, the identity among them, or None where there is no other.
    """

    points: Floats
    normals: Floats
    area: float
    symmetries: Floats | None = None


def random_rotation(rng: np.random.Generator) -> Floats:
    """A uniform rotation [3, 3]."""
    return np.asarray(Rotation.random(random_state=rng).as_matrix(), dtype=np.float64)


def random_solid(rng: np.random.Generator) -> Solid:
    """One solid about the origin with a radius near 1, its proportions random."""
    kind = rng.choice(["quadric", "box", "cylinder", "cone", "torus", "tube", "blob", "turned"])
    stretch = np.exp(rng.uniform(-0.8, 0.2, 3))
    if kind == "quadric":
        solid = superquadric(float(rng.uniform(0.2, 2.0)), float(rng.uniform(0.2, 2.0)))
    elif kind == "box":
        solid = box()
    elif kind == "cylinder":
        solid = cylinder()
    elif kind == "cone":
        solid = cylinder(float(rng.choice([0.0, 0.0, rng.uniform(0.2, 0.8)])))
    elif kind == "torus":
        solid, stretch = torus(float(rng.uniform(0.12, 0.45))), np.ones(3) * rng.uniform(0.6, 1.0)
    elif kind == "tube":
        solid, stretch = random_tube(rng), np.ones(3)
    elif kind == "blob":
        solid = blob(rng, roughness=float(rng.uniform(0.2, 0.7)))
    else:
        solid = random_turned(rng)
    return solid.moved(np.diag(stretch), np.zeros(3))


def random_tube(rng: np.random.Generator) -> Solid:
    """A bent tube whose thickness varies along it."""
    knots = np.cumsum(rng.normal(size=(4, 3)) + np.array([0.8, 0, 0]), axis=0)
    path = CubicSpline(np.arange(4), knots - knots.mean(0))(np.linspace(0, 3, 48))
    path *= 1.2 / np.abs(path).max()
    ends = rng.uniform(0.08, 0.3, 4)
    return tube(path, np.asarray(np.interp(np.linspace(0, 3, 48), np.arange(4), ends)))


def random_turned(rng: np.random.Generator) -> Solid:
    """A body of revolution, smooth as a vase or stepped as a turned leg."""
    knots = int(rng.integers(3, 8))
    heights, radii = np.sort(rng.uniform(-1, 1, knots)), rng.uniform(0.2, 1.0, knots)
    heights[0], heights[-1] = -1.0, 1.0
    if rng.random() < 0.5:
        fine = np.linspace(-1, 1, 40)
        even = np.linspace(-1, 1, knots)
        return revolved(np.asarray(CubicSpline(even, radii)(fine)).clip(0.1, 1.2), fine)
    return revolved(np.repeat(radii, 2)[:-1], np.repeat(heights, 2)[1:])


def union(rng: np.random.Generator) -> list[Solid]:
    """Two to eight solids, each of which stands in the surface of an earlier one."""
    solids: list[Solid] = []
    for _ in range(int(rng.integers(2, 9))):
        size = float(np.exp(rng.uniform(-1.3, 0.0))) if solids else 1.0
        centre = np.zeros(3)
        if solids:
            vertices = solids[int(rng.integers(len(solids)))].vertices
            centre = vertices[int(rng.integers(len(vertices)))]
        solids.append(random_solid(rng).moved(size * random_rotation(rng), centre))
    return solids


def union_shape(rng: np.random.Generator, count: int) -> Shape:
    """The outer surface of a union, half of the time bent, twisted or tapered, and half of the time uneven."""
    points, normals, area = sampled(union(rng), count, rng)
    return _uneven(_deformed(Shape(points, normals, area), rng), rng)


def blob_shape(rng: np.random.Generator, count: int) -> Shape:
    """One star-shaped body, rough in places."""
    points, normals, area = sampled([blob(rng, int(rng.integers(8, 40)), float(rng.uniform(0.4, 1.0)))], count, rng)
    return _uneven(_deformed(Shape(points, normals, area), rng), rng)


def symmetric_shape(rng: np.random.Generator, count: int) -> Shape:
    """A symmetric object with its group of rotations."""
    kind = rng.choice(SYMMETRIC, p=(0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.35))
    around = 360 // AXIS_STEP
    if kind == "turned":
        solids, group = [random_turned(rng)], cyclic(around)
    elif kind == "cylinder":
        solids, group = [cylinder().moved(np.diag([1, 1, rng.uniform(0.3, 2.5)]), np.zeros(3))], dihedral(around)
    elif kind == "torus":
        solids, group = [torus(float(rng.uniform(0.2, 0.7)))], dihedral(around)
    elif kind == "block":
        solids, group = [box((1.0, float(rng.uniform(1.3, 1.7)), float(rng.uniform(2.1, 3.0))))], dihedral(2)
    elif kind == "prism":
        solids, group = (
            [box((1.0, 1.0, float(rng.choice([rng.uniform(0.3, 0.7), rng.uniform(1.5, 3.0)]))))],
            dihedral(4),
        )
    elif kind == "cube":
        solids, group = [box((1.0, 1.0, 1.0))], _octahedral()
    else:
        solids, group = _wheel(rng)
    points, normals, area = sampled(solids, count, rng)
    return Shape(points, normals, area, group)


def _wheel(rng: np.random.Generator) -> tuple[list[Solid], Floats]:
    """Equal solids about an axis on a body of revolution."""
    fold = int(rng.integers(2, 7))
    arm = random_solid(rng).moved(rng.uniform(0.3, 0.6) * random_rotation(rng), np.zeros(3))
    arm = arm.moved(np.eye(3), np.array([rng.uniform(0.7, 1.1), 0.0, rng.uniform(-0.5, 0.5)]))
    return [random_turned(rng), *(arm.moved(turn, np.zeros(3)) for turn in cyclic(fold))], cyclic(fold)


def _octahedral() -> Floats:
    """The 24 rotations of a cube, the identity first."""
    turns = np.asarray(Rotation.create_group("O").as_matrix())
    return turns[np.argsort(-np.trace(turns, axis1=1, axis2=2), kind="stable")]


def cyclic(order: int) -> Floats:
    """The rotations [order, 3, 3] about z by multiples of 360/order degrees."""
    angles = np.arange(order) * 2 * np.pi / order
    return np.asarray(Rotation.from_rotvec(angles[:, None] * np.array([0.0, 0.0, 1.0])).as_matrix())


def dihedral(order: int) -> Floats:
    """The rotations of `cyclic`, and each of them after a half turn about x."""
    turns = cyclic(order)
    return np.concatenate([turns, turns @ np.diag([1.0, -1.0, -1.0])])


def _deformed(shape: Shape, rng: np.random.Generator) -> Shape:
    """The shape under a smooth map of space, half of the time; thinned where the map stretches the surface."""
    if rng.random() < 0.5:
        return shape
    scale = np.abs(shape.points).max()
    bend, twist, taper = rng.uniform(-0.6, 0.6), rng.uniform(-1.2, 1.2), rng.uniform(-0.5, 0.5)
    turn = random_rotation(rng)

    def mapped(points: Floats) -> Floats:
        x, y, z = (points @ turn / scale).T
        width, angle = 1 + taper * z, twist * z
        x, y = width * (x * np.cos(angle) - y * np.sin(angle)), width * (x * np.sin(angle) + y * np.cos(angle))
        return np.stack([x + bend * z * z, y, z], -1) @ turn.T * scale

    step = 1e-4 * scale
    moved = mapped(shape.points)
    jacobian = np.stack([(mapped(shape.points + step * e) - moved) / step for e in np.eye(3)], -1)
    return _carried(shape, moved, jacobian, rng)


def _uneven(shape: Shape, rng: np.random.Generator) -> Shape:
    """The shape with waves along its normals, half of the time."""
    if rng.random() < 0.5:
        return shape
    size = np.ptp(shape.points, axis=0).max()
    frequency = rng.normal(size=(10, 3)) * 2 * np.pi / (size * rng.uniform(0.15, 0.5))
    phase, weight = rng.uniform(0, 2 * np.pi, 10), rng.normal(size=10) * size * rng.uniform(0.001, 0.006)
    argument = shape.points @ frequency.T + phase
    height, slope = np.sin(argument) @ weight, (np.cos(argument) * weight) @ frequency
    normals = shape.normals - (slope - (slope * shape.normals).sum(-1, keepdims=True) * shape.normals)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return Shape(shape.points + height[:, None] * shape.normals, normals, shape.area)


def _carried(shape: Shape, points: Floats, jacobian: Floats, rng: np.random.Generator) -> Shape:
    """Normals by the cofactors of the Jacobian, whose length is the growth of area there; rarer points kept alike."""
    a, b, c = (jacobian[:, k] for k in range(3))
    cofactors = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], 1)
    normals = (cofactors @ shape.normals[..., None])[..., 0]
    growth = np.linalg.norm(normals, axis=-1)
    highest = np.quantile(growth, 0.98)
    kept = rng.random(len(points)) * highest < growth
    area = shape.area * float(growth.mean())
    return Shape(points[kept], (normals / np.maximum(growth, 1e-12)[:, None])[kept], area)


OBJECTS: dict[str, tuple[Callable[[np.random.Generator, int], Shape], float]] = {
    "union": (union_shape, 0.5),
    "blob": (blob_shape, 0.15),
    "symmetric": (symmetric_shape, 0.1),
}
"""How objects are made, and how often each kind is drawn; animals stand in `eqcli.data.pair_bodies`."""
