"""Clouds of points, as every reader of clouds, meshes and maps makes them and every writer takes them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where

FloatArray = NDArray[np.float64]
FEWEST_POINTS = 4
"""Distinct points that a cloud needs: three leave a mirror image open."""


@dataclass
class PointCloud:
    """Points in space with what a file says of each.

    Attributes
    ----------
    points
        `[N, 3]` float64, in `units`, as the file gives them (after scale and offset).
    normals
        `[N, 3]` float64, or None. Their lengths are those of the file.
    colours
        Red, green and blue, `[N, 3]` uint8, or None.
    intensity
        `[N]`, in the unit of the file, or None.
    weights
        `[N]` float64, not negative: the density of a map; None where all points count alike.
    fields
        Everything else per point, first axis N, kept through.
    units
        Unit of length ("m", "mm", "Angstrom", ...) where the file or its format states it, else None.
    viewpoint
        Sensor as PCD states it: position (3) and unit quaternion (w, x, y, z), `[7]`, or None.
    name
        How messages name it.
    path
        File it was read from.
    notes
        What a person should know of the reading: skipped properties, sampled faces, guessed columns.
    """

    points: FloatArray
    normals: FloatArray | None = None
    colours: NDArray[np.uint8] | None = None
    intensity: NDArray[Any] | None = None
    weights: FloatArray | None = None
    fields: dict[str, NDArray[Any]] = field(default_factory=dict)
    units: str | None = None
    viewpoint: FloatArray | None = None
    name: str = ""
    path: Path | None = None
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.points = np.ascontiguousarray(self.points, dtype=np.float64).reshape(-1, 3)
        if self.normals is not None:
            self.normals = np.ascontiguousarray(self.normals, dtype=np.float64).reshape(-1, 3)
        if self.colours is not None:
            self.colours = np.ascontiguousarray(self.colours, dtype=np.uint8).reshape(-1, 3)
        if self.weights is not None:
            self.weights = np.ascontiguousarray(self.weights, dtype=np.float64)
        if self.viewpoint is not None:
            self.viewpoint = np.asarray(self.viewpoint, dtype=np.float64).reshape(7)
        for name, values in self._columns().items():
            if len(values) != len(self.points):
                raise ValueError(f"{len(self.points)} points but {len(values)} values of {name}")

    def __len__(self) -> int:
        return len(self.points)

    def moved(self, matrix: NDArray[Any]) -> PointCloud:
        """The cloud under a motion `[4, 4]` (y = R x + t): points, normals and viewpoint turned, all else kept.

        Raises ValueError for another shape.
        """
        motion = np.asarray(matrix, dtype=np.float64)
        if motion.shape != (4, 4):
            raise ValueError(f"a motion is a matrix of 4 x 4, not of shape {motion.shape}")
        turn, shift = motion[:3, :3], motion[:3, 3]
        return replace(
            self,
            points=self.points @ turn.T + shift,
            normals=None if self.normals is None else self.normals @ turn.T,
            viewpoint=None if self.viewpoint is None else _moved_viewpoint(self.viewpoint, turn, shift),
            fields=dict(self.fields),
            notes=list(self.notes),
        )

    def taken(self, index: NDArray[Any] | slice) -> PointCloud:
        """The points of `index` (integers, a bool per point or a slice) with all that belongs to them."""
        return replace(
            self,
            points=self.points[index],
            normals=None if self.normals is None else self.normals[index],
            colours=None if self.colours is None else self.colours[index],
            intensity=None if self.intensity is None else self.intensity[index],
            weights=None if self.weights is None else self.weights[index],
            fields={name: values[index] for name, values in self.fields.items()},
            notes=list(self.notes),
        )

    def _columns(self) -> dict[str, NDArray[Any]]:
        known = {
            "normals": self.normals,
            "colours": self.colours,
            "intensity": self.intensity,
            "weights": self.weights,
        }
        return {name: values for name, values in known.items() if values is not None} | self.fields


def read_cloud(path: str | Path, *, samples: int = 50000, seed: int = 0) -> PointCloud:
    """A cloud from a file of any known format, by its ending and content, compressed (`.gz`) or not.

    Meshes are sampled: `samples` points, uniform by area, with the generator of `seed`. Points are not
    cleaned: see `cleaned`. Raises InputError for what cannot be read, MissingDependency where an optional
    package is needed.
    """
    from eqcli.io.cloud_reading import read

    return read(Path(path), samples, seed)


def write_cloud(cloud: PointCloud, path: str | Path) -> None:
    """Writes `cloud` in the format of the ending: .ply, .pcd, .xyz, .xyzn, .npy, .npz, .las, .laz, .vtk, .bin.

    The file appears when it is complete. Raises InputError for other endings, MissingDependency for LAS
    without its package.
    """
    from eqcli.io.cloud_writing import write

    write(cloud, Path(path))


def cleaned(cloud: PointCloud) -> PointCloud:
    """Without points that are not finite and without exact repetitions (the first stays), each with a note.

    Raises InputError when the cloud is empty or fewer than four distinct points remain.
    """
    where = Where(cloud.path or cloud.name or None)
    if not len(cloud):
        raise InputError("this cloud has no points", where)
    finite = np.asarray(np.isfinite(cloud.points).all(axis=1))
    kept = cloud if finite.all() else cloud.taken(finite)
    first = first_of_each(kept.points)
    repeated = len(kept) - len(first)
    if repeated:
        kept = kept.taken(first)
    if len(kept) < FEWEST_POINTS:
        found = f"{len(cloud)} points, {len(cloud) - int(finite.sum())} not finite, {repeated} repeated"
        raise InputError(f"only {len(kept)} distinct points, and {FEWEST_POINTS} are needed ({found})", where)
    notes = []
    if not finite.all():
        notes.append(f"points that are not finite were left out: {len(cloud) - int(finite.sum())}")
    if repeated:
        notes.append(f"exact repetitions of points were left out: {repeated}")
    return replace(kept, notes=[*cloud.notes, *notes])


def first_of_each(points: FloatArray) -> NDArray[np.int64]:
    """Indices, ascending, of the first of all points that are equal; -0 equals 0."""
    rows = np.ascontiguousarray(points + 0.0).view(np.int64)
    order = np.lexsort(rows.T)
    ordered = rows[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.sort(order[new])


def _moved_viewpoint(viewpoint: FloatArray, turn: FloatArray, shift: FloatArray) -> FloatArray:
    from scipy.spatial.transform import Rotation

    placed = viewpoint.copy()
    placed[:3] = turn @ viewpoint[:3] + shift
    if np.linalg.norm(viewpoint[3:]) > 0:
        sensor = Rotation.from_quat(viewpoint[[4, 5, 6, 3]])
        placed[[4, 5, 6, 3]] = (Rotation.from_matrix(turn) * sensor).as_quat(canonical=True)
    return placed
