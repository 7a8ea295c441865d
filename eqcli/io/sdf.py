"""MDL molfiles and SD files, V2000 and V3000, through RDKit without changing the molecule.

Hydrogens stay, valences are not judged, aromatic bonds are kept as written. Bonds go to `info["bonds"]` as
`[i, j, order]` (order 1.5 is aromatic, 0 any other kind), formal charges, isotopes and radicals to the arrays
`formal_charge`, `isotope` and `radical_electrons`, data items to `info` as text. A data item is a label only where
the convention names it, for these files state no units.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io import qm9_table
from eqcli.io.frame import Frame, Items
from eqcli.io.rdkit_molecule import atom_arrays, bonds_of
from eqcli.io.sdf_writer import write as write
from eqcli.io.text import Lines, is_text, not_text, open_text

_DIMENSION = slice(20, 22)
"""Columns of a molfile's second line that say 2D or 3D."""


def read(path: Path) -> Items:
    """A structure per record; records end with `$$$$`. QM9's properties come from the table beside its file."""
    table = qm9_table.beside(path)
    yield from _frames(path) if table is None else qm9_table.joined(path, table, _frames(path))


def _frames(path: Path) -> Items:
    with open_text(path) as file:
        number = 0
        for start, record in records_in(Lines(path, file)):
            where = Where(path, number, start)
            number += 1
            try:
                yield _frame(record, where)
            except InputError as error:
                yield error
        if number == 0:
            raise InputError("the file is empty", Where(path))


def records_in(lines: Lines) -> Iterator[tuple[int, list[str]]]:
    """First line number and lines of each record, the last one also without its end mark."""
    record: list[str] = []
    start = 1
    while (line := lines.take()) is not None:
        if line.startswith("$$$$"):
            yield start, record
            record, start = [], lines.number + 1
        else:
            record.append(line)
    if any(line.strip() for line in record):
        yield start, record


def _frame(record: list[str], where: Where) -> Frame:
    molecule, items, drawn = molfile_of(record, where)
    if drawn:
        raise InputError("this record is a drawing (2D), not a structure", where, "Make conformers first.")
    frame = frame_of(molecule, where)
    title = record[0].strip()
    frame.info = {**({"name": title} if title else {}), **frame.info, **items}
    return frame


def molfile_of(record: list[str], where: Where) -> tuple[Any, dict[str, str], bool]:
    """The molecule of a record, not sanitised; its data items; and whether it says that it is a drawing (2D).

    Raises InputError where it is no molfile.
    """
    from rdkit import Chem, rdBase

    start = where.line or 1
    for i, line in enumerate(record):
        if not is_text(line):
            raise not_text(Where(where.file, where.frame, start + i))
    ends = [i for i, line in enumerate(record) if line.startswith("M  END")]
    if not ends:
        raise InputError("the record has no 'M  END': it is cut off or no molfile", where)
    with rdBase.BlockLogs():
        try:
            molecule = Chem.MolFromMolBlock("\n".join(record[: ends[0] + 1]), sanitize=False, removeHs=False)
        except (RuntimeError, ValueError):
            molecule = None
    if molecule is None:
        raise InputError("RDKit cannot read this molfile", Where(where.file, where.frame, start + 3))
    return molecule, items_of(record[ends[0] + 1 :]), record[1][_DIMENSION] == "2D"


def frame_of(molecule: Any, where: Where) -> Frame:
    """The frame of an RDKit molecule with one conformer: its atoms, bonds and charges."""
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    if not numbers:
        raise InputError("a molecule without atoms", where)
    if 0 in numbers:
        symbol = molecule.GetAtomWithIdx(numbers.index(0)).GetSymbol()
        message = f"atom {numbers.index(0) + 1} ('{symbol}') is no element"
        raise InputError(message, where, "Replace dummy atoms and R groups.")
    if molecule.GetNumConformers() == 0:
        raise InputError("the molecule has no positions", where)
    arrays = atom_arrays(molecule)
    bonds = bonds_of(molecule)
    return Frame(
        numbers=np.array(numbers, dtype=np.int64),
        positions=np.array(molecule.GetConformer().GetPositions(), dtype=np.float64).reshape(-1, 3),
        pbc=np.zeros(3, dtype=bool),
        charge=float(arrays["formal_charge"].sum()) if "formal_charge" in arrays else 0.0,
        info={"bonds": bonds} if bonds else {},
        arrays=arrays,
        where=where,
        first_row=None if where.line is None else where.line + 4,
        angstrom=True,
        implicit_labels="none",
    )


def items_of(lines: list[str]) -> dict[str, str]:
    """The data items of a record: `> <name>`, then lines of text up to a blank one."""
    items: dict[str, str] = {}
    name = None
    for line in lines:
        if line.startswith(">") and "<" in line:
            name = line.split("<", 1)[1].rsplit(">", 1)[0].strip()
            items[name] = ""
        elif name is not None and line.strip():
            items[name] += ("\n" if items[name] else "") + line.rstrip()
        else:
            name = None
    return items
