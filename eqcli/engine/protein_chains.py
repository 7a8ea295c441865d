"""The chains of a protein as registration sees them: residues in the file's order, each with its atoms by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.io.receptor_residues import ONE_LETTER, OTHER, amino_acid
from eqcli.io.structure import Structure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BACKBONE = ("N", "CA", "C", "O")


@dataclass(frozen=True)
class ProteinChain:
    """The residues of a chain that have a Cα.

    Attributes
    ----------
    name
        As in the file; may be empty.
    letters
        A letter for each residue, X for amino acids beyond the twenty and those that come from them.
    numbers
        Number with insertion code of each residue, as text.
    residues
        Three-letter names.
    atoms
        Atoms of each residue: name -> index in the structure.
    ca
        Positions, `[n, 3]`, Å.
    """

    name: str
    letters: str
    numbers: tuple[str, ...]
    residues: tuple[str, ...]
    atoms: tuple[dict[str, int], ...]
    ca: FloatArray

    def __len__(self) -> int:
        return len(self.letters)

    def label(self, residue: int, atom: str) -> str:
        """How people name an atom: `A 45 GLY CA`."""
        words = (self.name, self.numbers[residue], self.residues[residue], atom)
        return " ".join(word for word in words if word)


def protein_chains(structure: Structure, wanted: Sequence[str] = ()) -> list[ProteinChain]:
    """The chains of a protein, all or those that are wanted.

    Raises InputError where there are no residues with a Cα, or a wanted chain is not there.
    """
    found = chains_of(structure)
    if not found:
        hint = "Names of atoms and residues are stated by PDB and mmCIF files."
        raise InputError("there are no residues with a CA atom in this structure", structure.where, hint)
    names = [chain.name for chain in found]
    missing = [name for name in wanted if name not in names]
    if missing:
        hint = f"Its chains are {', '.join(name or '(without name)' for name in names)}."
        raise InputError(f"there is no protein chain {missing[0]}", structure.where, hint)
    return [chain for chain in found if not wanted or chain.name in wanted]


def chains_of(structure: Structure) -> list[ProteinChain]:
    """The chains in the file's order; none where the structure has no names."""
    if "atom_name" not in structure.arrays or "residue_name" not in structure.arrays:
        return []
    chains: dict[str, list[tuple[str, str, dict[str, int]]]] = {}
    for chain, number, residue, atoms in _residues(structure):
        if _is_amino_acid(structure, residue, atoms):
            chains.setdefault(chain, []).append((number, residue, atoms))
    return [_chain(structure, name, rows) for name, rows in chains.items()]


def _chain(structure: Structure, name: str, rows: list[tuple[str, str, dict[str, int]]]) -> ProteinChain:
    numbers, residues, atoms = zip(*rows, strict=True)
    return ProteinChain(
        name=name,
        letters="".join(ONE_LETTER[amino_acid(residue)] for residue in residues),
        numbers=numbers,
        residues=residues,
        atoms=atoms,
        ca=structure.positions[[there["CA"] for there in atoms]],
    )


def _residues(structure: Structure) -> list[tuple[str, str, str, dict[str, int]]]:
    """Chain, number, name and atoms of each residue; of atoms with one name the first."""
    n = len(structure)
    empty = np.full(n, "")
    names = ("chain", "residue_number", "insertion_code", "residue_name", "atom_name")
    columns = [[str(word).strip() for word in structure.arrays.get(name, empty).tolist()] for name in names]
    rows: dict[tuple[str, str, str], dict[str, int]] = {}
    for i, (chain, number, code, residue, atom) in enumerate(zip(*columns, strict=True)):
        rows.setdefault((chain, number + code, residue), {}).setdefault(atom, i)
    return [(*key, atoms) for key, atoms in rows.items()]


def _is_amino_acid(structure: Structure, residue: str, atoms: dict[str, int]) -> bool:
    """By a Cα that is a carbon; residues of unknown names must have the rest of a backbone, too."""
    if "CA" not in atoms or structure.numbers[atoms["CA"]] != 6:
        return False
    return amino_acid(residue) != OTHER or ("N" in atoms and "C" in atoms)


def chosen_atoms(chain: ProteinChain, structure: Structure, residue: int, on: str) -> dict[str, int]:
    """The atoms of a residue that take part."""
    atoms = chain.atoms[residue]
    if on == "ca":
        return {"CA": atoms["CA"]}
    if on == "backbone":
        return {name: atoms[name] for name in BACKBONE if name in atoms}
    if on == "heavy":
        return {name: i for name, i in atoms.items() if structure.numbers[i] > 1}
    return atoms
