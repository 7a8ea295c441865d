"""The original files of QM9, `dsgdb9nsd_000001.xyz` and so on: one by one, joined, or in their `.tar.bz2`.

The second line is `gdb`, the index and the 15 properties; a fifth column has Mulliken charges in e. After the atoms
come harmonic frequencies in cm^-1, SMILES and InChI of the GDB-17 molecule and of the relaxed one. Numbers may be
written as `1.2*^-6`.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from pathlib import Path

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io import qm9
from eqcli.io.frame import Frame, Items, atomic_number, unknown_element
from eqcli.io.layout import Layout
from eqcli.io.text import Lines

NAME = "QM9, original files"
COLUMNS = 2 + len(qm9.UNITS)
LARGEST = 1 << 24
"""Bytes read of one file in an archive."""

TAIL = ("frequencies", "SMILES", "InChI")
"""Lines after the atoms."""


def is_qm9(lines: Lines) -> bool:
    """Whether the next frame has a comment line as QM9's."""
    return _is_comment(lines.peek(1) or "")


def read(path: Path) -> Items:
    """A structure per `.xyz` file in the archive, in its order."""
    excluded = qm9.excluded_beside(path)
    layout = qm9.layout(NAME, excluded)
    number = 0
    try:
        with tarfile.open(path, "r|bz2") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() and entry.name.endswith(".xyz") else None
                if content is None:
                    continue
                # A stream within the archive cannot be wrapped as text; these files have a few kilobytes.
                text = content.read(LARGEST).decode("utf-8-sig", "surrogateescape")
                for item in frames(Lines(f"{path}/{entry.name}", io.StringIO(text)), layout, number):
                    if isinstance(item, Frame) and item.info["index"] in excluded:
                        continue
                    yield item
                    number += 1
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
        raise InputError(f"this is not a .tar.bz2 archive, or it is cut off: {error}", Where(path)) from error
    if number == 0:
        raise InputError(
            "the archive holds no .xyz files of QM9", Where(path), "Unpack it with tar, and name a file of it."
        )


def frames(lines: Lines, layout: Layout, number: int = 0) -> Items:
    """The structures of a text. A malformed one ends it, since nothing marks where the next begins."""
    lines.skip_blank()
    while lines.peek() is not None:
        try:
            yield _frame(lines, layout, Where(lines.path, number, lines.number + 1))
        except InputError as error:
            yield error
            return
        number += 1
        lines.skip_blank()


def _frame(lines: Lines, layout: Layout, where: Where) -> Frame:
    first = lines.take() or ""
    try:
        natoms = int(first)
    except ValueError:
        raise InputError(f"expected the number of atoms, found '{first.strip()[:40]}'", where) from None
    if natoms < 1 or not _is_comment(comment := lines.take() or ""):
        message = f"expected {natoms} atoms after a line 'gdb', an index and {len(qm9.UNITS)} properties"
        raise InputError(message, Where(where.file, where.frame, lines.number))
    index, *values = comment.split()[1:]
    info: dict[str, object] = {"name": f"gdb_{index}", "index": int(index)}
    info |= dict(zip(qm9.UNITS, _numbers(values, lines, where), strict=True))
    first_row = lines.number + 1
    rows = [_atom(lines, where, i, natoms) for i in range(natoms)]
    info |= _tail(lines, where)
    return Frame(
        numbers=np.array([z for z, _ in rows], dtype=np.int64),
        positions=np.array([row[:3] for _, row in rows]),
        pbc=np.zeros(3, dtype=bool),
        info=info,
        arrays={"mulliken_charges": np.array([row[3] for _, row in rows])},
        charge=0.0,
        where=where,
        header_line=first_row - 1,
        first_row=first_row,
        implicit_labels="none",
        layout=layout,
    )


def _is_comment(line: str) -> bool:
    """Whether a line is `gdb`, an index and the properties."""
    words = line.split()
    return len(words) == COLUMNS and words[0] == "gdb" and words[1].isdigit()


def _atom(lines: Lines, where: Where, atom: int, natoms: int) -> tuple[int, list[float]]:
    words = (lines.take() or "").split()
    if len(words) != 5:
        message = f"atom {atom + 1} of {natoms} has {len(words)} columns; expected an element and four numbers"
        raise InputError(message, Where(where.file, where.frame, lines.number), "The file may be cut off.")
    z = atomic_number(words[0])
    if z is None:
        raise unknown_element(words[0], Where(where.file, where.frame, lines.number))
    return z, _numbers(words[1:], lines, where)


def _tail(lines: Lines, where: Where) -> dict[str, object]:
    tail = []
    for what in TAIL:
        line = lines.take()
        if line is None or not line.strip():
            message = f"the frame has no line of {what}"
            raise InputError(message, Where(where.file, where.frame, lines.number), "The file may be cut off.")
        tail.append(line.split())
    info: dict[str, object] = {"frequencies": _numbers(tail[0], lines, where)}
    for key, words in (("smiles", tail[1]), ("inchi", tail[2])):
        info |= dict(zip((key, f"{key}_relaxed"), words, strict=False))
    return info


def _numbers(words: list[str], lines: Lines, where: Where) -> list[float]:
    try:
        return [float(word.replace("*^", "e")) for word in words]
    except ValueError as error:
        raise InputError(f"{error}", Where(where.file, where.frame, lines.number)) from None
