"""Ligands as they come, made ready for docking: one molecule each, all hydrogens, one shape.

Every file is read record by record. What cannot be used is an InputError in its place, and the next record follows;
what was changed or assumed is a note. The rules stand in `ligand_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import InputError
from eqcli.io.ligand_conformers import SEED, embedded
from eqcli.io.ligand_conformers import conformers as conformers
from eqcli.io.ligand_records import Record, records_of
from eqcli.io.ligand_rules import prepared
from eqcli.io.rdkit_molecule import structure_of
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from rdkit.Chem import Mol


@dataclass
class Ligand:
    """A molecule to be docked.

    Attributes
    ----------
    structure
        Every atom, hydrogens too, in one shape; `info["bonds"]` is `[[i, j, order], ...]` in a Kekulé form and
        `info` has the data items of the record; the array `formal_charge` is there where any atom is charged.
    name
        The title of the record, or the name of its file and its number; no two of a file are the same.
    notes
        One line for each rule that changed or assumed something.
    given
        Whether the positions came from the file; they were generated otherwise.
    source
        The file and the record, or the SMILES.
    """

    structure: Structure
    name: str
    notes: list[str] = field(default_factory=list)
    given: bool = True
    source: str = ""


def read_ligands(source: str | Path, *, template: str | None = None, skip: int = 0) -> Iterator[Ligand | InputError]:
    """The ligands of a file, or of a SMILES; for a record that cannot be used, the error in its place.

    Parameters
    ----------
    source
        SDF and MOL, MOL2, PDB, PDBQT, SMILES files (`.gz`, too), or a SMILES itself.
    template
        SMILES that gives the bonds and charges of ligands from PDB and PDBQT files.
    skip
        Records at the beginning that are passed over, without the work of making shapes for them.

    Raises
    ------
    InputError
        The file is missing or of an unknown kind, or `source` is neither a file nor a SMILES; at the first item.
    """
    names: dict[str, int] = {}
    for number, record in enumerate(records_of(source, template)):
        try:
            if number < skip:
                _pass_over(record, names)
                continue
            if isinstance(record, InputError):
                yield record
                continue
            yield _ligand(record, names)
        except InputError as error:
            yield InputError(error.message, error.where if str(error.where) else record.where, error.hint)


def ligand_of(molecule: Mol, name: str) -> Ligand:
    """The ligand of an RDKit molecule: its first conformer where it has one, and a generated shape otherwise.

    Raises InputError where the rules for ligands refuse it.
    """
    drawn = molecule.GetNumConformers() == 0 or not molecule.GetConformer().Is3D()
    return _ligand(Record(molecule, name, given=not drawn, source=name), {})


def _ligand(record: Record, names: dict[str, int]) -> Ligand:
    molecule, given, notes = prepared(record.molecule, record.given)
    name = _own_name(record.name, names, notes)
    if not given:
        _embed(molecule, name)
    info: dict[str, Any] = {**record.items, "name": name}
    structure = structure_of(molecule, info)
    structure.where = record.where
    return Ligand(structure, name, [*record.notes, *notes], given, record.source)


def _pass_over(record: Record | InputError, names: dict[str, int]) -> None:
    """Takes the name that the ligand of a record would have, so that those after it keep theirs."""
    if not isinstance(record, InputError):
        with suppress(InputError):
            prepared(record.molecule, record.given)
            _own_name(record.name, names, [])


def _own_name(name: str, names: dict[str, int], notes: list[str]) -> str:
    """The name, with a number behind it where an earlier record has it."""
    own = name
    while own in names:
        names[name] = names.get(name, 1) + 1
        own = f"{name}-{names[name]}"
    names[own] = 1
    if own != name:
        notes.append(f"an earlier record is named {name}: this one is {own}")
    return own


def _embed(molecule: Mol, name: str) -> None:
    """Puts one generated shape in the place of the conformers."""
    import numpy as np
    from rdkit import Chem

    shape = embedded(molecule, 1, SEED, name)[0]
    molecule.RemoveAllConformers()
    conformer = Chem.Conformer(len(shape))
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(shape))
    molecule.AddConformer(conformer)
