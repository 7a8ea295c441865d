"""GEOM's `rdkit_folder`: a pickle per molecule, whose conformers are RDKit molecules; nothing is unpickled.

Names in the pickle become inert stand-ins (`inert_objects`); of a molecule, the bytes in which RDKit stores it are
taken. Bonds and charges are kept as stored, aromatic bonds with order 1.5. A pickle is in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.elements import NUMBERS
from eqcli.errors import InputError, Where
from eqcli.io.frame import Frame, Item, Items
from eqcli.io.geom import LAYOUT, entries
from eqcli.io.inert_objects import loads
from eqcli.io.inert_pickle import Inert
from eqcli.io.molecule_bytes import MoleculeBytes

MOLECULE = "rdkit.Chem.rdchem.Mol"


def read(path: Path) -> Items:
    """A structure per conformer."""
    with MoleculeBytes() as reader:
        yield from frames(path.read_bytes(), path, reader)


def frames(content: bytes, path: str | Path, reader: MoleculeBytes, number: int = 0) -> Items:
    """The conformers of a pickle, counted from `number`; a damaged one is an error in its place."""
    try:
        record = loads(content)
    except ValueError as error:
        raise InputError(f"this is not a pickle of GEOM: {error}", Where(path)) from error
    conformers = record.get("conformers") if isinstance(record, dict) else None
    if not isinstance(conformers, list) or not conformers:
        found = "no 'conformers'" if isinstance(record, dict) else f"a {type(record).__name__}"
        raise InputError(
            f"this is not a pickle of GEOM: it holds {found}", Where(path), "Expected a file of GEOM's rdkit_folder."
        )
    for k, conformer in enumerate(conformers):
        for item in _conformer(record, conformer, k, Where(path, number), reader):
            yield item
            number += 1


def _conformer(record: dict[Any, Any], conformer: Any, k: int, where: Where, reader: MoleculeBytes) -> Iterator[Item]:
    try:
        stored = _bytes_of(conformer)
        found = reader.parse(stored)
        info = entries(str(record.get("smiles", "")), record, conformer, k)
        placed = [_frame(found, positions, info, where) for positions in found["conformers"]]
        if not placed:
            raise ValueError("the molecule has no positions")
    except ValueError as error:
        yield InputError(f"conformer {k} cannot be read: {error}", where)
        return
    yield from placed


def _bytes_of(conformer: Any) -> bytes:
    molecule = conformer.get("rd_mol") if isinstance(conformer, dict) else None
    if not isinstance(molecule, Inert) or molecule.kind != MOLECULE:
        raise ValueError("it has no RDKit molecule 'rd_mol'")
    if len(molecule.args) != 1 or not isinstance(molecule.args[0], bytes):
        raise ValueError("its RDKit molecule is stored in an unknown way")
    return molecule.args[0]


def _frame(found: dict[str, Any], positions: list[list[float]], info: dict[str, Any], where: Where) -> Frame:
    numbers = np.array(found["numbers"], dtype=np.int64)
    if not ((numbers > 0) & (numbers < len(NUMBERS))).all():
        raise ValueError("an atom is no element")
    if found["hydrogens"]:
        raise ValueError(f"{found['hydrogens']} hydrogens have no positions")
    arrays = {name: np.array(values, dtype=np.int64) for name, values in found["arrays"].items()}
    return Frame(
        numbers=numbers,
        positions=np.array(positions, dtype=np.float64).reshape(-1, 3),
        pbc=np.zeros(3, dtype=bool),
        charge=float(arrays["formal_charge"].sum()) if "formal_charge" in arrays else 0.0,
        info={**info, **({"bonds": found["bonds"]} if found["bonds"] else {})},
        arrays=arrays,
        where=where,
        angstrom=True,
        implicit_labels="none",
        layout=LAYOUT,
    )
