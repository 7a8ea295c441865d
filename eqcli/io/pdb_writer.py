"""Writing PDB files: a model per structure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.cells import cell_matrix, cell_parameters, require_cell, right_handed_fractions
from eqcli.io.frame import plain
from eqcli.io.structure import FloatArray, Structure

LIMITS = (-999.9994, 9999.9994)
"""Å. What fits the eight columns of a coordinate."""

REMARK = 60
"""Characters of text per remark."""


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes a model per structure; positions have three decimals, labels have no place.

    Periodic structures get a `CRYST1` line in P 1 and are turned into its standard orientation.
    """
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        if provenance:
            text = json.dumps(plain(provenance), separators=(",", ":"))
            file.writelines(f"REMARK   6 {text[i : i + REMARK]}\n" for i in range(0, len(text), REMARK))
        for structure in structures:
            count += 1
            file.write(_model(structure, count))
        file.write("END\n")
    return count


def _model(structure: Structure, number: int) -> str:
    lines = []
    positions = structure.positions
    if structure.pbc.any():
        require_cell(structure, "PDB")
        lengths, angles = cell_parameters(structure.cell)
        positions = right_handed_fractions(structure) @ cell_matrix(lengths, angles)
        sizes = "".join(f"{v:9.3f}" for v in lengths) + "".join(f"{v:7.2f}" for v in angles)
        lines.append(f"CRYST1{sizes} P 1           1")
    outside = (positions < LIMITS[0]) | (positions > LIMITS[1])
    if outside.any():
        raise InputError(
            "positions of this structure do not fit the columns of a PDB file", structure.where, "Write .extxyz."
        )
    lines += [f"MODEL     {number:4d}", *_atoms(structure, positions), "ENDMDL"]
    return "\n".join(lines) + "\n"


def _atoms(structure: Structure, positions: FloatArray) -> list[str]:
    n = len(structure)
    symbols, names, residues, chains, sequence, insertions = site_names(structure)
    hetero = structure.arrays.get("hetero", np.ones(n, dtype=bool))
    occupancy = structure.arrays.get("occupancy", np.ones(n))
    b_factor = structure.arrays.get("b_factor", np.zeros(n))
    charges = structure.arrays.get("formal_charge", np.zeros(n, dtype=np.int64))
    lines = []
    for i, (x, y, z) in enumerate(positions.tolist()):
        # Names of one-letter elements begin in the second of the four columns.
        name = names[i] if len(symbols[i]) == 2 or len(names[i]) >= 4 else " " + names[i]
        record = "HETATM" if hetero[i] else "ATOM  "
        charge = f"{abs(int(charges[i]))}{'+' if charges[i] > 0 else '-'}" if charges[i] else "  "
        lines.append(
            f"{record}{(i + 1) % 100000:5d} {name[:4]:<4} {residues[i][:3]:>3} {chains[i][:1]:1}{sequence[i][-4:]:>4}"
            f"{insertions[i][:1]:1}   {x:8.3f}{y:8.3f}{z:8.3f}{float(occupancy[i]):6.2f}"
            f"{min(float(b_factor[i]), 999.99):6.2f}          {symbols[i].upper():>2}{charge}"
        )
    return lines


def site_names(structure: Structure) -> tuple[list[str], ...]:
    """Symbol, atom name, residue name, chain, residue number and insertion code of each atom."""
    n = len(structure)
    symbols = [SYMBOLS[z] for z in structure.numbers.tolist()]
    defaults = {"residue_name": "UNL", "chain": "A", "residue_number": "1", "insertion_code": ""}
    others = (column(structure, key, [value] * n) for key, value in defaults.items())
    return symbols, column(structure, "atom_name", symbols), *others


def column(structure: Structure, key: str, otherwise: list[str]) -> list[str]:
    """The array `key` as texts, or `otherwise` where the structure has none."""
    values = structure.arrays.get(key)
    return otherwise if values is None else [str(v) for v in values.tolist()]
