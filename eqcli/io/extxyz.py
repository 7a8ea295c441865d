"""XYZ and extended XYZ, read frame by frame.

A plain XYZ file has symbols and positions; further columns without a name are kept as
the array `extra`. QM9's own files have a reader of their own. A malformed frame does not
spoil the ones after it: reading goes on at the next line that begins a frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.io import qm9, qm9_xyz
from eqcli.io.extxyz_writer import write as write
from eqcli.io.frame import Frame, Items, atomic_number, unknown_element
from eqcli.io.text import Lines, is_text, not_text, open_text
from eqcli.io.xyz_columns import Column, convert_column, parse_properties, plain_columns
from eqcli.io.xyz_header import parse_header

NUMBER_COLUMNS = ("Z", "numbers", "atomic_numbers")
"""Columns that give the atomic number where there is no `species`."""


def read(path: Path) -> Items:
    """The frames of a file; an error stands in the place of each malformed one."""
    with open_text(path) as file:
        yield from frames(Lines(path, file))


def frames(lines: Lines) -> Items:
    """The frames of a text, as `read` gives those of a file."""
    lines.skip_blank()
    if lines.peek() is None:
        raise InputError("the file is empty", Where(lines.path))
    if qm9_xyz.is_qm9(lines):
        yield from qm9_xyz.frames(lines, qm9.layout(qm9_xyz.NAME))
        return
    number = 0
    while lines.peek() is not None:
        yield _frame_or_error(lines, number)
        number += 1
        lines.skip_blank()


def _frame_or_error(lines: Lines, number: int) -> Frame | InputError:
    taken: list[str] = []
    try:
        return _frame(lines, number, taken)
    except InputError as error:
        # The next frame may begin within the lines that this one claimed.
        lines.put_back(taken[1:])
        _go_to_next_frame(lines)
        return error


def _go_to_next_frame(lines: Lines) -> None:
    while (line := lines.peek()) is not None:
        if line.strip().isdigit() and _looks_like_atom(lines.peek(2)):
            return
        lines.take()


def _looks_like_atom(line: str | None) -> bool:
    words = (line or "").split()
    return len(words) >= 4 and sum(map(_is_number, words)) >= 3


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _frame(lines: Lines, number: int, taken: list[str]) -> Frame:
    start = lines.number + 1
    where = Where(lines.path, number, start)
    natoms = _count(_take(lines, where, taken, "the number of atoms"), where)
    header_line = start + 1
    info = _header(_take(lines, where, taken, "the comment line"), Where(lines.path, number, header_line))
    stated = info.pop("Properties", info.pop("properties", None))
    columns = _columns(stated, Where(lines.path, number, header_line, "Properties"))
    rows = _rows(lines, where, natoms, columns, taken)
    if columns is None:
        columns = plain_columns(rows)
    first_row = start + 2
    arrays = _arrays(rows, columns, Where(lines.path, number), first_row)
    _refuse_more_rows(lines, natoms, len(rows[0]), where)
    return _assemble(info, arrays, where, header_line, first_row)


def _take(lines: Lines, where: Where, taken: list[str], what: str) -> str:
    line = lines.take()
    if line is None:
        last = Where(where.file, where.frame, lines.number)
        raise InputError(f"the file ends within the frame; expected {what}", last, "The file may be cut off.")
    taken.append(line)
    if not is_text(line):
        raise not_text(Where(where.file, where.frame, lines.number))
    return line


def _count(line: str, where: Where) -> int:
    try:
        natoms = int(line)
    except ValueError:
        message = f"expected the number of atoms, found '{line.strip()[:40]}'"
        raise InputError(message, where) from None
    if natoms < 1:
        raise InputError(f"a frame of {natoms} atoms", where, "A structure needs at least one atom.")
    return natoms


def _header(line: str, where: Where) -> dict[str, Any]:
    try:
        return parse_header(line)
    except ValueError as error:
        raise InputError(str(error), where) from error


def _columns(stated: Any, where: Where) -> tuple[Column, ...] | None:
    if stated is None:
        return None
    try:
        return parse_properties(str(stated))
    except ValueError as error:
        hint = "Expected name:type:columns, e.g. species:S:1:pos:R:3:forces:R:3 with types S, R, I and L."
        raise InputError(str(error), where, hint) from error


def _rows(
    lines: Lines, where: Where, natoms: int, columns: tuple[Column, ...] | None, taken: list[str]
) -> list[list[str]]:
    width = columns[-1].stop if columns else 0
    rows: list[list[str]] = []
    for i in range(natoms):
        words = _take(lines, where, taken, f"atom {i + 1} of {natoms}").split()
        width = width or max(len(words), 4)
        if len(words) != width:
            message = f"atom {i + 1} of {natoms} has {len(words)} columns instead of {width}"
            raise InputError(message, Where(where.file, where.frame, lines.number))
        rows.append(words)
    return rows


def _arrays(rows: list[list[str]], columns: tuple[Column, ...], where: Where, first_row: int) -> dict[str, Any]:
    words = list(zip(*rows, strict=True))
    arrays: dict[str, Any] = {}
    for column in columns:
        try:
            arrays[column.name] = convert_column(words[column.start : column.stop], column)
        except ValueError as error:
            raise _bad_word(rows, column, where, first_row) from error
    return arrays


def _bad_word(rows: list[list[str]], column: Column, where: Where, first_row: int) -> InputError:
    for i, row in enumerate(rows):
        for word in row[column.start : column.stop]:
            try:
                convert_column([(word,)], column)
            except ValueError:
                place = Where(where.file, where.frame, first_row + i)
                return InputError(f"'{word[:20]}' in column '{column.name}' is not {column.expects}", place)
    raise AssertionError("a column failed as a whole and each of its words is fine")


def _refuse_more_rows(lines: Lines, natoms: int, width: int, where: Where) -> None:
    line = lines.peek()
    words = (line or "").split()
    if len(words) == width and atomic_number(words[0]) is not None and _looks_like_atom(line):
        raise InputError(
            f"the frame says {natoms} atoms and has more rows", Where(where.file, where.frame, lines.number + 1)
        )


def _assemble(info: dict[str, Any], arrays: dict[str, Any], where: Where, header_line: int, first_row: int) -> Frame:
    header = Where(where.file, where.frame, header_line)
    numbers = _atomic_numbers(arrays, header, first_row)
    if "pos" not in arrays or arrays["pos"].shape != (len(numbers), 3):
        raise InputError("there are no positions: expected pos:R:3 in Properties", header)
    cell = _vector(info.pop("Lattice"), 9, "Lattice", header).reshape(3, 3) if "Lattice" in info else None
    pbc = _vector(info.pop("pbc"), 3, "pbc", header).astype(bool) if "pbc" in info else None
    return Frame(
        numbers=numbers,
        positions=arrays.pop("pos"),
        cell=cell,
        pbc=pbc,
        fixed=_fixed(arrays),
        info=info,
        arrays=arrays,
        where=where,
        header_line=header_line,
        first_row=first_row,
    )


def _atomic_numbers(arrays: dict[str, Any], header: Where, first_row: int) -> NDArray[np.int64]:
    name = next((n for n in ("species", *NUMBER_COLUMNS) if n in arrays), None)
    if name is None:
        raise InputError("there are no elements: expected species:S:1 in Properties", header)
    column = arrays.pop(name)
    words = [str(word) for word in column.tolist()] if column.ndim == 1 else []
    numbers = [atomic_number(word) for word in words]
    if None in numbers or not numbers:
        i = numbers.index(None) if numbers else 0
        word = words[i] if words else f"{column.shape[1]} columns of species"
        raise unknown_element(word, Where(header.file, header.frame, first_row + i))
    return np.array(numbers, dtype=np.int64)


def _vector(value: Any, size: int, key: str, where: Where) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if key == "pbc" and numbers.size == 1:
        numbers = np.repeat(numbers, 3)
    if numbers.size != size or (key == "pbc" and not np.isin(numbers, (0, 1)).all()):
        expected = "nine numbers" if key == "Lattice" else "three of T and F"
        message = f"expected {expected}, found '{str(value)[:40]}'"
        raise InputError(message, Where(where.file, where.frame, where.line, key))
    return numbers


def _fixed(arrays: dict[str, Any]) -> NDArray[np.bool_] | None:
    """Atoms held, from `move_mask` (T: free to move). A mask per direction stays among the arrays."""
    mask = arrays.get("move_mask")
    if mask is None or mask.dtype.kind not in "bi":
        return None
    if mask.ndim == 1:
        del arrays["move_mask"]
        return np.asarray(mask == 0)
    return np.asarray((mask == 0).all(axis=1))
