"""PLY, the Stanford polygon format: ascii and binary of both byte orders, with or without faces.

Elements other than vertices and faces are passed over, and so are lists of vertices. Source: Turk, The PLY
Polygon File Format (1994).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.io.cloud_columns import cloud_of, columns_of, numeric
from eqcli.io.cloud_numbers import is_number
from eqcli.io.cloud_ply_data import Element, Property, read_elements
from eqcli.io.cloud_source import Source
from eqcli.io.mesh_sampling import Mesh, cloud_of_mesh, triangles_of_runs
from eqcli.io.point_cloud import PointCloud

TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
}
TYPES |= {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
TYPES |= {"float32": "f4", "float64": "f8"}
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
WRITTEN = {"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint", "f4": "float"}
"""Types that are written as they are; all others are written as doubles."""
FACE_LISTS = ("vertex_indices", "vertex_index")
UNITS, VIEWPOINT = "eqcli units ", "eqcli viewpoint "
"""Comments in which the writer keeps what PLY has no place for."""


@dataclass
class Header:
    """What the header of a PLY file says; `end` is the byte and `lines` the number of lines after it."""

    order: str | None = None
    elements: list[Element] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    end: int = 0
    lines: int = 0


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """The vertices, or points of the faces where there are any."""
    header = read_header(source)
    contents = read_elements(source, header.elements, header.order or "", header.end, header.lines)
    if "vertex" not in contents:
        raise source.wrong("this PLY file has no element 'vertex'", line=header.lines)
    vertex = contents["vertex"]
    if vertex.lists:
        source.notes.append(f"lists of vertices were passed over: {', '.join(vertex.lists)}")
    stated = {c.split(" ", 2)[1]: c.split(" ", 2)[2] for c in header.comments if c.startswith((UNITS, VIEWPOINT))}
    words = stated.get("viewpoint", "").split()
    viewpoint = np.array([float(w) for w in words]) if len(words) == 7 and all(map(is_number, words)) else None
    cloud = cloud_of(vertex.scalars, source, units=stated.get("units"), viewpoint=viewpoint)
    lists = contents["face"].lists if "face" in contents else {}
    name = next((n for n in FACE_LISTS if n in lists), None)
    if name is None:
        return cloud
    return cloud_of_mesh(Mesh(cloud, triangles_of_runs(*lists[name])), source, samples, seed)


def read_header(source: Source) -> Header:
    """The header. Raises InputError that names the line of the first fault."""
    header, at = Header(), 0
    while True:
        stop = source.data.find(b"\n", at)
        header.lines += 1
        if stop < 0 or stop - at > 10_000:
            raise source.wrong("the header of this PLY file has no end_header", line=header.lines, byte=at)
        line = source.data[at:stop].decode("latin-1").strip()
        at = stop + 1
        if line == "end_header":
            break
        if header.lines > 1:
            _header_line(line, header, source)
        elif line != "ply":
            raise source.wrong("a PLY file begins with the word ply", line=1)
    if header.order is None:
        raise source.wrong("the header of this PLY file states no format", line=header.lines)
    header.end = at
    return header


def _header_line(line: str, header: Header, source: Source) -> None:
    words = line.split()
    match words:
        case [] | ["obj_info", *_]:
            return
        case ["comment", *_]:
            header.comments.append(line[8:].strip())
        case ["format", name, *_] if name in ORDERS:
            header.order = ORDERS[name]
        case ["element", name, count] if count.isascii() and count.isdigit():
            header.elements.append(Element(name, int(count)))
        case ["property", "list", length, kind, name] if header.elements and length in TYPES and kind in TYPES:
            header.elements[-1].properties.append(Property(name, TYPES[kind], TYPES[length]))
        case ["property", kind, name] if header.elements and kind in TYPES:
            header.elements[-1].properties.append(Property(name, TYPES[kind]))
        case _:
            raise source.wrong(f"'{line[:60]}' is no line of a PLY header", line=header.lines)
    names = [p.name for p in header.elements[-1].properties] if header.elements else []
    if len(set(names)) < len(names):
        raise source.wrong(f"the property '{names[-1][:40]}' is there twice", line=header.lines)


def write(cloud: PointCloud, path: Path) -> None:
    """Writes binary PLY of this machine's byte order; positions as doubles, everything else in its own type."""
    columns = numeric(columns_of(cloud))
    kinds = {name: values.dtype.str[1:] for name, values in columns.items()}
    types = [(name, "=" + (kind if kind in WRITTEN else "f8")) for name, kind in kinds.items()]
    rows = np.empty(len(cloud), dtype=np.dtype(types))
    for name, values in columns.items():
        rows[name] = values
    with path.open("wb") as file:
        file.write(_header_text(cloud, rows.dtype).encode())
        file.write(rows.tobytes())


def _header_text(cloud: PointCloud, kinds: np.dtype[Any]) -> str:
    lines = ["ply", f"format binary_{sys.byteorder}_endian 1.0"]
    if cloud.units:
        lines.append(f"comment {UNITS}{cloud.units}")
    if cloud.viewpoint is not None:
        lines.append(f"comment {VIEWPOINT}{' '.join(repr(float(v)) for v in cloud.viewpoint)}")
    lines.append(f"element vertex {len(cloud)}")
    for name in kinds.names or ():
        lines.append(f"property {WRITTEN.get(kinds[name].str[1:], 'double')} {name}")
    return "\n".join([*lines, "end_header", ""])
