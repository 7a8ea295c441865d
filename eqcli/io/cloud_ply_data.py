"""The elements of a PLY file: columns of numbers and lists, read many rows at once where rows are alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_numbers import number_rows
from eqcli.io.cloud_source import Source


@dataclass(frozen=True)
class Property:
    """A number per row, or a list where `length` is the type of its length."""

    name: str
    kind: str
    length: str | None = None


@dataclass
class Element:
    """An element of the header, e.g. `vertex`, with the number of its rows."""

    name: str
    count: int
    properties: list[Property] = field(default_factory=list)


@dataclass
class Rows:
    """The rows of an element: numbers by name, and lists as their lengths `[N]` and all their values in one row."""

    scalars: dict[str, NDArray[Any]] = field(default_factory=dict)
    lists: dict[str, tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=dict)


def read_elements(source: Source, elements: list[Element], order: str, byte: int, line: int) -> dict[str, Rows]:
    """The rows of each element, up to the faces; `order` is empty for ascii, else the byte order.

    Raises InputError where the file ends early or holds something else; names line or byte.
    """
    contents: dict[str, Rows] = {}
    lines = source.data[byte:].decode("latin-1").split("\n") if not order else []
    position = 0
    for element in elements:
        if not element.properties:
            contents[element.name] = Rows()
        elif not order:
            position, contents[element.name] = _from_text(source, element, lines, position, line)
        else:
            byte, contents[element.name] = _from_bytes(source, element, order, byte)
        if element.name == "face":
            break
    return contents


def _from_bytes(source: Source, element: Element, order: str, byte: int) -> tuple[int, Rows]:
    """The rows that begin at `byte` and the byte after them; rows like the first are the usual case."""
    lengths: dict[str, int] | None = _first_lengths(source.data, element, order, byte) if element.count else {}
    if lengths is None:
        raise _ends_early(source, element, 0, byte)
    kinds = _row_type(element, order, lengths)
    whole = element.count * kinds.itemsize
    if byte + whole <= len(source.data):
        rows = np.frombuffer(source.data, kinds, element.count, byte)
        if all((rows["n " + p.name] == lengths.get(p.name, 0)).all() for p in element.properties if p.length):
            return byte + whole, _rows_of(rows, element)
    if not any(p.length for p in element.properties):
        found = (len(source.data) - byte) // kinds.itemsize
        raise _ends_early(source, element, found, byte + found * kinds.itemsize)
    return _walk(source, element, order, byte)


def _first_lengths(data: bytes, element: Element, order: str, byte: int) -> dict[str, int] | None:
    """The length of each list of the first row; None where the file ends before."""
    lengths: dict[str, int] = {}
    for p in element.properties:
        if not p.length:
            byte += np.dtype(p.kind).itemsize
            continue
        if byte + np.dtype(p.length).itemsize > len(data):
            return None
        lengths[p.name] = max(int(np.frombuffer(data, order + p.length, 1, byte)[0]), 0)
        byte += np.dtype(p.length).itemsize + lengths[p.name] * np.dtype(p.kind).itemsize
    # A damaged length must not become a type of gigabytes.
    return lengths if byte <= len(data) else None


def _row_type(element: Element, order: str, lengths: dict[str, int]) -> np.dtype[Any]:
    parts: list[tuple[Any, ...]] = []
    for p in element.properties:
        if p.length:
            parts.append(("n " + p.name, order + p.length))
            parts.append((p.name, order + p.kind, (lengths.get(p.name, 0),)))
        else:
            parts.append((p.name, order + p.kind))
    return np.dtype(parts)


def _rows_of(rows: NDArray[Any], element: Element) -> Rows:
    read = Rows()
    for p in element.properties:
        values = _native(rows[p.name])
        if p.length:
            read.lists[p.name] = (_native(rows["n " + p.name]).astype(np.int64), values.reshape(-1))
        else:
            read.scalars[p.name] = values
    return read


def _native(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def _walk(source: Source, element: Element, order: str, byte: int) -> tuple[int, Rows]:
    """As `_from_bytes`, row by row: lists of several lengths."""
    scalars: dict[str, list[Any]] = {p.name: [] for p in element.properties if not p.length}
    lists: dict[str, list[NDArray[Any]]] = {p.name: [] for p in element.properties if p.length}
    sizes = {p.name: (np.dtype(order + p.kind), np.dtype(order + (p.length or p.kind))) for p in element.properties}
    for row in range(element.count):
        for p in element.properties:
            kind, length = sizes[p.name]
            try:
                count = 1
                if p.length:
                    count = int(np.frombuffer(source.data, length, 1, byte)[0])
                    byte += length.itemsize
                values = np.frombuffer(source.data, kind, max(count, 0), byte)
            except ValueError:
                raise _ends_early(source, element, row, byte) from None
            byte += len(values) * kind.itemsize
            (lists if p.length else scalars)[p.name].append(values)
    return byte, _gathered(scalars, lists, element)


def _gathered(scalars: dict[str, list[Any]], lists: dict[str, list[NDArray[Any]]], element: Element) -> Rows:
    read = Rows()
    for p in element.properties:
        if p.length:
            lengths = np.array([len(values) for values in lists[p.name]], dtype=np.int64)
            read.lists[p.name] = (lengths, np.concatenate([np.zeros(0, p.kind), *lists[p.name]]).astype(p.kind))
        else:
            read.scalars[p.name] = np.array(scalars[p.name], dtype=p.kind).reshape(-1)
    return read


def _from_text(source: Source, element: Element, lines: list[str], start: int, before: int) -> tuple[int, Rows]:
    """The rows that begin at `lines[start]`, which is line `before + start + 1` of the file, and the line after."""
    stop = start + element.count
    own = lines[start:stop]
    if any(not line or line.isspace() for line in own) or len(own) < element.count:
        own, stop = _without_blank(lines, start, element.count)
        if len(own) < element.count:
            message = f"the file ends after {len(own)} of the {element.count} rows of '{element.name}'"
            raise source.wrong(message, line=before + len(lines))
    if any(p.length for p in element.properties):
        return stop, _listed_text(source, element, own, before + start + 1)
    values = number_rows(own, len(element.properties), source, before + start + 1)
    return stop, Rows({p.name: _typed(values[:, i], p.kind) for i, p in enumerate(element.properties)})


def _without_blank(lines: list[str], start: int, count: int) -> tuple[list[str], int]:
    taken: list[str] = []
    at = start
    while at < len(lines) and len(taken) < count:
        if lines[at].strip():
            taken.append(lines[at])
        at += 1
    return taken, at


def _listed_text(source: Source, element: Element, lines: list[str], first: int) -> Rows:
    """Rows with lists. Faces may have more words than announced, which some programs write behind their corners."""
    alike = _alike_text(source, element, lines)
    if alike is not None:
        return alike
    scalars: dict[str, list[Any]] = {p.name: [] for p in element.properties if not p.length}
    lists: dict[str, list[NDArray[Any]]] = {p.name: [] for p in element.properties if p.length}
    longer = 0
    for row, line in enumerate(lines):
        words, at = line.split(), 0
        try:
            for p in element.properties:
                count = int(words[at]) if p.length else 1
                at += bool(p.length)
                if count < 0 or at + count > len(words):
                    raise ValueError
                values = np.array(words[at : at + count], dtype=np.float64)
                lists[p.name].append(values) if p.length else scalars[p.name].append(values[0])
                at += count
            if at != len(words) and element.name != "face":
                raise ValueError
            longer += at != len(words)
        except (ValueError, IndexError):
            raise source.wrong(f"this line is no row of '{element.name}'", line=first + row) from None
    if longer:
        source.notes.append(f"{longer} faces have more numbers than the header announces; their corners were taken")
    return _gathered(scalars, lists, element)


def _alike_text(source: Source, element: Element, lines: list[str]) -> Rows | None:
    """The rows when all lists are as long as those of the first, which is the usual case; None otherwise."""
    if not lines:
        return None
    words, at = lines[0].split(), 0
    lengths: dict[str, int] = {}
    for p in element.properties:
        if p.length:
            if at >= len(words) or not words[at].isdigit():
                return None
            lengths[p.name] = int(words[at])
        at += 1 + lengths.get(p.name, 0)
    try:
        values = np.loadtxt(lines, dtype=np.float64, comments=None, ndmin=2)
    except ValueError:
        return None
    if values.shape != (len(lines), at):
        return None
    read, at = Rows(), 0
    for p in element.properties:
        if not p.length:
            read.scalars[p.name] = _typed(values[:, at], p.kind)
        elif (values[:, at] != lengths[p.name]).any():
            return None
        else:
            corners = values[:, at + 1 : at + 1 + lengths[p.name]].reshape(-1)
            read.lists[p.name] = (values[:, at].astype(np.int64), _typed(corners, p.kind))
        at += 1 + lengths.get(p.name, 0)
    return read


def _typed(values: NDArray[np.float64], kind: str) -> NDArray[Any]:
    """In the type of the header; a number that it cannot hold, e.g. a fraction of an integer, keeps its own."""
    if kind.startswith("f"):
        return values.astype(kind) if kind == "f4" else values
    limits = np.iinfo(kind)
    with np.errstate(invalid="ignore"):
        held = (values == np.round(values)) & (values >= limits.min) & (values <= limits.max)
    return values.astype(kind) if held.all() else values


def _ends_early(source: Source, element: Element, row: int, byte: int) -> Exception:
    message = f"the file ends after {row} of the {element.count} rows of '{element.name}'"
    return source.wrong(message, byte=min(byte, len(source.data)))
