"""STL, binary and ascii, read without other packages: triangles, three vertices each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_numbers import number_rows
from eqcli.io.cloud_source import Source
from eqcli.io.mesh_sampling import Mesh, cloud_of_mesh
from eqcli.io.point_cloud import PointCloud

FACET = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (9,)), ("attribute", "<u2")])
HEADER = 84


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """Points of the surface. Binary files may begin with the word solid, too: their size tells."""
    count = int.from_bytes(source.data[80:HEADER], "little") if len(source.data) >= HEADER else -1
    if len(source.data) == HEADER + FACET.itemsize * count:
        points = np.frombuffer(source.data, FACET, count, HEADER)["corners"].astype(np.float64).reshape(-1, 3)
    elif source.data[:512].lstrip().lower().startswith(b"solid") and b"\0" not in source.data[:512]:
        points = _ascii(source)
    else:
        raise _damaged(source, count)
    if not len(points):
        raise source.wrong("there are no triangles in this file", byte=len(source.data))
    cloud = PointCloud(points, name=source.path.name, path=source.path, notes=source.notes)
    return cloud_of_mesh(Mesh(cloud, np.arange(len(points)).reshape(-1, 3)), source, samples, seed)


def _ascii(source: Source) -> NDArray[np.float64]:
    lines = source.text().split("\n")
    rows, places = [], []
    for number, line in enumerate(lines, 1):
        words = line.split(maxsplit=1)
        if words and words[0].lower() == "vertex":
            rows.append(words[1] if len(words) > 1 else "")
            places.append(number)
    if not any(line.strip().lower().startswith("endsolid") for line in lines[-20:]):
        raise source.wrong("the file ends before the line endsolid", line=len(lines))
    if len(rows) % 3:
        raise source.wrong(f"{len(rows)} vertices make no whole number of triangles", line=places[-1])
    values = np.empty((len(rows), 3))
    try:
        loaded = np.loadtxt(rows, dtype=np.float64, comments=None, ndmin=2) if rows else values
        if loaded.shape == values.shape:
            return loaded
    except ValueError:
        pass
    for i, (row, place) in enumerate(zip(rows, places, strict=True)):
        values[i] = number_rows([row], 3, source, place)[0]
    return values


def _damaged(source: Source, count: int) -> Exception:
    if count < 0:
        message = f"an STL file has at least {HEADER} bytes, and this one ends before"
        return source.wrong(message, byte=len(source.data))
    found = (len(source.data) - HEADER) / FACET.itemsize
    return source.wrong(f"{count} triangles are announced, and there are {found:.6g}", byte=len(source.data))
