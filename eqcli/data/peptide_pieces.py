"""Short pieces of a chain as molecules of their own, for complexes made of a protein alone.

A piece keeps its atoms where they are. The carbonyl group before it stays as a formyl group and the nitrogen behind
it as an amide: N-formyl peptide amides. Side chains are charged as at pH 7, histidine neutral.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.io.receptor_residues import AMINO_ACIDS, template

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from eqcli.io.receptor import Receptor

Integers = NDArray[np.int64]

PEPTIDE_BOND: Final = 1.7
"""Å: the longest bond between two amino acids."""

BACKBONE: Final = ("N", "CA", "C", "O")

DOUBLE_BONDS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "ARG": (("CZ", "NH2"),),
    "ASN": (("CG", "OD1"),),
    "ASP": (("CG", "OD1"),),
    "GLN": (("CD", "OE1"),),
    "GLU": (("CD", "OE1"),),
    "HIS": (("CG", "CD2"), ("ND1", "CE1")),
    "PHE": (("CG", "CD1"), ("CE1", "CZ"), ("CE2", "CD2")),
    "TRP": (("CG", "CD1"), ("CD2", "CE2"), ("CZ2", "CH2"), ("CZ3", "CE3")),
    "TYR": (("CG", "CD1"), ("CE1", "CZ"), ("CE2", "CD2")),
}

CHARGES: Final[dict[tuple[str, str], int]] = {
    ("ARG", "NH2"): 1,
    ("ASP", "OD2"): -1,
    ("GLU", "OE2"): -1,
    ("LYS", "NZ"): 1,
}


@dataclass(frozen=True)
class Chains:
    """The amino acids of a receptor as pieces are cut from them."""

    receptor: Receptor

    @cached_property
    def atoms(self) -> list[dict[str, int]]:
        """Heavy atoms of each amino acid by name, as indices of the receptor's structure."""
        structure, residues = self.receptor.structure, self.receptor.residues
        place = {int(index): row for row, index in enumerate(residues.index)}
        found: list[dict[str, int]] = [{} for _ in range(len(residues))]
        names, owner = structure.arrays["atom_name"], structure.arrays["residue"]
        for i in np.flatnonzero(self.receptor.heavy).tolist():
            if (row := place.get(int(owner[i]))) is not None:
                found[row][str(names[i])] = i
        return found

    @cached_property
    def whole(self) -> NDArray[np.bool_]:
        """Which amino acids have all atoms of their kind and no other, but for the end of a chain, `[R]`."""
        return np.array([self._is_whole(row) for row in range(len(self.atoms))], dtype=bool)

    def _is_whole(self, row: int) -> bool:
        form = template(parent := self.parent(row))
        return parent in AMINO_ACIDS and form is not None and set(self.atoms[row]) == set(form.neighbours)

    def parent(self, row: int) -> str:
        """The amino acid that a residue is or comes from, by three letters; empty for others."""
        code = int(self.receptor.residues.amino_acid[row])
        return AMINO_ACIDS[code] if code < len(AMINO_ACIDS) else ""

    @cached_property
    def bonded(self) -> NDArray[np.bool_]:
        """Whether each amino acid is bonded to the next one, `[R]`; the last is not."""
        positions = self.receptor.structure.positions
        bonded = np.zeros(len(self.atoms), dtype=bool)
        for row in range(len(self.atoms) - 1):
            first, second = self.atoms[row].get("C"), self.atoms[row + 1].get("N")
            if first is not None and second is not None:
                bonded[row] = np.linalg.norm(positions[first] - positions[second]) < PEPTIDE_BOND
        return bonded

    def piece(self, first: int, last: int) -> Integers | None:
        """Heavy atoms of the amino acids from `first` to `last` with both caps; None where it cannot be cut out."""
        inside = range(first, last + 1)
        if first < 1 or last + 1 >= len(self.atoms) or not self.whole[first : last + 1].all():
            return None
        before, behind = self.atoms[first - 1], self.atoms[last + 1]
        if not self.bonded[first - 1 : last + 1].all() or "O" not in before:
            return None
        own = [i for row in inside for i in self.atoms[row].values()]
        return np.array([before["C"], before["O"], *own, behind["N"]], dtype=np.int64)

    def molecule(self, first: int, last: int) -> Mol:
        """The piece as an RDKit molecule of its heavy atoms, in the order of `piece`."""
        from rdkit import Chem
        from rdkit.Geometry import Point3D

        indices = self.piece(first, last)
        if indices is None:
            raise ValueError(f"no piece can be cut out from {first} to {last}")
        structure = self.receptor.structure
        charges = {
            i: CHARGES.get((self.parent(row), name), 0)
            for row in range(first, last + 1)
            for name, i in self.atoms[row].items()
        }
        molecule, conformer = Chem.RWMol(), Chem.Conformer(len(indices))
        place: dict[int, int] = {}
        for number, i in enumerate(indices.tolist()):
            atom = Chem.Atom(SYMBOLS[structure.numbers[i]])
            atom.SetFormalCharge(charges.get(i, 0))
            place[i] = molecule.AddAtom(atom)
            conformer.SetAtomPosition(number, Point3D(*structure.positions[i].tolist()))
        for a, b, order in self._bonds(first, last):
            molecule.AddBond(place[a], place[b], Chem.BondType.DOUBLE if order == 2 else Chem.BondType.SINGLE)
        conformer.Set3D(True)
        molecule.AddConformer(conformer)
        plain: Mol = molecule.GetMol()
        return plain

    def _bonds(self, first: int, last: int) -> list[tuple[int, int, int]]:
        """Bonds between heavy atoms with their orders: within amino acids, between them, and to the caps."""
        bonds = [(self.atoms[first - 1]["C"], self.atoms[first - 1]["O"], 2)]
        for row in range(first, last + 1):
            names, form = self.atoms[row], template(self.parent(row))
            assert form is not None
            double = {frozenset(pair) for pair in (("C", "O"), *DOUBLE_BONDS.get(self.parent(row), ()))}
            pairs = {frozenset((a, b)) for a, others in form.neighbours.items() for b in others}
            for pair in sorted(pairs, key=sorted):
                a, b = sorted(pair)
                bonds.append((names[a], names[b], 2 if pair in double else 1))
        links = [(self.atoms[row]["C"], self.atoms[row + 1]["N"], 1) for row in range(first - 1, last + 1)]
        return bonds + links
