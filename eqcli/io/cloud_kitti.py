"""Raw scans of KITTI: little-endian float32 without a header, x, y, z and reflectance per point, in metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.io.cloud_source import Source
from eqcli.io.point_cloud import PointCloud

FARTHEST = 1e6
"""No coordinate in metres is greater; random bytes nearly always are."""


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """The cloud. Rows of three numbers are taken only where four do not fit, with a note.

    Raises InputError for another size and for numbers that are no coordinates.
    """
    size = len(source.data)
    if size % 16 == 0 and _believable(_rows(source, 4)):
        return _cloud(source, 4)
    if size % 12 == 0 and _believable(_rows(source, 3)):
        why = "its size is no multiple of 16 bytes" if size % 16 else "as four the numbers make no sense"
        source.notes.append(f"taken as rows of three numbers, x y z, since {why}")
        return _cloud(source, 3)
    hint = "A .bin file is taken as float32 x, y, z, reflectance (KITTI), or x, y, z."
    if size % 16 and size % 12:
        raise source.wrong(f"{size} bytes are no multiple of 16 or 12", byte=size - size % 16, hint=hint)
    width = 3 if size % 16 else 4
    first = int(np.flatnonzero(~_sane(_rows(source, width)))[0])
    raise source.wrong("these numbers are no coordinates in metres", byte=first * width * 4, hint=hint)


def _cloud(source: Source, width: int) -> PointCloud:
    rows = _rows(source, width)
    return PointCloud(
        rows[:, :3].astype(np.float64),
        intensity=rows[:, 3].copy() if width == 4 else None,
        units="m",
        name=source.path.name,
        path=source.path,
        notes=source.notes,
    )


def _rows(source: Source, width: int) -> NDArray[np.float32]:
    return np.frombuffer(source.data, "<f4").reshape(-1, width)


def _believable(rows: NDArray[np.float32]) -> bool:
    return bool(_sane(rows).all())


def _sane(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Rows of numbers such as a scanner gives; a row of NaN is a lost point, and no reflectance is negative."""
    with np.errstate(invalid="ignore"):
        near = (np.abs(rows[:, :3]) < FARTHEST) & ((np.abs(rows[:, :3]) > 1e-30) | (rows[:, :3] == 0))
        good = near.all(axis=1) | np.isnan(rows[:, :3]).any(axis=1)
        return good & ~(rows[:, 3:] < 0).any(axis=1) & ~(rows[:, 3:] > 65535).any(axis=1)


def write(cloud: PointCloud, path: Path) -> None:
    """Writes x, y, z and intensity (0 where there is none) as float32; the format has no place for anything else.

    Raises InputError for a cloud in other units than metres.
    """
    if cloud.units not in (None, "m"):
        message = f".bin files are in metres, and this cloud is in {cloud.units}"
        raise InputError(message, Where(path), "Write .ply instead, or convert it first.")
    intensity = np.zeros(len(cloud)) if cloud.intensity is None else cloud.intensity
    np.column_stack([cloud.points, intensity]).astype("<f4").tofile(path)
