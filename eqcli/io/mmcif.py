"""Macromolecular CIF: a data block per structure. Read with the means of PDB files, whose atoms it describes too."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.io.cells import cell_matrix, cell_parameters, require_cell, right_handed_fractions
from eqcli.io.frame import Items, plain
from eqcli.io.pdb import read_mmcif
from eqcli.io.pdb_writer import column, site_names
from eqcli.io.structure import FloatArray, Structure, formula
from eqcli.io.text import read_text

ATOM_TAGS = (
    *("group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id"),
    *("label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy"),
    *("B_iso_or_equiv", "pdbx_formal_charge", "auth_seq_id", "auth_asym_id", "pdbx_PDB_model_num"),
)


def read(path: Path) -> Items:
    """A structure per model of each data block."""
    yield from read_mmcif(path, read_text(path))


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes a data block per structure with all digits; labels have no place.

    Periodic structures get a cell in P 1 and are turned into its standard orientation.
    """
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        if provenance:
            file.write(f"# eqcli {json.dumps(plain(provenance), separators=(',', ':'))}\n")
        for structure in structures:
            count += 1
            file.write(_block(structure, count))
    return count


def _block(structure: Structure, number: int) -> str:
    from gemmi import cif

    block = cif.Block(f"{formula(structure.numbers)}_{number}")
    positions = structure.positions
    if structure.pbc.any():
        positions = _set_cell(block, structure)
    loop = block.init_loop("_atom_site.", list(ATOM_TAGS))
    for row in _rows(structure, positions):
        loop.add_row([cif.quote(value) if value not in (".", "?") else value for value in row])
    text: str = block.as_string()
    return text + "\n"


def _set_cell(block: Any, structure: Structure) -> FloatArray:
    """Puts the cell into the block; returns the positions in its standard orientation."""
    require_cell(structure, "mmCIF")
    lengths, angles = cell_parameters(structure.cell)
    for name, value in zip("abc", lengths, strict=True):
        block.set_pair(f"_cell.length_{name}", repr(value))
    for name, value in zip(("alpha", "beta", "gamma"), angles, strict=True):
        block.set_pair(f"_cell.angle_{name}", repr(value))
    block.set_pair("_symmetry.space_group_name_H-M", "'P 1'")
    return right_handed_fractions(structure) @ cell_matrix(lengths, angles)


def _rows(structure: Structure, positions: FloatArray) -> list[list[str]]:
    n = len(structure)
    symbols, names, residues, chains, sequence, insertions = site_names(structure)
    hetero = structure.arrays.get("hetero", np.ones(n, dtype=bool))
    occupancy = column(structure, "occupancy", ["1.0"] * n)
    b_factor = column(structure, "b_factor", ["0.0"] * n)
    charges = column(structure, "formal_charge", ["0"] * n)
    rows = []
    for i, (x, y, z) in enumerate(positions.tolist()):
        rows.append([
            "HETATM" if hetero[i] else "ATOM", str(i + 1), symbols[i], names[i], ".", residues[i], chains[i] or ".",
            "1", sequence[i], insertions[i] or "?", repr(x), repr(y), repr(z), occupancy[i], b_factor[i], charges[i],
            sequence[i], chains[i] or ".", "1",
        ])  # fmt: skip
    return rows
