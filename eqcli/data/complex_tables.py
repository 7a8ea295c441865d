"""Complexes listed in a table, or held in a dataset file.

The columns of a table are `receptor` and `ligand`, files relative to it, and perhaps `name`, `frame` (record of the
ligand file, from 0), `protein`, `cofactors`, `copies` and `year`; others are ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eqcli.data.complex_files import ComplexFiles, Found
from eqcli.data.listed import Columns, listed
from eqcli.errors import Failure, InputError, Where

COLUMNS = Columns(required=("receptor", "ligand"), optional=("name", "frame", "protein", "cofactors", "copies", "year"))


def complexes_of_table(path: Path) -> Found:
    """A complex or a failure per row.

    Raises InputError where the table is damaged or lacks a column.
    """
    return listed(path, COLUMNS, _complex)


def _complex(path: Path, row: dict[str, str], where: Where) -> ComplexFiles:
    files = {name: _file(path, row[name], name, where) for name in ("receptor", "ligand", "cofactors", "copies")}
    receptor, ligand = files["receptor"], files["ligand"]
    if receptor is None or ligand is None:
        raise InputError(f"the row names no {'receptor' if receptor is None else 'ligand'}", where)
    frame, year = (_integer(row[name], name, where) for name in ("frame", "year"))
    stem = ligand.name.split(".")[0]
    name = row["name"] or (stem if frame is None else f"{stem}/{frame}")
    protein = row["protein"] or receptor.name.split(".")[0].removesuffix("_protein").removesuffix("_receptor")
    return ComplexFiles(name, receptor, ligand, frame, protein, files["cofactors"], year, files["copies"])


def _file(path: Path, text: str, column: str, where: Where) -> Path | None:
    if not text:
        return None
    target = path.parent / text
    if not target.is_file():
        raise InputError(f"the {column} file '{text}' does not exist", where, "Names are relative to the table.")
    return target


def _integer(text: str, column: str, where: Where) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise InputError(f"'{text[:40]}' in the column '{column}' is no whole number", where)
    return int(text)


def complexes_of_dataset(path: Path) -> Found:
    """The ligands of a dataset file with their receptors, as `eqcli.data.complex_structures` makes both.

    A receptor stands before its ligands; it is named in their `info`.
    """
    from eqcli.io.store import DatasetFile

    receptors: dict[str, tuple[int, dict[str, Any]]] = {}
    with DatasetFile(path) as frames:
        for number, structure in enumerate(frames):
            info, where = structure.info, Where(path, number)
            role, name = info.get("role"), str(info.get("name", number))
            if role == "receptor":
                receptors[name] = number, info
            elif role != "ligand":
                yield Failure(name, "the frame is neither a receptor nor a ligand", where)
            elif (found := receptors.get(str(info.get("receptor")))) is None:
                yield Failure(name, f"no receptor '{info.get('receptor')}' stands before the ligand", where)
            else:
                place, stated = found
                protein, year = str(stated.get("protein", stated.get("name"))), stated.get("year")
                kept = int(year) if isinstance(year, int | float) else None
                yield ComplexFiles(name, path, path, number, protein, year=kept, receptor_frame=place)
