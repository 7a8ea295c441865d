"""The blocks of a legacy VTK file, one after the other: points, cells and the arrays of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_numbers import number_rows
from eqcli.io.cloud_source import Source

KINDS = {
    "unsigned_char": "u1",
    "char": "i1",
    "unsigned_short": "u2",
    "short": "i2",
    "unsigned_int": "u4",
    "int": "i4",
    "unsigned_long": "u8",
    "long": "i8",
    "float": "f4",
    "double": "f8",
    "vtkidtype": "i4",
    "vtktypeint64": "i8",
}
NAMES = {kind: name for name, kind in reversed(KINDS.items())}
DATASETS = ("POLYDATA", "UNSTRUCTURED_GRID", "STRUCTURED_GRID")
CELLS = ("VERTICES", "LINES", "POLYGONS", "TRIANGLE_STRIPS", "CELLS")
WIDTHS = {"VECTORS": 3, "NORMALS": 3, "TENSORS": 9}
BLANK = b" \t\r\n\v\f"


class Cursor:
    """A place in the file that moves on as lines and numbers are taken."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.at = 0
        self.binary = False
        self.units: str | None = None

    def number(self) -> int:
        """Line of the last byte taken."""
        return self.source.line_at(max(self.at - 1, 0))

    def line(self) -> str:
        """The next line, empty at the end."""
        stop = self.source.data.find(b"\n", self.at)
        stop = len(self.source.data) if stop < 0 else stop
        text = self.source.data[self.at : stop].decode("latin-1")
        self.at = stop + 1
        return text.rstrip("\r")

    def words(self) -> list[str]:
        """The words of the next line that is not blank; none at the end."""
        while self.at < len(self.source.data):
            if words := self.line().split():
                return words
        return []

    def peek(self) -> list[str]:
        """As `words`, and stays."""
        at = self.at
        words = self.words()
        self.at = at
        return words

    def values(self, count: int, kind: str) -> NDArray[Any]:
        """The next `count` numbers. Raises InputError where the file ends before or holds something else."""
        return self._bytes(count, kind) if self.binary else self._text(count, kind)

    def _bytes(self, count: int, kind: str) -> NDArray[Any]:
        size = np.dtype(kind).itemsize
        found = max(len(self.source.data) - self.at, 0) // size
        if found < count:
            raise self.source.wrong(f"the file ends after {found} of {count} numbers", byte=len(self.source.data))
        values = np.frombuffer(self.source.data, ">" + kind, count, self.at)
        self.at += count * size
        return values.astype(kind)

    def _text(self, count: int, kind: str) -> NDArray[Any]:
        if not count:
            return np.zeros(0, dtype=kind)
        if count > len(self.source.data):
            message = f"{count} numbers are announced, more than this file has bytes"
            raise self.source.wrong(message, line=self.number())
        pieces = self.source.data[self.at :].split(None, count)
        words, rest = pieces[:count], len(pieces[count]) if len(pieces) > count else 0
        start, self.at = self.at, len(self.source.data) - rest
        try:
            values = np.array([float(w) for w in words]) if kind[0] == "f" else np.array([int(w) for w in words], kind)
        except (ValueError, OverflowError):
            raise self._bad(words, start) from None
        if len(words) < count:
            message = f"the file ends after {len(words)} of {count} numbers"
            raise self.source.wrong(message, line=self.source.line_at(len(self.source.data)))
        return values.astype(kind)

    def _bad(self, words: list[bytes], start: int) -> Exception:
        at = start
        for word in words:
            at = self.source.data.index(word, at)
            number_rows([word.decode("latin-1")], 1, self.source, self.source.line_at(at))
            at += len(word)
        message = "a number does not fit the type of its array"
        return self.source.wrong(message, line=self.source.line_at(start))


@dataclass
class Parts:
    """What a file has: points `[N, 3]`, cells as lengths and corners, arrays of points by name."""

    points: NDArray[Any] | None = None
    polygons: tuple[NDArray[Any], NDArray[Any]] | None = None
    strips: tuple[NDArray[Any], NDArray[Any]] | None = None
    normals: NDArray[Any] | None = None
    colours: NDArray[np.uint8] | None = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    units: str | None = None


def read_parts(cursor: Cursor) -> Parts:
    """All blocks up to the end. Raises InputError for words that begin none."""
    parts = Parts(units=cursor.units)
    of_points, count = False, 0
    while words := cursor.words():
        key = words[0].upper()
        if key == "POINTS":
            number = _count(cursor, words, 1)
            parts.points = cursor.values(3 * number, _kind(cursor, words, 2)).reshape(-1, 3)
        elif key in CELLS:
            _cells(cursor, words, key, parts)
        elif key == "CELL_TYPES":
            cursor.values(_count(cursor, words, 1), "i4")
        elif key in ("POINT_DATA", "CELL_DATA"):
            of_points, count = key == "POINT_DATA", _count(cursor, words, 1)
            if of_points and parts.points is not None and count != len(parts.points):
                message = f"POINT_DATA is of {count} points, and there are {len(parts.points)}"
                raise cursor.source.wrong(message, line=cursor.number())
        elif key == "METADATA":
            while cursor.at < len(cursor.source.data) and cursor.line().strip():
                pass
        elif key not in ("DIMENSIONS",):
            _array(cursor, words, key, parts if of_points else Parts(), count)
    return parts


def _count(cursor: Cursor, words: list[str], at: int) -> int:
    if len(words) <= at or not (words[at].isascii() and words[at].isdigit()):
        message = f"a whole number is expected in '{' '.join(words)[:60]}'"
        raise cursor.source.wrong(message, line=cursor.number())
    return int(words[at])


def _kind(cursor: Cursor, words: list[str], at: int) -> str:
    if len(words) <= at or words[at].lower() not in KINDS:
        message = f"a type of numbers is expected in '{' '.join(words)[:60]}'"
        raise cursor.source.wrong(message, line=cursor.number())
    return KINDS[words[at].lower()]


def _cells(cursor: Cursor, words: list[str], key: str, parts: Parts) -> None:
    """Cells as version 3 writes them, each behind its length, or as version 5, with the offsets first."""
    cells, size = _count(cursor, words, 1), _count(cursor, words, 2)
    if cursor.peek()[:1] == ["OFFSETS"]:
        offsets = cursor.values(cells, _kind(cursor, cursor.words(), 1)).astype(np.int64)
        corners = cursor.values(size, _kind(cursor, cursor.words(), 1))
        lengths = np.diff(offsets)
    else:
        lengths, corners = _runs(cursor, cursor.values(size, "i4"), cells)
    if len(lengths) and (lengths.min() < 0 or lengths.sum() != len(corners)):
        raise cursor.source.wrong(f"the lengths of {key} do not fit their number", line=cursor.number())
    if key == "POLYGONS":
        parts.polygons = (lengths, corners)
    elif key == "TRIANGLE_STRIPS":
        parts.strips = (lengths, corners)


def _runs(cursor: Cursor, values: NDArray[Any], cells: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lengths and corners of cells that each stand behind their length; cells alike are the usual case."""
    each = len(values) // cells if cells else 0
    if cells and each * cells == len(values) and (values[::each] == each - 1).all():
        return values[::each].astype(np.int64), values.reshape(cells, each)[:, 1:].reshape(-1)
    lengths, corners, at = [], [], 0
    for _ in range(cells):
        length = int(values[at]) if at < len(values) else -1
        if length < 0 or at + 1 + length > len(values):
            raise cursor.source.wrong("the lengths of these cells do not fit their number", line=cursor.number())
        lengths.append(length)
        corners.append(values[at + 1 : at + 1 + length])
        at += 1 + length
    return np.array(lengths, dtype=np.int64), np.concatenate([np.zeros(0, dtype=np.int64), *corners])


def _array(cursor: Cursor, words: list[str], key: str, parts: Parts, count: int) -> None:
    """One array of points or cells."""
    name = words[1] if len(words) > 1 else key.lower()
    if key == "SCALARS":
        width = _count(cursor, words, 3) if len(words) > 3 else 1
        if cursor.peek()[:1] == ["LOOKUP_TABLE"]:
            cursor.words()
        parts.arrays[name] = cursor.values(count * width, _kind(cursor, words, 2)).reshape(count, width)
    elif key == "COLOR_SCALARS":
        width = _count(cursor, words, 2)
        # Text has fractions of one here, binary files bytes.
        values = cursor.values(count * width, "u1" if cursor.binary else "f8").reshape(count, width)
        if width >= 3:
            parts.colours = np.round(values[:, :3] * (1 if cursor.binary else 255)).clip(0, 255).astype(np.uint8)
    elif key == "LOOKUP_TABLE":
        cursor.values(4 * _count(cursor, words, 2), "u1" if cursor.binary else "f8")
    elif key in WIDTHS:
        values = cursor.values(count * WIDTHS[key], _kind(cursor, words, 2)).reshape(count, WIDTHS[key])
        if key == "NORMALS":
            parts.normals = values
        else:
            parts.arrays[name] = values
    elif key == "TEXTURE_COORDINATES":
        width = _count(cursor, words, 2)
        parts.arrays[name] = cursor.values(count * width, _kind(cursor, words, 3)).reshape(count, width)
    elif key == "FIELD":
        _fields(cursor, _count(cursor, words, 2), parts, count)
    else:
        message = f"'{' '.join(words)[:60]}' begins no block of a VTK file"
        raise cursor.source.wrong(message, line=cursor.number())


def _fields(cursor: Cursor, arrays: int, parts: Parts, count: int) -> None:
    for _ in range(arrays):
        words = cursor.words()
        width, rows = _count(cursor, words, 1), _count(cursor, words, 2)
        values = cursor.values(width * rows, _kind(cursor, words, 3)).reshape(rows, width)
        if rows == count and count:
            parts.arrays[words[0]] = values
        if cursor.peek()[:1] == ["METADATA"]:
            cursor.words()
            while cursor.at < len(cursor.source.data) and cursor.line().strip():
                pass
