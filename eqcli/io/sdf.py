"""MDL molfiles and SD files, V2000 and V3000, through RDKit without changing the molecule.

Hydrogens stay, valences are not judged, aromatic bonds are kept as written. Bonds go to
`info["bonds"]` as `[i, j, order]` (order 1.5 is aromatic), formal charges to the array
`formal_charge`, data items to `info` as text. A data item is a label only where the convention
names it, for these files state no units.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io.frame import Frame, Items, plain
from eqcli.io.structure import Structure
from eqcli.io.text import Lines, is_text, not_text, open_text

V2000_ATOMS = 999
"""More atoms or bonds than this need the V3000 form."""

_DIMENSION = slice(20, 22)
"""Columns of a molfile's second line that say 2D or 3D."""


def read(path: Path) -> Items:
    """A structure per record; records end with `$$$$`."""
    with open_text(path) as file:
        number = 0
        for start, record in _records(Lines(path, file)):
            where = Where(path, number, start)
            number += 1
            try:
                yield _frame(record, where)
            except InputError as error:
                yield error
        if number == 0:
            raise InputError("the file is empty", Where(path))


def _records(lines: Lines) -> Iterator[tuple[int, list[str]]]:
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
    if record[1][_DIMENSION] == "2D":
        raise InputError("this record is a drawing (2D), not a structure", where, "Make conformers first.")
    frame = frame_of(molecule, where)
    title = record[0].strip()
    frame.info = {**({"name": title} if title else {}), **frame.info, **_items(record[ends[0] + 1 :])}
    return frame


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
    charges = np.array([atom.GetFormalCharge() for atom in molecule.GetAtoms()], dtype=np.int64)
    bonds = [_bond(bond) for bond in molecule.GetBonds()]
    return Frame(
        numbers=np.array(numbers, dtype=np.int64),
        positions=np.array(molecule.GetConformer().GetPositions(), dtype=np.float64).reshape(-1, 3),
        pbc=np.zeros(3, dtype=bool),
        charge=float(charges.sum()),
        info={"bonds": bonds} if bonds else {},
        arrays={"formal_charge": charges} if charges.any() else {},
        where=where,
        first_row=None if where.line is None else where.line + 4,
        angstrom=True,
        implicit_labels="none",
    )


def _bond(bond: Any) -> list[int | float]:
    order = bond.GetBondTypeAsDouble()
    return [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(order) if order == int(order) else order]


def _items(lines: list[str]) -> dict[str, str]:
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


def write(path: Path, structures: Iterable[Structure], provenance: dict[str, Any] | None) -> int:
    """Writes a record per structure (a single molfile for `.mol`); positions have four decimals, V3000 six.

    Bonds are those of `info["bonds"]`; other scalar entries of `info` and the energy (`energy_eV`)
    become data items. The cell and forces have no place in this format.
    """
    import json

    lone = path.suffix.lower() == ".mol"
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for structure in structures:
            file.write(_molblock(structure))
            if not lone:
                extra = {"eqcli_provenance": json.dumps(plain(provenance))} if provenance and count == 0 else {}
                file.write(_data_items(structure, extra) + "$$$$\n")
            count += 1
    return count


def _molblock(structure: Structure) -> str:
    from rdkit import Chem

    editable = Chem.RWMol()
    charges = structure.arrays.get("formal_charge", np.zeros(len(structure), dtype=np.int64))
    for z, charge in zip(structure.numbers.tolist(), charges.tolist(), strict=True):
        atom = Chem.Atom(z)
        atom.SetFormalCharge(int(charge))
        # Every hydrogen is an atom of its own; readers must not add any.
        atom.SetNoImplicit(True)
        editable.AddAtom(atom)
    kinds = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE, 1.5: Chem.BondType.AROMATIC}
    for i, j, order in structure.info.get("bonds", []):
        editable.AddBond(int(i), int(j), kinds.get(order, Chem.BondType.UNSPECIFIED))
    conformer = Chem.Conformer(len(structure))
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(structure.positions))
    editable.AddConformer(conformer)
    editable.UpdatePropertyCache(strict=False)
    editable.SetProp("_Name", " ".join(str(structure.info.get("name", "")).split()))
    large = max(len(structure), editable.GetNumBonds()) > V2000_ATOMS or np.abs(structure.positions).max() >= 9999
    text: str = Chem.MolToMolBlock(editable, kekulize=False, forceV3000=bool(large), includeStereo=False)
    return text


def _data_items(structure: Structure, extra: dict[str, Any]) -> str:
    items = {k: v for k, v in structure.info.items() if k not in ("bonds", "name")} | extra
    if structure.energy is not None:
        items["energy_eV"] = repr(float(structure.energy))
    lines = []
    for key, value in items.items():
        if isinstance(value, str | int | float | bool):
            text = "\n".join(line for line in str(value).splitlines() if line.strip())
            lines.append(f">  <{key}>\n{text}\n\n")
    return "".join(lines)
