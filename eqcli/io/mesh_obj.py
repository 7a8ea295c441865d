"""Wavefront OBJ, read without other packages: vertices (also with colours), polygons; clouds of vertices alone."""

from __future__ import annotations

from eqcli.io.cloud_columns import colours_of
from eqcli.io.cloud_numbers import number_rows
from eqcli.io.cloud_source import Source
from eqcli.io.mesh_sampling import Mesh, cloud_of_mesh, triangles_of
from eqcli.io.point_cloud import PointCloud


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """Points of the surface, or the vertices where there are no faces; normals then only if there is one for each."""
    vertices: list[str] = []
    normals: list[str] = []
    polygons: list[list[int]] = []
    lines = source.text().replace("\\\n", " ").split("\n")
    places: list[int] = []
    for number, line in enumerate(lines, 1):
        word = line[:2]
        if word in ("v ", "v\t"):
            vertices.append(line[2:].partition("#")[0])
            places.append(number)
        elif word == "vn":
            normals.append(line[2:].partition("#")[0])
        elif word in ("f ", "f\t"):
            polygons.append(_polygon(line, len(vertices), source, number))
    if not vertices:
        raise source.wrong("there are no vertices (lines v x y z) in this file", line=len(lines))
    cloud = _vertices(vertices, places, source)
    if not polygons and len(normals) == len(vertices):
        cloud.normals = number_rows(normals, 3, source, 0)
    return cloud_of_mesh(Mesh(cloud, triangles_of(polygons)), source, samples, seed)


def _vertices(rows: list[str], places: list[int], source: Source) -> PointCloud:
    """Vertices of 3 numbers, 4 (a weight, left out) or 6 and 7 (a colour); the first row tells."""
    width = len(rows[0].split())
    if width not in (3, 4, 6, 7):
        raise source.wrong(f"a vertex of {width} numbers: 3, 4, 6 or 7 are expected", line=places[0])
    for row, place in zip(rows, places, strict=True):
        if len(row.split()) != width:
            raise source.wrong(f"a vertex of {len(row.split())} numbers, and the first has {width}", line=place)
    values = number_rows(rows, width, source, places[0])
    colours = colours_of(values[:, -3:]) if width >= 6 else None
    return PointCloud(values[:, :3], colours=colours, name=source.path.name, path=source.path, notes=source.notes)


def _polygon(line: str, vertices: int, source: Source, number: int) -> list[int]:
    """Corners from 0; negative ones count back from the last vertex so far. Corners may name later vertices."""
    try:
        corners = [int(word.partition("/")[0]) for word in line.partition("#")[0].split()[1:]]
    except ValueError:
        raise source.wrong(f"'{line.strip()[:60]}' is no face", line=number) from None
    if 0 in corners or any(c < -vertices for c in corners):
        raise source.wrong("a face names a vertex that does not exist; they count from 1", line=number)
    return [c - 1 if c > 0 else vertices + c for c in corners]
