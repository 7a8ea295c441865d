"""PCD, the format of the Point Cloud Library: ascii, binary and binary_compressed; organised clouds too.

Colours stand packed in `rgb` or `rgba`. Points of an organised cloud that the sensor missed are NaN and stay, so
that nothing moves; `cleaned` leaves them out and says so. Source: PCD file format, version 0.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_columns import cloud_of, columns_of, numeric
from eqcli.io.cloud_lzf import LzfError, decompress
from eqcli.io.cloud_numbers import number_rows
from eqcli.io.cloud_source import Source
from eqcli.io.point_cloud import PointCloud

KEYS = ("VERSION", "FIELDS", "COLUMNS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS", "DATA")
KINDS = {"I": "i", "U": "u", "F": "f"}
PACKED = ("rgb", "rgba")
MOST_NUMBERS = 65536
"""Numbers that one field of a point may have; descriptors have hundreds."""


@dataclass(frozen=True)
class Header:
    """What the header says; `end` is the byte after it and `lines` the number of its lines."""

    names: list[str]
    kinds: list[str]
    counts: list[int]
    points: int
    width: int
    height: int
    viewpoint: NDArray[np.float64] | None
    data: str
    end: int
    lines: int

    def row(self) -> np.dtype[Any]:
        """The type of one point; the names are unique, as those of numpy must be."""
        parts = zip(self.names, self.kinds, self.counts, strict=True)
        return np.dtype([(f"{i} {n}", "<" + k, (c,)) for i, (n, k, c) in enumerate(parts)])


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """The cloud. Raises InputError that names line or byte where the file is damaged."""
    header = read_header(source)
    columns = {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}[header.data](source, header)
    if header.height > 1:
        source.notes.append(f"an organised cloud, {header.width} wide and {header.height} high")
    named: dict[str, NDArray[Any]] = {}
    for name, values in zip(header.names, columns, strict=True):
        if name == "_":
            continue
        if name.lower() in PACKED:
            named |= _unpacked(values[:, 0], name.lower() == "rgba")
        else:
            named[name] = values[:, 0] if values.shape[1] == 1 else values
    return cloud_of(named, source, viewpoint=header.viewpoint)


def read_header(source: Source) -> Header:
    """The header. Raises InputError that names the line of the first fault."""
    said: dict[str, tuple[list[str], int]] = {}
    at = number = 0
    while "DATA" not in said:
        stop = source.data.find(b"\n", at)
        number += 1
        if stop < 0 or stop - at > 100_000:
            raise source.wrong("the header of this PCD file has no line DATA", line=number, byte=at)
        words = source.data[at:stop].decode("latin-1").split()
        at = stop + 1
        if not words or words[0].startswith("#"):
            continue
        if words[0].upper() not in KEYS:
            raise source.wrong(f"'{words[0][:40]}' is no line of a PCD header", line=number)
        said["FIELDS" if words[0].upper() == "COLUMNS" else words[0].upper()] = (words[1:], number)
    return _header(source, said, at, number)


def _header(source: Source, said: dict[str, tuple[list[str], int]], end: int, lines: int) -> Header:
    for key in ("FIELDS", "SIZE", "TYPE"):
        if key not in said:
            raise source.wrong(f"the header of this PCD file has no line {key}", line=lines)
    names = said["FIELDS"][0]
    sizes = _integers(source, said, "SIZE", names)
    counts = _integers(source, said, "COUNT", names) if "COUNT" in said else [1] * len(names)
    types, line = said["TYPE"]
    kinds = [KINDS.get(t.upper(), "?") + str(s) for t, s in zip(types, sizes, strict=False)]
    good = {"i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"}
    if len(kinds) != len(names) or not names or not set(kinds) <= good:
        raise source.wrong("TYPE and SIZE do not give a number type for each field", line=line)
    width, height = (_integers(source, said, key, [key])[0] if key in said else 1 for key in ("WIDTH", "HEIGHT"))
    points = _integers(source, said, "POINTS", ["POINTS"])[0] if "POINTS" in said else width * height
    if points != width * height and "WIDTH" in said:
        message = f"POINTS is {points}, and WIDTH times HEIGHT is {width * height}"
        raise source.wrong(message, line=said["POINTS"][1])
    data, line = said["DATA"]
    if data[:1] not in (["ascii"], ["binary"], ["binary_compressed"]):
        raise source.wrong("DATA is none of ascii, binary and binary_compressed", line=line)
    return Header(names, kinds, counts, points, width, height, _viewpoint(source, said), data[0], end, lines)


def _integers(source: Source, said: dict[str, tuple[list[str], int]], key: str, names: list[str]) -> list[int]:
    words, line = said[key]
    if len(words) != len(names) or not all(w.isascii() and w.isdigit() for w in words):
        raise source.wrong(f"{key} needs {len(names)} whole numbers, and says '{' '.join(words)[:60]}'", line=line)
    if key == "COUNT" and any(not 0 < int(w) <= MOST_NUMBERS for w in words):
        raise source.wrong(f"COUNT is from 1 to {MOST_NUMBERS}, and says '{' '.join(words)[:60]}'", line=line)
    return [int(w) for w in words]


def _viewpoint(source: Source, said: dict[str, tuple[list[str], int]]) -> NDArray[np.float64] | None:
    if "VIEWPOINT" not in said:
        return None
    words, line = said["VIEWPOINT"]
    return number_rows([" ".join(words)], 7, source, line)[0]


def _ascii(source: Source, header: Header) -> list[NDArray[Any]]:
    lines = source.data[header.end :].decode("latin-1").split("\n")
    own = lines[: header.points]
    if len(own) < header.points or any(not line or line.isspace() for line in own):
        own = [line for line in lines if line.strip()][: header.points]
    if len(own) < header.points:
        message = f"the file ends after {len(own)} of the {header.points} points"
        raise source.wrong(message, line=header.lines + len(lines))
    values = number_rows(own, sum(header.counts), source, header.lines + 1)
    ends = np.cumsum(header.counts)
    parts = [values[:, e - c : e] for e, c in zip(ends, header.counts, strict=True)]
    kinds = zip(header.names, parts, header.kinds, strict=True)
    # Packed colours are told apart by their size below, and integers may hold NaN in text.
    return [p if n.lower() in PACKED or not np.isfinite(p).all() else p.astype(k) for n, p, k in kinds]


def _binary(source: Source, header: Header) -> list[NDArray[Any]]:
    kind = header.row()
    found = len(source.data) - header.end
    if found < header.points * kind.itemsize:
        message = f"the file ends after {found // kind.itemsize} of the {header.points} points"
        raise source.wrong(message, byte=len(source.data))
    rows = np.frombuffer(source.data, kind, header.points, header.end)
    return [np.ascontiguousarray(rows[name]) for name in kind.names or ()]


def _compressed(source: Source, header: Header) -> list[NDArray[Any]]:
    """As binary, compressed, with the fields one after the other instead of the points."""
    start = header.end + 8
    sizes = np.frombuffer(source.data[header.end : start].ljust(8, b"\0"), "<u4")
    kind = header.row()
    if int(sizes[1]) != header.points * kind.itemsize:
        message = f"{sizes[1]} bytes are announced for {header.points} points of {kind.itemsize} bytes"
        raise source.wrong(message, byte=header.end)
    packed = source.data[start : start + int(sizes[0])]
    if len(packed) < int(sizes[0]):
        raise source.wrong(f"the file ends after {len(packed)} of {sizes[0]} compressed bytes", byte=len(source.data))
    try:
        plain = decompress(packed, int(sizes[1]))
    except LzfError as error:
        raise source.wrong(f"the compressed points are damaged: {error}", byte=start + error.at) from error
    columns, at = [], 0
    for kind_of, count in zip(header.kinds, header.counts, strict=True):
        column = np.frombuffer(plain, "<" + kind_of, header.points * count, at).reshape(header.points, count)
        at += column.nbytes
        columns.append(column)
    return columns


def _unpacked(values: NDArray[Any], alpha: bool) -> dict[str, NDArray[Any]]:
    """Columns of colours from packed ones: bits of a float or an unsigned integer.

    Text gives either the integer or the float of the same bits, which is tiny; no integer above 0 is.
    """
    if values.dtype == np.float64:
        finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        tiny = np.abs(finite) < 1e-30
        bits = np.where(tiny, finite.astype(np.float32).view(np.uint32), np.where(tiny, 0, finite).astype(np.int64))
    else:
        bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    bits = bits.astype(np.uint32)
    shifts = {"red": 16, "green": 8, "blue": 0} | ({"alpha": 24} if alpha else {})
    return {name: (bits >> shift & 255).astype(np.uint8) for name, shift in shifts.items()}


def write(cloud: PointCloud, path: Path) -> None:
    """Writes binary PCD; colours packed, positions as float32 unless the cloud lies too far from the origin for it."""
    columns = numeric(columns_of(cloud))
    if cloud.colours is not None:
        red, green, blue = (cloud.colours[:, i].astype(np.uint32) for i in range(3))
        packed = (red << 16 | green << 8 | blue).view(np.float32)
        places = [("rgb", packed) if name == "red" else (name, v) for name, v in columns.items()]
        columns = {name: v for name, v in places if name not in ("green", "blue")}
    kind = "f4" if _fits_float32(cloud.points) else "f8"
    types = [(name, "<" + (kind if name in ("x", "y", "z") else v.dtype.str[1:])) for name, v in columns.items()]
    rows = np.empty(len(cloud), dtype=np.dtype(types))
    for name, values in columns.items():
        rows[name] = values
    viewpoint = [0, 0, 0, 1, 0, 0, 0] if cloud.viewpoint is None else [repr(float(v)) for v in cloud.viewpoint]
    kinds = [rows.dtype[name].str[1:] for name in columns]
    lines = ["# .PCD v0.7 - Point Cloud Data file format", "VERSION 0.7", f"FIELDS {' '.join(columns)}"]
    lines += [f"SIZE {' '.join(k[1:] for k in kinds)}", f"TYPE {' '.join(k[0].upper() for k in kinds)}"]
    lines += [f"COUNT {' '.join('1' for _ in kinds)}", f"WIDTH {len(cloud)}", "HEIGHT 1"]
    lines += [f"VIEWPOINT {' '.join(map(str, viewpoint))}", f"POINTS {len(cloud)}", "DATA binary", ""]
    with path.open("wb") as file:
        file.write("\n".join(lines).encode())
        file.write(rows.tobytes())


def _fits_float32(points: NDArray[np.float64]) -> bool:
    """Whether rounding to float32, which PCL's programs expect, moves no point by a millionth of the extent."""
    kept = points[np.isfinite(points).all(axis=1)]
    if not len(kept):
        return True
    return bool(np.abs(kept).max() * 2.0**-24 <= 1e-6 * np.ptp(kept, axis=0).max())
