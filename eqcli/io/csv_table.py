"""A table with one row per structure, for spreadsheets and scripts; read where it names or holds structures."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.io.csv_structures import read as read
from eqcli.io.structure import Structure, formula

HEADER = (
    "file",
    "frame",
    "formula",
    "n_atoms",
    "energy_eV",
    "energy_per_atom_eV",
    "max_force_eV_per_A",
    "stress_xx_eV_per_A3",
    "stress_yy_eV_per_A3",
    "stress_zz_eV_per_A3",
    "stress_yz_eV_per_A3",
    "stress_xz_eV_per_A3",
    "stress_xy_eV_per_A3",
)
LARGEST = 9
"""Numbers of an entry that get columns."""

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes the rows; absent labels are empty fields. A table has no place for provenance.

    Numbers and truth values among the entries of the first structure get columns of their own, those of vectors and
    tensors one each.
    """
    count = 0
    extra: dict[str, int] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for structure in structures:
            if count == 0:
                extra = {key: len(found) for key, value in structure.info.items() if (found := _numbers(value))}
                writer.writerow([*HEADER, *(name for key, size in extra.items() for name in _columns(key, size))])
            writer.writerow([*_row(structure, count), *_further(structure, extra)])
            count += 1
        if count == 0:
            writer.writerow(HEADER)
    return count


def _numbers(value: Any) -> list[str]:
    """The numbers of an entry as text, `True` and `False` among them; none where it is something else or too long."""
    listed = value if isinstance(value, list) else [value]
    if len(listed) > LARGEST or not all(isinstance(v, int | float) for v in listed):
        return []
    return [repr(v) for v in listed]


def _columns(key: str, size: int) -> list[str]:
    names = {1: [""], 3: ["_x", "_y", "_z"], 9: [f"_{a}{b}" for a in "xyz" for b in "xyz"]}
    return [f"{key}{ending}" for ending in names.get(size, [f"_{i + 1}" for i in range(size)])]


def _further(structure: Structure, extra: dict[str, int]) -> list[str]:
    row: list[str] = []
    for key, size in extra.items():
        found = _numbers(structure.info.get(key))
        row += found if len(found) == size else [""] * size
    return row


def _row(structure: Structure, number: int) -> list[Any]:
    where = structure.where
    energy, forces, stress = structure.energy, structure.forces, structure.stress
    frame = number if where.frame is None else where.frame
    row: list[Any] = ["" if where.file is None else str(where.file), frame, formula(structure.numbers), len(structure)]
    row += ["", ""] if energy is None else [repr(float(energy)), repr(float(energy) / len(structure))]
    row.append("" if forces is None else repr(float(np.linalg.norm(forces, axis=1).max())))
    row += [""] * 6 if stress is None else [repr(float(stress[i, j])) for i, j in _VOIGT]
    return row
