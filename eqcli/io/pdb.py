"""Protein Data Bank files and mmCIF: models are frames, one conformation of each residue.

The atoms keep the file's order. Names and numbers of atoms, residues and chains are arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io.cells import cell_matrix
from eqcli.io.frame import Item, Items, atomic_number, unknown_element
from eqcli.io.pdb_atoms import Atom, Model, element_from_name, to_frame
from eqcli.io.pdb_writer import write as write
from eqcli.io.structure import FloatArray
from eqcli.io.text import Lines, is_text, not_text, open_text

ATOMS = ("ATOM  ", "HETATM")


def read(path: Path) -> Items:
    """A structure per model. `CRYST1` of 1 x 1 x 1 Å means no cell.

    The atoms of a file are those of the asymmetric unit: only with the space group P 1
    is the cell a period of the structure.
    """
    for model in read_models(path):
        yield _frame(model)


def read_models(path: Path) -> Iterator[Model | InputError]:
    """The atoms of each model with all their alternate locations; a model with a bad line becomes that line's error."""
    with open_text(path) as file:
        found = False
        for model in _models(Lines(path, file)):
            found = True
            yield model
        if not found:
            raise InputError("the file has no ATOM or HETATM lines", Where(path))


def _models(lines: Lines) -> Iterator[Model | InputError]:
    number = 0
    cell: FloatArray | None = None
    group = ""
    atoms: list[Atom] = []
    error: InputError | None = None
    while True:
        line = lines.take()
        record = (line or "")[:6].ljust(6)
        if line is None or record in ("ENDMDL", "MODEL ", "END   "):
            if atoms or error:
                yield error or Model(atoms, cell, group, Where(lines.path, number, atoms[0].line))
                number, atoms, error = number + 1, [], None
            if line is None:
                return
            continue
        try:
            if record in ATOMS:
                atoms.append(_atom(line, Where(lines.path, number, lines.number)))
            elif record == "CRYST1":
                cell, group = _cryst1(line, Where(lines.path, number, lines.number))
        except InputError as bad:
            error = error or bad


def _frame(model: Model | InputError) -> Item:
    try:
        return model if isinstance(model, InputError) else to_frame(model)
    except InputError as error:
        return error


def _atom(line: str, where: Where) -> Atom:
    if not is_text(line):
        raise not_text(where)
    try:
        position = (float(line[30:38]), float(line[38:46]), float(line[46:54]))
    except ValueError:
        message = f"expected three coordinates in columns 31 to 54, found '{line[30:54].strip()}'"
        raise InputError(message, where) from None
    residue = line[17:20].strip()
    symbol = line[76:78].strip()
    number = atomic_number(symbol) if symbol else element_from_name(line[12:16], residue)
    if number is None:
        raise unknown_element(symbol or line[12:16].strip(), where)
    return Atom(
        name=line[12:16].strip(),
        altloc=line[16].strip(),
        residue=residue,
        chain=line[21].strip(),
        sequence=line[22:26].strip(),
        insertion=line[26].strip(),
        position=position,
        occupancy=_float_or(line[54:60], 1.0),
        b_factor=_float_or(line[60:66], 0.0),
        number=number,
        charge=_charge(line[78:80]),
        hetero=line.startswith("HETATM"),
        line=where.line,
    )


def _float_or(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise


def _charge(text: str) -> int:
    """`1+` or `+1`; blank is none."""
    text = text.strip()
    digits = text.strip("+-")
    if len(text) != 2 or not digits.isdigit():
        return 0
    return -int(digits) if "-" in text else int(digits)


def _cryst1(line: str, where: Where) -> tuple[FloatArray | None, str]:
    try:
        lengths = [float(line[i : i + 9]) for i in (6, 15, 24)]
        angles = [float(line[i : i + 7]) for i in (33, 40, 47)]
        return _cell(lengths, angles), line[55:66].strip()
    except ValueError as error:
        raise InputError(f"CRYST1 does not describe a cell: {error}", where) from error


def _cell(lengths: list[float], angles: list[float]) -> FloatArray | None:
    """The cell; None for the 1 x 1 x 1 or 0 x 0 x 0 that stands for no cell."""
    return None if max(lengths) <= 1 else cell_matrix(lengths, angles)


def read_mmcif(path: Path, text: str) -> Items:
    """A structure per model of each data block of an mmCIF text."""
    for model in read_mmcif_models(path, text):
        yield _frame(model)


def read_mmcif_models(path: Path, text: str) -> Iterator[Model | InputError]:
    """As `read_models`, of an mmCIF text; a data block with a bad row becomes that row's error."""
    from eqcli.io.cif import parse_document

    number = 0
    for block in parse_document(path, text):
        if not block.find_loop("_atom_site.Cartn_x") and not block.find_value("_atom_site.Cartn_x"):
            continue
        try:
            cell = _block_cell(block, Where(path, number))
            models = _block_models(block, path, number)
        except InputError as error:
            yield error
            number += 1
            continue
        for atoms in models:
            yield Model(atoms, *cell, Where(path, number))
            number += 1
    if number == 0:
        raise InputError("no data block of this mmCIF has atoms (_atom_site.Cartn_x)", Where(path))


_MMCIF_TAGS = (
    "Cartn_x",
    "Cartn_y",
    "Cartn_z",
    "type_symbol",
    "?label_atom_id",
    "?label_alt_id",
    "?label_comp_id",
    "?auth_asym_id",
    "?label_asym_id",
    "?auth_seq_id",
    "?label_seq_id",
    "?pdbx_PDB_ins_code",
    "?occupancy",
    "?B_iso_or_equiv",
    "?pdbx_formal_charge",
    "?pdbx_PDB_model_num",
    "?group_PDB",
)


def _block_models(block: Any, path: Path, number: int) -> list[list[Atom]]:
    table = block.find("_atom_site.", list(_MMCIF_TAGS))
    if not len(table):
        raise InputError("the atoms lack coordinates or elements (_atom_site.type_symbol)", Where(path, number))
    models: dict[str, list[Atom]] = {}
    for row in table:
        words = {
            tag.lstrip("?"): row.str(i) if not tag.startswith("?") or row.has(i) else ""
            for i, tag in enumerate(_MMCIF_TAGS)
        }
        model = words["pdbx_PDB_model_num"] or "1"
        models.setdefault(model, []).append(_mmcif_atom(words, Where(path, number + len(models) - (model in models))))
    return list(models.values())


def _mmcif_atom(words: dict[str, str], where: Where) -> Atom:
    name = words["label_atom_id"]
    try:
        position = (float(words["Cartn_x"]), float(words["Cartn_y"]), float(words["Cartn_z"]))
    except ValueError:
        raise InputError(f"the coordinates of atom {name} are not numbers", where) from None
    number = atomic_number(words["type_symbol"])
    if number is None:
        raise unknown_element(words["type_symbol"], where)
    return Atom(
        name=name,
        altloc=words["label_alt_id"],
        residue=words["label_comp_id"],
        chain=words["auth_asym_id"] or words["label_asym_id"],
        sequence=words["auth_seq_id"] or words["label_seq_id"],
        insertion=words["pdbx_PDB_ins_code"],
        position=position,
        occupancy=_float_or(words["occupancy"], 1.0),
        b_factor=_float_or(words["B_iso_or_equiv"], 0.0),
        number=number,
        charge=int(_float_or(words["pdbx_formal_charge"], 0.0)),
        hetero=words["group_PDB"] == "HETATM",
    )


def _block_cell(block: Any, where: Where) -> tuple[FloatArray | None, str]:
    from gemmi import cif

    tags = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    values = np.array([cif.as_number(block.find_value(f"_cell.{tag}") or "?") for tag in tags])
    group = block.find_value("_symmetry.space_group_name_H-M") or block.find_value("_space_group.name_H-M_alt") or ""
    if not np.isfinite(values).all():
        return None, ""
    try:
        return _cell(values[:3].tolist(), values[3:].tolist()), cif.as_string(group)
    except ValueError as error:
        raise InputError(f"the items _cell do not describe a cell: {error}", where) from error
