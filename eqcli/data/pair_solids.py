"""Solids with a closed surface to sample and a test of what lies inside: the pieces of procedural shapes.

A surface is a triangle mesh made from a parametrisation, fine enough that the normals of its faces serve as those of
the solid; the test of the inside is of the solid itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Inside = Callable[[Floats], NDArray[np.bool_]]

MARGIN = 0.99
"""Points are inside a solid that is shrunk by this: those on its own faceted surface are not."""


@dataclass(frozen=True)
class Solid:
    """A surface of triangles and the space it encloses.

    Attributes
    ----------
    vertices
        [V, 3].
    faces
        [F, 3], counterclockwise as seen from outside.
    inside
        Whether points [N, 3] lie inside, by a margin; None for a surface that encloses nothing.
    """

    vertices: Floats
    faces: Integers
    inside: Inside | None

    def moved(self, matrix: Floats, shift: Floats) -> Solid:
        """The solid under x -> matrix x + shift, for a matrix of positive determinant."""
        inverse, inside = np.linalg.inv(matrix), self.inside
        test: Inside | None = None if inside is None else lambda points: inside((points - shift) @ inverse.T)
        return Solid(self.vertices @ matrix.T + shift, self.faces, test)


def sampled(solids: Sequence[Solid], count: int, rng: np.random.Generator) -> tuple[Floats, Floats, float]:
    """Points [N, 3] evenly spread on the outer surface of a union, their normals, and the area of that surface.

    `count` points are put on the surfaces of all solids; those inside another one are dropped.
    """
    corners = [solid.vertices[solid.faces] for solid in solids]  # [faces, 3, 3] each
    owner = np.repeat(np.arange(len(solids)), [len(c) for c in corners])
    triangles = np.concatenate(corners)
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    doubled = np.linalg.norm(cross, axis=1)
    total = np.cumsum(doubled)
    chosen = np.searchsorted(total, rng.random(count) * total[-1], side="right").clip(max=len(total) - 1)
    chosen.sort()  # Neighbours in memory from here on.
    root, share = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    a, b, c = (triangles[chosen, k] for k in range(3))
    points = (1 - root) * a + root * (1 - share) * b + root * share * c
    kept = doubled[chosen] > 0
    for number, solid in enumerate(solids):
        if solid.inside is not None:
            low, high = solid.vertices.min(0), solid.vertices.max(0)
            near = kept & (owner[chosen] != number)
            for axis in range(3):
                near &= (points[:, axis] > low[axis]) & (points[:, axis] < high[axis])
            foreign = np.flatnonzero(near)
            kept[foreign] = ~solid.inside(points[foreign])
    chosen = chosen[kept]
    area = float(total[-1]) / 2 * float(kept.mean())
    return points[kept], cross[chosen] / doubled[chosen, None], area


def grid_faces(rows: int, columns: int) -> Integers:
    """Triangles of a grid of vertices, numbered row by row, whose last column meets the first one."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    following = (column + 1) % columns
    a, b = row * columns + column, row * columns + following
    c, d = (row + 1) * columns + following, (row + 1) * columns + column
    return np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))]).astype(np.int64)


def box(size: Sequence[float] = (2.0, 2.0, 2.0)) -> Solid:
    """A box about the origin with edges `size`."""
    half = np.asarray(size, dtype=np.float64) / 2
    vertices = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], dtype=np.int64)
    return Solid(vertices, faces, lambda points: np.asarray((np.abs(points) < half * MARGIN).all(-1)))


def rectangle(corner: Floats, first: Floats, second: Floats) -> Solid:
    """A flat piece of surface from `corner` along two edges; its normal is their cross product."""
    vertices = np.stack([corner, corner + first, corner + first + second, corner + second])
    return Solid(vertices, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int64), None)


def superquadric(first: float, second: float) -> Solid:
    """|x|^(2/second) + |y|^(2/second), to the power second/first, + |z|^(2/first) = 1 (Barr, 1981)."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 33)[:, None]
    longitude = np.linspace(0, 2 * np.pi, 64, endpoint=False)[None]

    def power(value: Floats, exponent: float) -> Floats:
        return np.sign(value) * np.abs(value) ** exponent

    ring = power(np.cos(latitude).clip(0), first)
    x, y = ring * power(np.cos(longitude), second), ring * power(np.sin(longitude), second)
    z = np.broadcast_to(power(np.sin(latitude), first), x.shape)

    def inside(points: Floats) -> NDArray[np.bool_]:
        p = np.abs(points / MARGIN)
        around = (p[:, 0] ** (2 / second) + p[:, 1] ** (2 / second)) ** (second / first)
        return np.asarray(around + p[:, 2] ** (2 / first) < 1)

    return Solid(np.stack([x, y, z], -1).reshape(-1, 3), grid_faces(33, 64), inside)


def revolved(radii: Floats, heights: Floats, columns: int = 64) -> Solid:
    """A body of revolution about z with the outline (radius, height), whose heights do not fall; both ends closed."""
    r, z = np.concatenate([[0.0], radii, [0.0]]), np.concatenate([heights[:1], heights, heights[-1:]])
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    vertices = np.stack([r[:, None] * np.cos(angle), r[:, None] * np.sin(angle), z[:, None] + 0 * angle], -1)

    def inside(points: Floats) -> NDArray[np.bool_]:
        height = points[:, 2]
        within = (height > heights[0] * MARGIN) & (height < heights[-1] * MARGIN)
        limit = np.interp(height, heights, radii) * MARGIN
        return np.asarray(within & (np.hypot(points[:, 0], points[:, 1]) < limit))

    return Solid(vertices.reshape(-1, 3), grid_faces(len(r), columns), inside)


def cylinder(top: float = 1.0) -> Solid:
    """Radius 1 below and `top` above, from z = -1 to 1; a cone for 0."""
    return revolved(np.array([1.0, top]), np.array([-1.0, 1.0]))


def torus(radius: float) -> Solid:
    """A ring of radius 1 about z, `radius` thick."""
    around = np.linspace(0, 2 * np.pi, 64, endpoint=False)[None]
    across = np.linspace(0, 2 * np.pi, 33)[:, None]
    ring = 1 + radius * np.cos(across)
    z = np.broadcast_to(radius * np.sin(across), (33, 64))
    vertices = np.stack([ring * np.cos(around), ring * np.sin(around), z], -1).reshape(-1, 3)

    def inside(points: Floats) -> NDArray[np.bool_]:
        off = np.hypot(points[:, 0], points[:, 1]) - 1
        return np.asarray(np.hypot(off, points[:, 2]) < radius * MARGIN)

    return Solid(vertices, grid_faces(33, 64), inside)


def blob(rng: np.random.Generator, waves: int = 12, roughness: float = 0.5) -> Solid:
    """A star-shaped body: the logarithm of its radius is a sum of plane waves over the sphere of directions."""
    frequency = rng.normal(size=(waves, 3)) * rng.uniform(1.0, 3.5)
    phase, weight = rng.uniform(0, 2 * np.pi, waves), rng.normal(size=waves) * roughness / np.sqrt(waves)

    def radius(directions: Floats) -> Floats:
        return np.asarray(np.exp(np.cos(directions @ frequency.T + phase) @ weight))

    latitude = np.linspace(-np.pi / 2, np.pi / 2, 41)[:, None]
    longitude = np.linspace(0, 2 * np.pi, 80, endpoint=False)[None]
    unit = [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude)]
    directions = np.stack([*unit, np.broadcast_to(np.sin(latitude), (41, 80))], -1).reshape(-1, 3)

    def inside(points: Floats) -> NDArray[np.bool_]:
        length = np.linalg.norm(points, axis=-1)
        return np.asarray(length < radius(points / np.maximum(length, 1e-12)[:, None]) * MARGIN)

    return Solid(directions * radius(directions)[:, None], grid_faces(41, 80), inside)


def tube(path: Floats, radii: Floats, columns: int = 24) -> Solid:
    """A tube along `path` [P, 3] with a radius at each of its points and closed ends."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.zeros_like(path)
    side[0] = np.cross(tangent[0], np.eye(3)[np.argmin(np.abs(tangent[0]))])
    for k in range(1, len(path)):  # Carried along the path, so that the tube does not twist.
        side[k] = side[k - 1] - (side[k - 1] @ tangent[k]) * tangent[k]
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(tangent, side)
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None, :, None]
    ring = np.cos(angle) * side[:, None] + np.sin(angle) * other[:, None]
    vertices = path[:, None] + radii[:, None, None] * ring
    ends = [np.repeat(path[k][None, None], columns, axis=1) for k in (0, -1)]
    tree = cKDTree(path)

    def inside(points: Floats) -> NDArray[np.bool_]:
        distance, index = tree.query(points)
        beyond = ((points - path[0]) @ tangent[0] < 0) & (index == 0)
        beyond |= ((points - path[-1]) @ tangent[-1] > 0) & (index == len(path) - 1)
        return np.asarray((distance < radii[index] * MARGIN) & ~beyond)

    closed = np.concatenate([ends[0], vertices, ends[1]]).reshape(-1, 3)
    return Solid(closed, grid_faces(len(path) + 2, columns), inside)
