"""Receptors: proteins as files give them, made ready for docking by stated rules (docs/reference/receptors.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from eqcli.errors import InputError, Where
from eqcli.io.pdb_atoms import Atom
from eqcli.io.receptor_backbone import Residues as Residues
from eqcli.io.receptor_backbone import residues_of
from eqcli.io.receptor_bonds import Atoms, atoms_of
from eqcli.io.receptor_files import atoms_of_structure, read_model
from eqcli.io.receptor_groups import Group, Kind, groups_of
from eqcli.io.receptor_hydrogens import Added, hydrogens
from eqcli.io.receptor_notes import describe, describe_backbones, describe_hydrogens
from eqcli.io.receptor_rules import counted, listed, one_location, plural, selected, without_doubles
from eqcli.io.receptor_types import atom_types
from eqcli.io.structure import FloatArray, Structure

OVERLAP = 1.0
"""Å. A group with most of its heavy atoms this near to those of a ligand is that ligand."""

TRACE = 0.5
"""Share of amino acids that may lack most of their atoms."""


@dataclass
class Receptor:
    """A receptor that is ready: one conformation, with hydrogens and atom types.

    Attributes
    ----------
    structure
        All kept atoms, residue by residue. Arrays: `atom_name`, `residue_name`, `chain`, `residue_number` (text),
        `insertion_code`, `hetero`, `atom_type` (`AtomType`, -1 for hydrogens), `residue` (index in the file's order)
        and `added` (whether the file lacks the atom).
    notes
        A line per rule that applied.
    name
        The file's name without its endings.
    residues
        The amino acids with their backbones.
    path
        The file; None for atoms in memory.
    """

    structure: Structure
    notes: list[str]
    name: str
    residues: Residues
    path: Path | None = None

    @property
    def heavy(self) -> NDArray[np.bool_]:
        """Which atoms are no hydrogens, `[N]`."""
        return self.structure.numbers > 1


def read_receptor(
    path: str | Path, *, model: int | None = None, waters: bool = False, leave_out: Sequence[str] = ()
) -> Receptor:
    """Reads a receptor from a PDB, mmCIF or PDBQT file, which may be compressed.

    Parameters
    ----------
    path
        The file.
    model
        Which model, counted from 1; the first when None.
    waters
        Whether waters are part of the receptor.
    leave_out
        Groups that are not: names of residues (`STI`), or chain and number (`A/401`).

    Raises
    ------
    InputError
        The file cannot be read, `leave_out` names what is not there, or there is no protein with its atoms.
    """
    source = Path(path)
    notes: list[str] = []
    atoms = read_model(source, model, notes)
    return _prepared(atoms, _name(source), notes, Where(source), waters=waters, leave_out=leave_out)


def receptor_of(structure: Structure, name: str) -> Receptor:
    """The receptor of atoms in memory, by the same rules; waters are left out.

    Raises InputError as `read_receptor`, and where the arrays `atom_name` and `residue_name` are missing.
    """
    return _prepared(atoms_of_structure(structure), name, [], structure.where, waters=False, leave_out=())


def without_overlap(receptor: Receptor, positions: FloatArray) -> Receptor:
    """The receptor without groups that the heavy atoms `[M, 3]` of a ligand lie on: the one left in a crystal file."""
    structure = receptor.structure
    residue = structure.arrays["residue"]
    suspects = np.flatnonzero(receptor.heavy & ~np.isin(residue, receptor.residues.index))
    if not len(positions) or not len(suspects):
        return receptor
    distances, _ = cKDTree(np.asarray(positions).reshape(-1, 3)).query(structure.positions[suspects])
    size = int(residue.max()) + 1
    total = np.bincount(residue[suspects], minlength=size)
    near = np.bincount(residue[suspects], weights=distances < OVERLAP, minlength=size)
    dropped = np.flatnonzero(near > total / 2)
    if not len(dropped):
        return receptor
    first = [int(np.flatnonzero(residue == k)[0]) for k in dropped]
    labels = listed(_label(structure, i) for i in first)
    renumbered = np.cumsum(~np.isin(np.arange(size), dropped)) - 1
    kept = _subset(structure, ~np.isin(residue, dropped))
    kept.arrays["residue"] = renumbered[kept.arrays["residue"]]
    return replace(
        receptor,
        structure=kept,
        residues=replace(receptor.residues, index=renumbered[receptor.residues.index]),
        notes=[*receptor.notes, f"left out, since the ligand lies there: {labels}"],
    )


def _label(structure: Structure, i: int) -> str:
    names = ("chain", "residue_number", "insertion_code", "residue_name")
    chain, number, code, residue = (str(structure.arrays[name][i]) for name in names)
    return " ".join(part for part in (chain, number + code, residue) if part)


def _subset(structure: Structure, kept: NDArray[np.bool_]) -> Structure:
    arrays = {name: values[kept] for name, values in structure.arrays.items()}
    return replace(structure, numbers=structure.numbers[kept], positions=structure.positions[kept], arrays=arrays)


def _name(path: Path) -> str:
    name = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return name.removesuffix("_protein").removesuffix("_receptor") or name


def _prepared(
    atoms: list[Atom], name: str, notes: list[str], where: Where, *, waters: bool, leave_out: Sequence[str]
) -> Receptor:
    atoms = without_doubles(one_location(atoms, notes), notes)
    groups = selected(groups_of(atoms), notes, waters=waters, leave_out=leave_out, where=where)
    _refuse_no_protein(groups, where)
    known = atoms_of(groups)
    if _orphans(known):
        lost = set(_orphans(known))
        _without(groups, lost, notes)
        known = atoms_of(groups)
    describe(known, notes)
    added = hydrogens(known)
    describe_hydrogens(known, added, notes)
    structure = _structure(known, added)
    structure.where = where
    residues = residues_of(groups)
    describe_backbones(groups, residues, notes)
    return Receptor(structure, notes, name, residues, None if where.file is None else Path(where.file))


def _refuse_no_protein(groups: list[Group], where: Where) -> None:
    amino = [g for g in groups if g.kind is Kind.AMINO_ACID and g.named("CA") is not None]
    if not amino:
        others = counted(g.name or "without name" for g in groups)
        raise InputError(
            "there are no amino acids in this file, and a receptor is a protein",
            where,
            f"It has {others or 'nothing that is kept'}.",
        )
    bare = [g for g in amino if len(g.heavy) < 4]
    if len(bare) > TRACE * len(amino):
        raise InputError(
            f"{len(bare)} of {len(amino)} amino acids have fewer than four heavy atoms: this is a trace of the chain, "
            "and docking needs all atoms",
            where,
            "Rebuild the side chains with another program, or choose another entry.",
        )


def _orphans(atoms: Atoms) -> list[int]:
    held = {h for there in atoms.hydrogens for h in there}
    return [i for i, z in enumerate(atoms.numbers.tolist()) if z == 1 and i not in held]


def _without(groups: list[Group], lost: set[int], notes: list[str]) -> None:
    """Takes hydrogens that sit on nothing out of their residues."""
    index = 0
    labels = []
    for group in groups:
        kept = []
        for atom in group.atoms:
            if index in lost:
                labels.append(f"{group.label} {atom.name}")
            else:
                kept.append(atom)
            index += 1
        group.atoms = kept
    groups[:] = [group for group in groups if group.atoms]
    notes.append(f"{plural(len(labels), 'hydrogen')} on no atom left out ({listed(labels)})")


def _structure(atoms: Atoms, added: Added) -> Structure:
    """All atoms, residue by residue, added hydrogens after those of the file."""
    present, extra = len(atoms.numbers), len(added.names)
    for k, parent in enumerate(added.parents):
        atoms.hydrogens[parent].append(present + k)
    whole = replace(
        atoms,
        numbers=np.concatenate([atoms.numbers, np.ones(extra, dtype=np.int64)]),
        positions=np.concatenate([atoms.positions, added.positions]),
        names=atoms.names + added.names,
        residue=np.concatenate([atoms.residue, atoms.residue[np.array(added.parents, dtype=np.int64)]]),
        neighbours=atoms.neighbours + [[] for _ in range(extra)],
        hydrogens=atoms.hydrogens + [[] for _ in range(extra)],
        metal=np.concatenate([atoms.metal, np.zeros(extra, dtype=bool)]),
    )
    order = np.argsort(whole.residue, kind="stable")
    rows = [atoms.groups[k] for k in whole.residue.tolist()]
    first = [group.atoms[0] for group in rows]
    arrays = {
        "atom_name": np.array(whole.names),
        "residue_name": np.array([group.name for group in rows]),
        "chain": np.array([atom.chain for atom in first]),
        "residue_number": np.array([atom.sequence for atom in first]),
        "insertion_code": np.array([atom.insertion for atom in first]),
        "hetero": np.array([atom.hetero for atom in first], dtype=bool),
        "atom_type": atom_types(whole),
        "residue": whole.residue,
        "added": np.arange(present + extra) >= present,
    }
    return Structure(
        whole.numbers[order], whole.positions[order], arrays={name: values[order] for name, values in arrays.items()}
    )
