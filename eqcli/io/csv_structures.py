"""Tables of structures: `id_prop.csv` beside structure files (CGCNN, ALIGNN), or with a column of CIFs (CDVAE).

`id_prop.csv` has no header; a row is the name of a file, with or without its ending, and one or more properties:
`target`, or `target_1`, `target_2` and so on. A table with a header and a column `cif` keeps its other columns
under their names. Properties have no known unit, and none is an energy label unless it is named.
"""

from __future__ import annotations

import csv
import gzip
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import IO, Any

from eqcli.errors import InputError, Where
from eqcli.io import cif
from eqcli.io.frame import Frame, Item, Items
from eqcli.io.layout import Layout
from eqcli.io.text import is_text, not_text, open_text

CIF_COLUMN = "cif"
ENDINGS = (".cif", ".vasp", ".poscar", ".xyz", ".extxyz", ".pdb")
"""Tried in this order where `id_prop.csv` gives a name without one."""
RESULTS = frozenset({"file", "frame", "formula", "n_atoms"})
"""Columns of the tables that the tool itself writes."""

FILES = Layout("table of structure files", remark="properties are kept as 'target'")
CIFS = Layout("table of CIFs", remark="properties are kept under the names of their columns")
_INTEGER = re.compile(r"[+-]?\d{1,17}", re.ASCII)


def read(path: Path) -> Items:
    """A structure per row; a row that cannot be read is an error, and the others go on."""
    with open_text(path) as file:
        rows = _rows(path, file)
        line, first = next(rows, (1, []))
        if not first:
            raise InputError("the table is empty", Where(path))
        if CIF_COLUMN in first:
            yield from _cifs(path, first, rows)
        elif set(first) >= RESULTS:
            raise InputError("this table of results holds no atoms: it can be written, not read", Where(path))
        elif len(first) < 2 or (found := _beside(path, first[0])) is None:
            raise _unknown(path, first)
        else:
            yield from _files(path, line, first, found, rows)


def _unknown(path: Path, first: list[str]) -> InputError:
    if first[0] == "mol_id":
        table = path.name.removesuffix(".csv")
        return InputError("this table of QM9 holds no atoms", Where(path), f"Name the file beside it, {table}.")
    return InputError(
        f"this is no table of structures: '{first[0][:40]}' is no structure file beside it, and there is no "
        f"column '{CIF_COLUMN}'",
        Where(path, line=1),
        "Expected rows of a file's name and its properties (id_prop.csv), or a header with the column cif.",
    )


def _rows(path: Path, file: IO[str]) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of each row that is not blank."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(file)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"this table is damaged: {error}", Where(path, line=line)) from error
        if not all(is_text(field) for field in row):
            raise not_text(Where(path, line=line))
        if any(field.strip() for field in row):
            yield line, row


def _cifs(path: Path, header: list[str], rows: Iterator[tuple[int, list[str]]]) -> Items:
    number = -1
    for number, (line, row) in enumerate(rows):
        where = Where(path, number, line)
        if len(row) != len(header):
            yield InputError(f"the row has {len(row)} fields and the header {len(header)}", where)
            continue
        values = dict(zip(header, row, strict=True))
        text = values.pop(CIF_COLUMN)
        item = _with(_first(path, cif.read_blocks(path, text)), where, _values(values), CIFS)
        yield replace(item, implicit_labels="none") if isinstance(item, Frame) else item
    if number < 0:
        raise InputError("the table has a header and no rows", Where(path))


def _files(path: Path, line: int, first: list[str], found: Path, rows: Iterator[tuple[int, list[str]]]) -> Items:
    from eqcli.io.reading import read_items

    yield _row_of_file(first, Where(path, 0, line), _first(found, read_items(found)))
    for number, (line, row) in enumerate(rows, 1):
        where = Where(path, number, line)
        beside = _beside(path, row[0])
        if beside is None:
            yield InputError(f"there is no structure file '{row[0][:60]}' beside the table", where)
        else:
            yield _row_of_file(row, where, _first(beside, read_items(beside)))


def _row_of_file(row: list[str], where: Where, item: Item) -> Item:
    count = len(row) - 1
    names = ["target"] if count == 1 else [f"target_{i}" for i in range(1, count + 1)]
    return _with(item, where, {"name": row[0].strip()} | _values(dict(zip(names, row[1:], strict=True))), FILES)


def _beside(path: Path, name: str) -> Path | None:
    """The structure file of that name in the folder of the table; None for names that lead out of it."""
    name = name.strip()
    if not name or len(name) > 200 or PurePath(name).name != name:
        return None
    candidates = [path.with_name(name), *(path.with_name(f"{name}{ending}") for ending in ENDINGS)]
    return next((candidate for candidate in candidates if _is_structure(candidate)), None)


def _is_structure(path: Path) -> bool:
    from eqcli.io.formats import FORMATS, Format, format_of

    try:
        return path.is_file() and format_of(path) is not Format.CSV and FORMATS[format_of(path)].reads
    except InputError:
        return False


def _first(path: Path, items: Items) -> Item:
    """The first of the items, or an error."""
    try:
        return next(items, None) or InputError("there is no structure", Where(path))
    except InputError as error:
        return error


def _with(item: Item, where: Where, info: dict[str, Any], layout: Layout) -> Item:
    """The structure with the entries of its row; an error names the row."""
    if isinstance(item, InputError):
        place = f" ({item.where})" if item.where.file != where.file else ""
        return replace(item, message=f"{item.message}{place}", where=where)
    item = replace(item, info={**item.info, **info}, where=where)
    return replace(item, layout=layout) if isinstance(item, Frame) else item


def _values(fields: dict[str, str]) -> dict[str, float | int | str]:
    """The fields as numbers where they are; empty ones, NaN and columns without a name are left out."""
    found: dict[str, float | int | str] = {}
    for name, field in fields.items():
        value = _value(field.strip())
        if name and value != "" and value == value:
            found[name] = value
    return found


def _value(text: str) -> float | int | str:
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
