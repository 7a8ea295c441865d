"""What docking networks are told of the atoms of ligands and receptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.data.molecules import BOND_CODES
from eqcli.io.atom_types import AtomType
from eqcli.io.receptor_residues import AMINO_ACIDS

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from eqcli.io.structure import Structure

Integers = NDArray[np.int64]

ELEMENTS = (6, 7, 8, 9, 16, 15, 17, 35, 53, 5, 14, 34)
"""Atomic numbers that have a code of their own; all others share the next one."""

RINGS = (3, 4, 5, 6, 7)
"""Sizes of rings that have a code of their own, after 0 for none; larger ones share the next one."""

LIGAND_CODES = (len(ELEMENTS) + 1, 7, 5, 5, 2, len(RINGS) + 2, 8, 4)
"""Categories: element, heavy neighbours, hydrogens, formal charge, aromaticity, smallest ring, hybridisation, rings."""

BACKBONE = ("N", "CA", "C", "O")

RECEPTOR_CODES = (len(AtomType) + 1, len(AMINO_ACIDS) + 2, 2)
"""Categories: atom type, residue (any other amino acid, then what is none), backbone."""


@dataclass(frozen=True)
class HeavyLigand:
    """The heavy atoms of a ligand as docking networks are told of them.

    Attributes
    ----------
    heavy, place
        Number of each heavy atom among all atoms, `[n]`; the heavy atom that each atom is, -1 for hydrogens, `[N]`.
    codes
        Categories, `[n, 8]`.
    bonds
        Two heavy atoms and the code of each bond, `[m, 3]`.
    rigid
        Pairs of heavy atoms that keep their distance, `[P, 2]`.
    """

    heavy: Integers
    place: Integers
    codes: Integers
    bonds: Integers
    rigid: Integers


def heavy_ligand(structure: Structure) -> HeavyLigand:
    """The heavy atoms of a ligand. Raises InputError where RDKit refuses the molecule."""
    from eqcli.io.rdkit_molecule import molecule_of, sanitised

    molecule = sanitised(molecule_of(structure))
    heavy = np.flatnonzero(structure.numbers > 1)
    place = np.full(len(structure), -1, dtype=np.int64)
    place[heavy] = np.arange(len(heavy))
    return HeavyLigand(
        heavy,
        place,
        ligand_codes(molecule)[heavy],
        heavy_bonds(molecule, place),
        place[rigid_pairs(molecule)].reshape(-1, 2),
    )


def ligand_codes(molecule: Mol) -> Integers:
    """Categories of every atom of a sanitised molecule, `[N, 8]` by `LIGAND_CODES`."""
    rings = [set(ring) for ring in molecule.GetRingInfo().AtomRings()]
    return np.array([_atom(atom, rings) for atom in molecule.GetAtoms()], dtype=np.int64).reshape(-1, len(LIGAND_CODES))


def _atom(atom: Any, rings: list[set[int]]) -> list[int]:
    hydrogens = sum(n.GetAtomicNum() == 1 for n in atom.GetNeighbors())
    own = [len(ring) for ring in rings if atom.GetIdx() in ring]
    number = atom.GetAtomicNum()
    return [
        ELEMENTS.index(number) if number in ELEMENTS else len(ELEMENTS),
        min(atom.GetDegree() - hydrogens, 6),
        min(hydrogens, 4),
        min(max(atom.GetFormalCharge(), -2), 2) + 2,
        int(atom.GetIsAromatic()),
        _ring(min(own, default=0)),
        min(int(atom.GetHybridization()), 7),
        min(len(own), 3),
    ]


def _ring(size: int) -> int:
    if size == 0:
        return 0
    return RINGS.index(size) + 1 if size in RINGS else len(RINGS) + 1


def rigid_pairs(molecule: Mol) -> Integers:
    """Pairs of heavy atoms whose distance no torsion changes, `[P, 2]`: bonds, bonds' ends, and rings."""
    pairs: set[tuple[int, int]] = set()
    for atom in molecule.GetAtoms():
        near = [n.GetIdx() for n in atom.GetNeighbors()]
        pairs.update(_ordered(atom.GetIdx(), k) for k in near)
        pairs.update(_ordered(k, m) for k in near for m in near if k != m)
    for ring in molecule.GetRingInfo().AtomRings():
        if len(ring) <= RIGID_RING:
            pairs.update(_ordered(k, m) for k in ring for m in ring if k != m)
    heavy = [atom.GetAtomicNum() > 1 for atom in molecule.GetAtoms()]
    return np.array([(i, j) for i, j in sorted(pairs) if heavy[i] and heavy[j]], dtype=np.int64).reshape(-1, 2)


RIGID_RING = 7
"""Atoms of the largest ring that keeps its shape as a whole."""


def _ordered(i: int, j: int) -> tuple[int, int]:
    return (i, j) if i < j else (j, i)


def heavy_bonds(molecule: Mol, place: Integers) -> Integers:
    """Bonds between heavy atoms with the codes of `BOND_CODES`, `[m, 3]`; `place` is -1 for hydrogens.

    Aromatic bonds are those that RDKit finds, whichever of them a file draws double; other orders count as single.
    """
    rows = [
        (place[bond.GetBeginAtomIdx()], place[bond.GetEndAtomIdx()], BOND_CODES.get(bond.GetBondTypeAsDouble(), 1))
        for bond in molecule.GetBonds()
    ]
    kept = [row for row in rows if row[0] >= 0 and row[1] >= 0]
    return np.array(kept, dtype=np.int64).reshape(-1, 3)


def receptor_codes(structure: Structure) -> Integers:
    """Categories of atoms of a prepared receptor, `[N, 3]` by `RECEPTOR_CODES`."""
    types = np.asarray(structure.arrays["atom_type"], dtype=np.int64)
    names = np.asarray(structure.arrays["residue_name"])
    hetero = np.asarray(structure.arrays["hetero"], dtype=bool)
    codes = np.where(hetero, len(AMINO_ACIDS) + 1, len(AMINO_ACIDS))
    for code, name in enumerate(AMINO_ACIDS):
        codes[names == name] = code
    backbone = np.isin(np.asarray(structure.arrays["atom_name"]), BACKBONE) & (codes <= len(AMINO_ACIDS))
    return np.stack([np.where(types < 0, len(AtomType), types), codes, backbone.astype(np.int64)], axis=1)
