"""Complete surfaces that pairs are cut from, in units of the voxel, with what makes cutting quick."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from eqcli.data.pair_shapes import AXIS_STEP, Shape
from eqcli.data.pair_solids import Floats
from eqcli.errors import InputError, Where

Mask = NDArray[np.bool_]

REACH = 2.0
"""Voxels within which a point of one cloud counts as seen in the other one too."""

PER_VOXEL = 1.45
"""Voxels that a random surface occupies for each square voxel of its area, as measured on procedural shapes."""

MIXED = 0.15
"""Share of normals that may point the wrong way, about as many as edges have in the way that is looked at them."""

OCCLUDERS = 24000
"""Points of a scene that hide others behind them."""


@dataclass(frozen=True)
class Complete:
    """A dense cloud in voxels about the origin, to cut views from.

    Attributes
    ----------
    points, normals
        [N, 3]; normals outward, or None where they are unknown.
    density
        Points per square voxel of surface.
    voxel
        Edge of the voxel in the unit of the shape or file.
    symmetries
        Rotations [S, 3, 3] about the origin, or None.
    stations
        [K, 3]: where a sensor may stand inside a scene; None for objects, which are seen from outside.
    coarse
        Indices [M] of one point per voxel, or so.
    near
        [M, M]: which coarse points are within the reach of each other.
    occluders
        [K, 3]: the points that hide others in depth maps.
    """

    kind: str
    points: Floats
    normals: Floats | None
    density: float
    voxel: float
    symmetries: Floats | None
    stations: Floats | None
    coarse: NDArray[np.int64]
    near: csr_array
    occluders: Floats

    def overlap(self, first: Mask, second: Mask) -> float:
        """The overlap of two sets [M] of coarse points: the mean of the shares of either that lie near the other."""
        if not first.any() or not second.any():
            return 0.0
        shares = [(self.near @ b.astype(np.float32))[a] > 0 for a, b in ((first, second), (second, first))]
        return float(shares[0].mean() + shares[1].mean()) / 2

    def firmness(self, first: Mask, second: Mask) -> float:
        """How well what two sets [M] of coarse points share determines a motion, from 0 to about 0.2.

        The least eigenvalue of the information that distances along the normals give of translation and rotation, per
        point, with the rotation in units of the region's radius: 0 for a plane, a ball or a cylinder, which slide along
        themselves. Of a shape with a continuous axis the next eigenvalue counts. 1 where normals are unknown.
        """
        shared = self.coarse[first & (self.near @ second.astype(np.float32) > 0)]
        if self.normals is None or len(shared) < 6:
            return float(self.normals is None)
        points, normals = self.points[shared].astype(np.float64), self.normals[shared].astype(np.float64)
        points = points - points.mean(0)
        radius = max(float(np.sqrt((points**2).sum(-1).mean())), 1e-9)
        rows = np.concatenate([normals, np.cross(points, normals) / radius], axis=1)
        free = 0 if self.symmetries is None or len(self.symmetries) < 360 // AXIS_STEP else 1
        return float(np.linalg.eigvalsh(rows.T @ rows / len(rows))[free])


def completed(
    kind: str,
    points: Floats,
    normals: Floats | None,
    *,
    density: float,
    voxel: float,
    symmetries: Floats | None = None,
    stations: Floats | None = None,
    rng: np.random.Generator,
) -> Complete:
    """What cutting needs of points in voxels."""
    points = points.astype(np.float32)
    normals = None if normals is None else normals.astype(np.float32)
    coarse = one_per_voxel(points)
    pairs = cKDTree(points[coarse]).query_pairs(REACH, output_type="ndarray")
    row = np.concatenate([pairs[:, 0], pairs[:, 1], np.arange(len(coarse))])
    column = np.concatenate([pairs[:, 1], pairs[:, 0], np.arange(len(coarse))])
    near = csr_array((np.ones(len(row), np.float32), (row, column)), shape=(len(coarse), len(coarse)))
    hiding = points[coarse] if stations is None else points[rng.random(len(points)) * len(points) < OCCLUDERS]
    return Complete(kind, points, normals, density, voxel, symmetries, stations, coarse, near, hiding)


def complete_shape(
    kind: str, shape: Shape, voxels: float, rng: np.random.Generator, stations: Floats | None = None
) -> Complete:
    """A procedural shape, scaled so that it occupies about `voxels` voxels; `stations` are in its own unit."""
    voxel = float(np.sqrt(PER_VOXEL * shape.area / voxels))
    # The centre of a symmetric shape is the origin, about which its rotations turn; others may be moved at will.
    centre = np.zeros(3) if shape.symmetries is not None else shape.points.mean(0)
    density = len(shape.points) * voxel**2 / shape.area
    placed = None if stations is None else (stations - centre) / voxel
    points = (shape.points - centre) / voxel
    return completed(
        kind, points, shape.normals, density=density, voxel=voxel, symmetries=shape.symmetries, stations=placed, rng=rng
    )


def complete_file(
    path: Path, voxels: float, density: float, rng: np.random.Generator, voxel: float | None = None
) -> Complete:
    """A cloud or mesh from a file, at the voxel given, or at one that makes it occupy about `voxels` voxels.

    Meshes are sampled with `density` points per square voxel.

    Raises InputError where the file cannot be read, or has no extent.
    """
    from eqcli.io.point_cloud import cleaned, read_cloud

    cloud = cleaned(read_cloud(path, samples=int(density * voxels / PER_VOXEL), seed=int(rng.integers(2**31))))
    points = cloud.points - cloud.points.mean(0)
    if not np.ptp(points, axis=0).max() > 0:
        raise InputError("all points of the cloud are one", Where(path))
    edge = voxel_for(points, voxels) if voxel is None else voxel
    points = points / edge
    area = len(one_per_voxel(points)) / PER_VOXEL
    normals = None if cloud.normals is None else outward(points, cloud.normals, rng)
    name = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return completed(f"file:{name}", points, normals, density=len(points) / area, voxel=edge, rng=rng)


def outward(points: Floats, normals: Floats, rng: np.random.Generator) -> Floats | None:
    """The normals with length 1 and pointing outward; None where they do not do so alike, as those of an open surface.

    Whatever is nearest to an eye far away must face it.
    """
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = normals / np.where(length > 0, length, 1.0)
    facing: list[NDArray[np.bool_]] = []
    turns = Rotation.random(5, random_state=rng).as_matrix()
    for turn in (*turns, *(np.diag([1.0, -1.0, -1.0]) @ turns)):  # From either side alike.
        x, y, depth = turn @ points.T
        cells = np.floor((x - x.min()) / REACH) * 1e6 + np.floor((y - y.min()) / REACH)
        order = np.lexsort((depth, cells))
        nearest = order[np.unique(cells[order], return_index=True)[1]]
        facing.append(normals[nearest] @ turn[2] < 0)
    share = float(np.concatenate(facing).mean())
    if min(share, 1 - share) > MIXED:
        return None
    return normals if share > 0.5 else -normals


def voxel_for(points: Floats, voxels: float) -> float:
    """The edge of a grid of which about `voxels` cells are occupied, or as many as there are points for."""
    edge = float(np.ptp(points, axis=0).max()) / np.sqrt(voxels)
    wanted = min(voxels, 0.6 * len(points))
    for _ in range(6):
        edge *= float(np.sqrt(len(one_per_voxel(points / edge)) / wanted))
    return edge


def one_per_voxel(points: Floats) -> NDArray[np.int64]:
    """The index of the first point in each cell of the unit grid."""
    cell = np.floor(points - points.min(0)).astype(np.int64)
    size = cell.max(0) + 1
    _, first = np.unique((cell[:, 0] * size[1] + cell[:, 1]) * size[2] + cell[:, 2], return_index=True)
    return np.asarray(first)


def measured_overlap(first: Floats, second: Floats, reach: float = REACH) -> float:
    """The mean of the shares of either cloud that has a point of the other within `reach`."""
    if not len(first) or not len(second):
        return 0.0
    shares = [
        np.isfinite(cKDTree(b).query(a, distance_upper_bound=reach)[0]).mean()
        for a, b in ((first, second), (second, first))
    ]
    return float(shares[0] + shares[1]) / 2
