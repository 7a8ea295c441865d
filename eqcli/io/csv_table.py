"""A table with one row per structure, for spreadsheets and scripts."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

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
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes the rows; absent labels are empty fields. A table has no place for provenance."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for structure in structures:
            writer.writerow(_row(structure, count))
            count += 1
    return count


def _row(structure: Structure, number: int) -> list[Any]:
    where = structure.where
    energy, forces, stress = structure.energy, structure.forces, structure.stress
    frame = number if where.frame is None else where.frame
    row: list[Any] = ["" if where.file is None else str(where.file), frame, formula(structure.numbers), len(structure)]
    row += ["", ""] if energy is None else [repr(float(energy)), repr(float(energy) / len(structure))]
    row.append("" if forces is None else repr(float(np.linalg.norm(forces, axis=1).max())))
    row += [""] * 6 if stress is None else [repr(float(stress[i, j])) for i, j in _VOIGT]
    return row
