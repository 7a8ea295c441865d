"""What docking networks are told of the atoms of ligands and receptors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.atom_types import AtomType

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

ELEMENTS = (6, 7, 8, 9, 16, 15, 17, 35, 53, 5, 14, 34)
"""Atomic numbers that have a code of their own; all others share the next one."""

RINGS = (3, 4, 5, 6, 7)
"""Sizes of rings that have a code of their own, after 0 for none; larger ones share the next one."""

LIGAND_CODES = (len(ELEMENTS) + 1, 7, 5, 5, 2, len(RINGS) + 2, 8, 4)
"""Categories: element, heavy neighbours, hydrogens, formal charge, aromaticity, smallest ring, hybridisation, rings."""

RESIDUES = (
    *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE"),
    *("LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL"),
)
BACKBONE = ("N", "CA", "C", "O")

RECEPTOR_CODES = (len(AtomType) + 1, len(RESIDUES) + 2, 2)
"""Categories: atom type, residue (any other amino acid, then what is none), backbone."""

BOND_KINDS = {1.0: 1, 2.0: 2, 3.0: 3, 1.5: 4}
"""Order of a bond -> its kind; others count as single."""


def ligand_codes(structure: Structure) -> NDArray[np.int64]:
    """Categories of every atom, `[N, 8]` by `LIGAND_CODES`. Raises InputError where RDKit refuses the molecule."""
    from eqcli.io.rdkit_molecule import molecule_of, sanitised

    molecule = sanitised(molecule_of(structure))
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


def rigid_pairs(structure: Structure) -> NDArray[np.int64]:
    """Pairs of heavy atoms whose distance no torsion changes, `[P, 2]`: bonds, bonds' ends, and rings."""
    from eqcli.io.rdkit_molecule import molecule_of, sanitised

    molecule = sanitised(molecule_of(structure))
    pairs: set[tuple[int, int]] = set()
    for atom in molecule.GetAtoms():
        near = [n.GetIdx() for n in atom.GetNeighbors()]
        pairs.update(_ordered(atom.GetIdx(), k) for k in near)
        pairs.update(_ordered(k, m) for k in near for m in near if k != m)
    for ring in molecule.GetRingInfo().AtomRings():
        if len(ring) <= RIGID_RING:
            pairs.update(_ordered(k, m) for k in ring for m in ring if k != m)
    heavy = structure.numbers > 1
    return np.array([p for p in sorted(pairs) if heavy[list(p)].all()], dtype=np.int64).reshape(-1, 2)


RIGID_RING = 7
"""Atoms of the largest ring that keeps its shape as a whole."""


def _ordered(i: int, j: int) -> tuple[int, int]:
    return (i, j) if i < j else (j, i)


def receptor_codes(structure: Structure) -> NDArray[np.int64]:
    """Categories of atoms of a prepared receptor, `[N, 3]` by `RECEPTOR_CODES`."""
    types = np.asarray(structure.arrays["atom_type"], dtype=np.int64)
    names = np.asarray(structure.arrays["residue_name"])
    hetero = np.asarray(structure.arrays["hetero"], dtype=bool)
    codes = np.where(hetero, len(RESIDUES) + 1, len(RESIDUES))
    for code, name in enumerate(RESIDUES):
        codes[names == name] = code
    backbone = np.isin(np.asarray(structure.arrays["atom_name"]), BACKBONE) & (codes <= len(RESIDUES))
    return np.stack([np.where(types < 0, len(AtomType), types), codes, backbone.astype(np.int64)], axis=1)
