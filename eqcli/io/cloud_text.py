"""Points in text: XYZ, XYZN, TXT, ASC, CSV and PTS, with or without a header line.

Columns are separated by commas, semicolons, tabs or blanks; lines that begin with # are comments, and so are those
with // unless they name columns, as CloudCompare writes them. A line with one whole number before the points is
their count (PTS). Columns without names are told apart by their values; see `cloud_text_columns`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.io.cloud_columns import POSITIONS, cloud_of, columns_of, numeric
from eqcli.io.cloud_numbers import is_number, number_rows
from eqcli.io.cloud_source import Source
from eqcli.io.cloud_text_columns import named_by_values
from eqcli.io.point_cloud import PointCloud

COMMENTS = ("#", "//", "!", "%")
UNIT = re.compile(r"\s*[(\[]\s*(m|mm|cm|um|nm|Angstrom|in|ft)\s*[)\]]\s*$")
"""A unit behind the name of a column, `x [mm]`."""
STATED = re.compile(r"#\s*units\s+(\S+)\s*$")
"""A comment in which the writer keeps the unit."""


@dataclass
class Layout:
    """How the rows of a text stand in it: names of columns or None, their separator, and the index of the first."""

    names: list[str] | None
    delimiter: str | None
    start: int
    count: int | None = None
    units: str | None = None


def read(source: Source, samples: int, seed: int) -> PointCloud:
    """The cloud. Raises InputError that names the first line that is no row of numbers."""
    lines = source.text().splitlines() if "\r" in source.text()[:1000] else source.text().split("\n")
    layout = _layout(lines, source)
    rows, numbers = _rows(lines, layout)
    if not rows:
        raise source.wrong("there are no rows of numbers in this file", line=len(lines))
    if layout.count is not None and layout.count != len(rows):
        message = f"{layout.count} points are announced and {len(rows)} follow"
        raise source.wrong(message, line=numbers[-1])
    columns = _columns(rows, numbers, layout, source)
    return cloud_of(columns, source, units=layout.units)


def _columns(rows: list[str], numbers: list[int], layout: Layout, source: Source) -> dict[str, NDArray[Any]]:
    width = len(rows[0].split(layout.delimiter))
    if layout.names is not None and len(layout.names) != width:
        message = f"{len(layout.names)} columns are named and the first row has {width}"
        raise source.wrong(message, line=numbers[0])
    texts = _text_columns(rows[0], layout)
    if texts:
        return _mixed(rows, numbers, layout, texts, source)
    try:
        values = number_rows(rows, width, source, 0, layout.delimiter)
    except InputError as error:
        at = numbers[error.where.line or 0]
        raise source.wrong(error.message, line=at) from None
    if layout.names is not None:
        return {name: _whole(values[:, i]) for i, name in enumerate(layout.names)}
    return named_by_values(values, source)


def _text_columns(row: str, layout: Layout) -> list[int]:
    """Named columns that hold words, such as classes; without names every column must be numbers."""
    if layout.names is None:
        return []
    return [i for i, word in enumerate(row.split(layout.delimiter)) if not is_number(word)]


def _mixed(
    rows: list[str], numbers: list[int], layout: Layout, texts: list[int], source: Source
) -> dict[str, NDArray[Any]]:
    """As `_columns`, for rows with words in some columns."""
    names = layout.names or []
    split = [row.split(layout.delimiter) for row in rows]
    for words, number in zip(split, numbers, strict=True):
        if len(words) != len(names):
            raise source.wrong(f"{len(names)} columns were expected and there are {len(words)}", line=number)
    columns: dict[str, NDArray[Any]] = {}
    for i, name in enumerate(names):
        column = [words[i].strip() for words in split]
        bad = [] if i in texts else [at for at, word in enumerate(column) if not is_number(word)]
        if bad:
            raise source.wrong(f"'{column[bad[0]][:40]}' is no number", line=numbers[bad[0]])
        columns[name] = np.array(column) if i in texts else _whole(number_rows(column, 1, source, 0)[:, 0])
    return columns


def _rows(lines: list[str], layout: Layout) -> tuple[list[str], list[int]]:
    """The lines with points, without blank ones and comments, and their numbers from 1."""
    taken = [
        (line, i + 1)
        for i, line in enumerate(islice(lines, layout.start, None), layout.start)
        if line and not line.isspace() and not line.startswith(COMMENTS) and line != "\x1a"
    ]
    rows = [line for line, _ in taken]
    if layout.delimiter == ";" and rows and "," in rows[0] and "." not in rows[0]:
        rows = [row.replace(",", ".") for row in rows]
    if layout.delimiter in (",", ";") and rows and rows[0].rstrip().endswith(layout.delimiter):
        rows = [row.rstrip().removesuffix(layout.delimiter) for row in rows]
    return rows, [number for _, number in taken]


def _layout(lines: list[str], source: Source) -> Layout:
    """Looks at the lines up to the first row of numbers."""
    names: list[str] | None = None
    units, count = None, None
    for i, line in enumerate(lines):
        bare = line.strip()
        if not bare or bare == "\x1a":
            continue
        if stated := STATED.match(bare):
            units = stated[1]
            continue
        comment = bare.startswith(COMMENTS)
        words = _words(bare.lstrip("#/!% ") if comment else bare)
        if _is_header(words):
            names, units = _names(words, units)
        elif comment:
            continue
        elif len(words) == 1 and words[0].isdigit() and count is None:
            count = int(words[0])
        elif names is not None or is_number(words[0].replace(",", ".") if ";" in bare else words[0]):
            return Layout(names, _delimiter(bare), i, count, units)
        else:
            hint = "A header line names the columns: x y z, nx ny nz, red green blue, intensity."
            raise source.wrong(f"'{bare[:60]}' is neither a row of numbers nor names of columns", line=i + 1, hint=hint)
    raise source.wrong("there are no rows of numbers in this file", line=len(lines))


def _is_header(words: list[str]) -> bool:
    plain = {UNIT.sub("", word).strip("\"' ").lower() for word in words}
    return any(set(choice) <= plain for choice in POSITIONS)


def _names(words: list[str], units: str | None) -> tuple[list[str], str | None]:
    names: list[str] = []
    for word in words:
        name = UNIT.sub("", word).strip("\"' ") or f"column_{len(names) + 1}"
        if (found := UNIT.search(word)) and name.lower() == "x":
            units = found[1]
        while name in names:
            name += "_"
        names.append(name)
    return names, units


def _delimiter(line: str) -> str | None:
    return next((mark for mark in (";", "\t", ",") if mark in line.strip()), None) if not _blank(line) else None


def _blank(line: str) -> bool:
    """Whether blanks separate, so that tabs and blanks may be mixed."""
    return "," not in line and ";" not in line


def _words(line: str) -> list[str]:
    delimiter = _delimiter(line)
    words = [word.strip() for word in line.split(delimiter)]
    return words[:-1] if delimiter and len(words) > 1 and not words[-1] else words


def _whole(values: NDArray[np.float64]) -> NDArray[Any]:
    """As whole numbers where all are; positions become floats again."""
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(values).all() and (values == np.round(values)).all() and (np.abs(values) < 2**53).all()
    return values.astype(np.int64) if whole and len(values) else values


def write(cloud: PointCloud, path: Path) -> None:
    """Writes a row per point with 17 digits; a comment names the columns where there are more than x, y and z.

    `.xyzn` has x y z nx ny nz alone and raises InputError without normals.
    """
    columns = numeric(columns_of(cloud))
    if path.suffix.lower() == ".xyzn":
        if cloud.normals is None:
            raise InputError("this cloud has no normals, which .xyzn files need", Where(path), "Write .xyz instead.")
        columns = {name: columns[name] for name in ("x", "y", "z", "nx", "ny", "nz")}
    texts = [[repr(v) for v in column.tolist()] for column in columns.values()]
    with path.open("w", encoding="utf-8") as file:
        if cloud.units:
            file.write(f"# units {cloud.units}\n")
        if len(columns) > 3 and path.suffix.lower() != ".xyzn":
            file.write(f"# {' '.join(columns)}\n")
        file.writelines(" ".join(row) + "\n" for row in zip(*texts, strict=True))
