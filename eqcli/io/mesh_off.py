"""OFF, the format of Geomview, read without other packages: vertices with colours and normals, polygons."""

from __future__ import annotations

import re

from eqcli.errors import InputError
from eqcli.io.cloud_columns import colours_of
from eqcli.io.cloud_numbers import number_rows
from eqcli.io.cloud_source import Source
from eqcli.io.mesh_sampling import Mesh, cloud_of_mesh, triangles_of
from eqcli.io.point_cloud import PointCloud

HEADER = re.compile(r"(ST)?(C)?(N)?OFF\s*(.*)", re.IGNORECASE)


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """Points of the surface, or the vertices where there are no faces."""
    lines = [(line.partition("#")[0], number) for number, line in enumerate(source.text().split("\n"), 1)]
    lines = [(line, number) for line, number in lines if line.strip()]
    header = HEADER.fullmatch(lines[0][0].strip()) if lines else None
    if header is None:
        raise source.wrong("an OFF file begins with the word OFF", line=lines[0][1] if lines else 1)
    if "BINARY" in header[4].upper():
        raise source.wrong("binary OFF files are not read", line=lines[0][1], hint="Save it as text, or as PLY.")
    # Some files have the counts on the first line, even without a blank between.
    rows = [(header[4], lines[0][1]), *lines[1:]] if header[4].strip() else lines[1:]
    vertices, faces = _counts(rows, source)
    if len(rows) < 1 + vertices + faces:
        found = max(len(rows) - 1 - vertices, 0)
        message = f"{vertices} vertices and {faces} faces are announced; there are {min(len(rows) - 1, vertices)} "
        raise source.wrong(message + f"and {found}", line=rows[-1][1])
    cloud = _vertices(rows[1 : 1 + vertices], bool(header[3]), bool(header[2]), source)
    polygons = [_polygon(row, source) for row in rows[1 + vertices : 1 + vertices + faces]]
    return cloud_of_mesh(Mesh(cloud, triangles_of(polygons)), source, samples, seed)


def _counts(rows: list[tuple[str, int]], source: Source) -> tuple[int, int]:
    words = rows[0][0].split() if rows else []
    if len(words) not in (2, 3) or not all(word.isdigit() for word in words):
        line = rows[0][1] if rows else 1
        raise source.wrong("the numbers of vertices, faces and edges are expected after OFF", line=line)
    return int(words[0]), int(words[1])


def _vertices(rows: list[tuple[str, int]], normals: bool, coloured: bool, source: Source) -> PointCloud:
    if not rows:
        raise source.wrong("there are no vertices in this file", line=1)
    width = len(rows[0][0].split())
    if width < 3 + 3 * normals + 3 * coloured:
        raise source.wrong(f"a vertex of {width} numbers is too short", line=rows[0][1])
    try:
        values = number_rows([line for line, _ in rows], width, source, 0)
    except InputError as error:
        raise source.wrong(error.message, line=rows[error.where.line or 0][1]) from None
    at = 3 + 3 * normals
    return PointCloud(
        values[:, :3],
        values[:, 3:6] if normals else None,
        colours_of(values[:, at : at + 3]) if coloured else None,
        name=source.path.name,
        path=source.path,
        notes=source.notes,
    )


def _polygon(row: tuple[str, int], source: Source) -> list[int]:
    words = row[0].split()
    try:
        corners = [int(word) for word in words[1 : 1 + int(words[0])]]
        if len(corners) != int(words[0]):
            raise ValueError
    except ValueError:
        raise source.wrong(f"'{row[0].strip()[:60]}' is no face", line=row[1]) from None
    return corners
