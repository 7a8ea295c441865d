"""The Vina type of each atom of a ligand, by the rules with which Meeko prepares ligands and Vina reads them.

Nitrogen without a lone pair to give (charged, pyrrole-like, amide, aniline) accepts nothing; all other nitrogen and
all oxygen does. Both give where they carry a hydrogen. Carbon is hydrophobic where no neighbour but carbon and
hydrogen is bonded to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.atom_types import type_of

if TYPE_CHECKING:
    from rdkit.Chem import Mol

NO_ACCEPTOR = ("[#7X3v3][a]", "[#7X3v3][#6X3v4]", "[#7X3v3][NX2]=[*]", "[#7+1]")
"""Nitrogen whose lone pair is not free, beside aromatic rings, double bonds and in cations."""


def ligand_types(molecule: Mol) -> NDArray[np.int64]:
    """`AtomType` of each atom, -1 for hydrogens, `[N]`, of a sanitised molecule with all its hydrogens."""
    from rdkit import Chem

    poor: set[int] = set()
    for pattern in NO_ACCEPTOR:
        matches = molecule.GetSubstructMatches(Chem.MolFromSmarts(pattern), maxMatches=100_000)
        poor.update(match[0] for match in matches)
    return np.array([_type(atom, atom.GetIdx() not in poor) for atom in molecule.GetAtoms()], dtype=np.int64)


def _type(atom: Any, accepts: bool) -> int:
    near = {neighbour.GetAtomicNum() for neighbour in atom.GetNeighbors()}
    return type_of(atom.GetAtomicNum(), polar=bool(near - {1, 6}), donor=1 in near, acceptor=accepts)
