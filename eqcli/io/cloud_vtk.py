"""Legacy VTK files (.vtk), ascii and binary: the points of poly data and grids, with all arrays of points.

Polygons and strips make a mesh, which is sampled; lines, cells and arrays of cells are passed over. Source: The VTK
User's Guide, VTK File Formats.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_columns import cloud_of, columns_of, numeric, plain_name
from eqcli.io.cloud_source import Source
from eqcli.io.cloud_vtk_data import DATASETS, NAMES, Cursor, Parts, read_parts
from eqcli.io.mesh_sampling import Mesh, cloud_of_mesh, triangles_of_runs
from eqcli.io.point_cloud import PointCloud


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """The points, or points of the polygons where there are any. Raises InputError that names line or byte."""
    cursor = _after_header(source)
    parts = read_parts(cursor)
    if parts.points is None:
        raise source.wrong("there is no line POINTS in this file", line=source.line_at(len(source.data)))
    columns: dict[str, NDArray[Any]] = dict(zip("xyz", parts.points.T, strict=True))
    for name, values in parts.arrays.items():
        columns[_free(name, columns)] = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    cloud = cloud_of(columns, source, units=parts.units)
    if parts.normals is not None:
        cloud.normals = parts.normals.astype(np.float64)
    if parts.colours is not None:
        cloud.colours = parts.colours
    return cloud_of_mesh(Mesh(cloud, _triangles(parts)), source, samples, seed)


def _after_header(source: Source) -> Cursor:
    cursor = Cursor(source)
    if not cursor.line().startswith("# vtk DataFile"):
        raise source.wrong("a VTK file begins with '# vtk DataFile Version'", line=1)
    title = cursor.line()
    form = cursor.line().strip().upper()
    if form not in ("ASCII", "BINARY"):
        raise source.wrong(f"ASCII or BINARY is expected, not '{form[:40]}'", line=3)
    cursor.binary = form == "BINARY"
    words = cursor.words()
    if len(words) != 2 or words[0].upper() != "DATASET" or words[1].upper() not in DATASETS:
        message = f"DATASET with one of {', '.join(DATASETS)} is expected, not '{' '.join(words)[:60]}'"
        raise source.wrong(message, line=cursor.number())
    cursor.units = title.removeprefix("units ").strip() if title.startswith("units ") else None
    return cursor


def _free(name: str, taken: dict[str, NDArray[Any]]) -> str:
    while name in taken:
        name += "_"
    return name


def _triangles(parts: Parts) -> NDArray[np.int64]:
    found = [triangles_of_runs(*parts.polygons)] if parts.polygons else []
    for lengths, corners in [parts.strips] if parts.strips else []:
        for end, length in zip(np.cumsum(lengths), lengths, strict=True):
            strip = corners[end - length : end]
            # Every second triangle of a strip turns the other way.
            turns = [(i, i + 1, i + 2) if i % 2 == 0 else (i + 1, i, i + 2) for i in range(length - 2)]
            found.append(strip[np.array(turns, dtype=np.int64).reshape(-1, 3)])
    return np.concatenate(found).astype(np.int64) if found else np.zeros((0, 3), dtype=np.int64)


def write(cloud: PointCloud, path: Path) -> None:
    """Writes binary poly data with a vertex per point; positions as doubles, other arrays in their own types."""
    columns = numeric(columns_of(cloud))
    kept = ("x", "y", "z", *(("nx", "ny", "nz") if cloud.normals is not None else ()))
    kept += ("red", "green", "blue") if cloud.colours is not None else ()
    count = len(cloud)
    title = f"units {cloud.units}" if cloud.units else "points"
    with path.open("wb") as file:
        file.write(f"# vtk DataFile Version 3.0\n{title}\nBINARY\nDATASET POLYDATA\nPOINTS {count} double\n".encode())
        file.write(cloud.points.astype(">f8").tobytes())
        file.write(f"\nVERTICES {count} {2 * count}\n".encode())
        file.write(np.stack([np.ones(count), np.arange(count)], axis=1).astype(">i4").tobytes())
        file.write(f"\nPOINT_DATA {count}\n".encode())
        if cloud.normals is not None:
            file.write(b"NORMALS normals double\n" + cloud.normals.astype(">f8").tobytes() + b"\n")
        if cloud.colours is not None:
            file.write(b"COLOR_SCALARS colours 3\n" + cloud.colours.tobytes() + b"\n")
        for name, values in columns.items():
            if name not in kept:
                kind = values.dtype.str[1:]
                file.write(f"SCALARS {plain_name(name)} {NAMES[kind]} 1\nLOOKUP_TABLE default\n".encode())
                file.write(values.astype(">" + kind).tobytes() + b"\n")
