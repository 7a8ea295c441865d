"""VASP's POSCAR and CONTCAR, versions 4 and 5."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError, Where
from eqcli.io.cells import require_cell
from eqcli.io.frame import Frame, Items, atomic_number, unknown_element
from eqcli.io.periodicity import is_flat
from eqcli.io.structure import FloatArray, Structure, formula
from eqcli.io.text import read_text


def read(path: Path) -> Items:
    """The structure of a POSCAR file; always periodic.

    Atoms held in all three directions are `fixed`; where some directions only are held,
    the array `move_mask [N, 3]` says which are free. Velocities are not read.
    """
    yield parse(path, read_text(path))


def parse(path: str | Path, text: str) -> Frame:
    """The structure of the text of a POSCAR file; `path` is named in errors. Raises InputError."""
    return _Reader(path, text).frame()


class _Reader:
    """Goes down the lines of the file; each method takes the part of its name."""

    def __init__(self, path: str | Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.number = 0

    def frame(self) -> Frame:
        comment = self.line("a comment").strip()
        cell, scale = self.cell()
        numbers = self.elements(comment)
        selective = self.word("Selective dynamics, Direct or Cartesian")
        if selective in "sS":
            kind = self.word("Direct or Cartesian")
        else:
            kind, selective = selective, ""
        first_row = self.number + 1
        rows = [self.row(i, len(numbers), bool(selective)) for i in range(len(numbers))]
        coordinates = np.array([position for position, _ in rows])
        free = np.array([mask for _, mask in rows], dtype=bool)
        partly = bool(selective) and bool((free.any(axis=1) != free.all(axis=1)).any())
        return Frame(
            numbers=numbers,
            positions=coordinates * scale if kind in "cCkK" else coordinates @ cell,
            cell=cell,
            pbc=np.ones(3, dtype=bool),
            fixed=np.logical_not(free.any(axis=1)) if selective else None,
            info={"comment": comment} if comment else {},
            arrays={"move_mask": free} if partly else {},
            where=Where(self.path, 0, 1),
            header_line=2,
            first_row=first_row,
            angstrom=True,
        )

    def cell(self) -> tuple[FloatArray, FloatArray]:
        """Lattice vectors and the factors of Cartesian coordinates: one factor, three, or minus the volume."""
        scale = self.numbers("a scaling factor", (1, 3))
        line = self.number
        cell = np.array([self.numbers("a lattice vector", (3,)) for _ in range(3)])
        if is_flat(cell):
            raise InputError("the lattice vectors are linearly dependent", Where(self.path, 0, line + 1))
        if len(scale) == 1 and scale[0] < 0:
            scale = np.cbrt(-scale / abs(np.linalg.det(cell)))
        if (scale <= 0).any():
            raise InputError("the scaling factors must be positive", Where(self.path, 0, line))
        factors = np.broadcast_to(scale, 3)
        return cell * factors, factors

    def elements(self, comment: str) -> NDArray[np.int64]:
        words = self.line("element symbols or numbers of atoms").split()
        symbols, line = words, self.number
        if words and words[0].isdigit():
            # Version 4 has no line of symbols; many programs put them into the comment.
            symbols, line = comment.split()[: len(words)], 1
        else:
            words = self.line("numbers of atoms").split()
        counts = [int(word) for word in words if word.isdigit()]
        if len(counts) != len(words) or not counts:
            raise self.wrong("the number of atoms of each element", " ".join(words))
        if len(symbols) != len(counts):
            place = Where(self.path, 0, line)
            raise InputError(f"{len(symbols)} element symbols for {len(counts)} numbers of atoms", place)
        numbers = [self.element(symbol, line) for symbol in symbols]
        if sum(counts) == 0:
            raise InputError("a structure without atoms", Where(self.path, 0, self.number))
        if sum(counts) > len(self.lines):
            raise InputError(f"the file ends before {sum(counts)} atoms", Where(self.path, 0, self.number))
        return np.repeat(np.array(numbers, dtype=np.int64), counts)

    def element(self, symbol: str, line: int) -> int:
        # POTCAR names such as Fe_pv, and Si/3a1c... as VASP 6 writes them.
        number = atomic_number(re.split(r"[_/.]", symbol)[0])
        if number is None:
            raise unknown_element(symbol, Where(self.path, 0, line))
        return number

    def row(self, i: int, total: int, selective: bool) -> tuple[FloatArray, list[bool]]:
        words = self.line(f"atom {i + 1} of {total}").split()
        try:
            position = np.array([float(word) for word in words[:3]])
        except ValueError:
            position = np.zeros(0)
        if len(position) != 3 or not np.isfinite(position).all():
            raise self.wrong(f"the position of atom {i + 1} of {total}", " ".join(words))
        if not selective:
            return position, [True] * 3
        flags = [word.strip(".").upper()[:1] for word in words[3:6]]
        if len(flags) != 3 or not set(flags) <= {"T", "F"}:
            raise self.wrong("three of T and F after the position", " ".join(words))
        return position, [flag == "T" for flag in flags]

    def word(self, what: str) -> str:
        """First letter of the next line."""
        return self.line(what).strip()[:1] or " "

    def numbers(self, what: str, sizes: tuple[int, ...]) -> FloatArray:
        line = self.line(what)
        values: list[float] = []
        for word in line.split()[: max(sizes)]:
            try:
                values.append(float(word))
            except ValueError:
                break
        usable = [size for size in sizes if size <= len(values)]
        if not usable or not np.isfinite(values).all():
            raise self.wrong(what, line)
        return np.array(values[: max(usable)])

    def line(self, what: str) -> str:
        if self.number >= len(self.lines):
            raise InputError(f"the file ends; expected {what}", Where(self.path, 0, max(self.number, 1)))
        self.number += 1
        return self.lines[self.number - 1]

    def wrong(self, what: str, found: str) -> InputError:
        return InputError(f"expected {what}, found '{found.strip()[:40]}'", Where(self.path, 0, self.number))


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes one structure, Cartesian and in the order of its atoms; exact to the last bit."""
    count = 0
    for structure in structures:
        path.write_text(text(structure, provenance), encoding="utf-8")
        count += 1
    return count


def text(structure: Structure, provenance: dict[str, Any] | None) -> str:
    """A structure as the text of a POSCAR file. Raises InputError where it has no cell."""
    require_cell(structure, "POSCAR")
    runs = [(z, len(list(same))) for z, same in groupby(structure.numbers.tolist())]
    comment = str(structure.info.get("comment", "")) or formula(structure.numbers)
    if provenance:
        # The comment is one short line to the programs that read it: version and commit have to do.
        comment += f" eqcli {provenance.get('eqcli', '')} {(provenance.get('commit') or '')[:12]}"
    lines = [" ".join(comment.split()), "1.0", *map(_row, structure.cell)]
    lines += [" ".join(SYMBOLS[z] for z, _ in runs), " ".join(str(n) for _, n in runs)]
    free = structure.free_directions
    selective = structure.fixed is not None or not free.all()
    lines += ["Selective dynamics", "Cartesian"] if selective else ["Cartesian"]
    for i, position in enumerate(structure.positions):
        flags = " " + " ".join("T" if f else "F" for f in free[i]) if selective else ""
        lines.append(_row(position) + flags)
    return "\n".join(lines) + "\n"


def _row(vector: FloatArray) -> str:
    return " ".join(map(repr, vector.tolist()))
