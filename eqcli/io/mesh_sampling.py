"""Triangle meshes as clouds: points drawn uniformly by area, with the normals of the faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_source import Source
from eqcli.io.point_cloud import PointCloud


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    Attributes
    ----------
    vertices
        What the file says of its vertices; their normals are not used where faces are sampled.
    faces
        Indices of three vertices per triangle, `[F, 3]`, anticlockwise seen from outside.
    """

    vertices: PointCloud
    faces: NDArray[np.int64]


def cloud_of_mesh(mesh: Mesh, source: Source, samples: int, seed: int) -> PointCloud:
    """`samples` points of the surface; the vertices themselves where there are no faces or these have no area.

    Colours, intensities and fields of floats are interpolated, other fields are those of the nearest corner.
    Raises InputError for faces that name vertices that do not exist.
    """
    vertices, faces = mesh.vertices, mesh.faces
    if not len(faces):
        return vertices
    outside = (faces < 0) | (faces >= len(vertices))
    if outside.any():
        row = int(np.flatnonzero(outside.any(axis=1))[0])
        name = int(faces[row][outside[row]][0])
        raise source.wrong(f"triangle {row} names vertex {name} (from 0), and there are {len(vertices)} vertices")
    corners = vertices.points[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1) / 2
    area[~np.isfinite(area)] = 0
    if area.sum() == 0:
        vertices.notes.append(f"none of the {len(faces)} triangles has an area: the vertices were taken as points")
        return vertices
    face, shares = _drawn(area, samples, np.random.default_rng(seed))
    vertices.notes.append(f"a mesh of {len(faces)} triangles: {samples} points were drawn uniformly by area")
    return _sampled(vertices, faces[face], shares, cross[face] / (2 * area[face, None]))


def triangles_of(polygons: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Triangles `[F, 3]` of convex polygons, each as a fan of its first corner; fewer than 3 corners make none."""
    fans = [(p[0], p[i], p[i + 1]) for p in polygons for i in range(1, len(p) - 1)]
    return np.array(fans, dtype=np.int64).reshape(-1, 3)


def triangles_of_runs(lengths: NDArray[Any], corners: NDArray[Any]) -> NDArray[np.int64]:
    """As `triangles_of`, for polygons that stand one after the other: their numbers of corners, and all corners."""
    lengths = np.asarray(lengths, dtype=np.int64)
    corners = np.asarray(corners, dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    fans = np.maximum(lengths - 2, 0)
    polygon = np.repeat(np.arange(len(lengths)), fans)
    step = np.arange(len(polygon)) - np.repeat(np.cumsum(fans) - fans, fans)
    first = starts[polygon]
    return np.stack([corners[first], corners[first + step + 1], corners[first + step + 2]], axis=1)


def _drawn(
    area: NDArray[np.float64], samples: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Triangles `[S]`, each drawn as often as its area says, and barycentric coordinates `[S, 3]`, uniform in each."""
    ends = np.cumsum(area)
    face = np.searchsorted(ends, generator.random(samples) * ends[-1], side="right")
    # Rounding at the very end must not choose a triangle without area.
    face = np.minimum(face, np.flatnonzero(area)[-1])
    root = np.sqrt(generator.random(samples))
    along = generator.random(samples)
    return face, np.stack([1 - root, root * (1 - along), root * along], axis=1)


def _sampled(
    vertices: PointCloud, corners: NDArray[np.int64], shares: NDArray[np.float64], normals: NDArray[np.float64]
) -> PointCloud:
    nearest = corners[np.arange(len(corners)), shares.argmax(axis=1)]
    return PointCloud(
        np.einsum("sk,skd->sd", shares, vertices.points[corners]),
        normals,
        None if vertices.colours is None else np.round(_mixed(vertices.colours, corners, shares)).astype(np.uint8),
        None if vertices.intensity is None else _mixed(vertices.intensity, corners, shares),
        fields={
            name: _mixed(values, corners, shares) if values.dtype.kind == "f" else values[nearest]
            for name, values in vertices.fields.items()
        },
        units=vertices.units,
        viewpoint=vertices.viewpoint,
        name=vertices.name,
        path=vertices.path,
        notes=vertices.notes,
    )


def _mixed(values: NDArray[Any], corners: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[Any]:
    return np.einsum("sk,sk...->s...", shares, values[corners].astype(np.float64))
