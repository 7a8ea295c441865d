"""The graph of a molecule that decides which atoms are the same: elements and kinds of bonds, no charges.

Aromatic bonds are one kind, and the oxygens (nitrogens, sulphurs) at the ends of a carboxylate, phosphate, nitro group
or amidine are bonded alike, so that Kekulé forms and charges do not matter.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from rdkit.Chem import Mol


def plain_graph(structure: Structure, *, kinds: bool, hydrogens: bool = False) -> tuple[Mol, NDArray[np.int64]]:
    """The graph, and the atom of the structure that each of its atoms is.

    Parameters
    ----------
    structure
        With bonds.
    kinds
        Whether kinds of bonds count; all are single otherwise, and where RDKit cannot sanitise the molecule.
    hydrogens
        Whether hydrogens are part of it.

    Raises
    ------
    InputError
        The molecule has no bonds.
    """
    from rdkit import Chem
    from rdkit.Chem import BondType

    molecule = molecule_of(structure)
    if kinds:
        try:
            molecule = sanitised(molecule)
        except InputError:
            kinds = False
    graph = Chem.RWMol()
    place: dict[int, int] = {}
    for atom in molecule.GetAtoms():
        if hydrogens or atom.GetAtomicNum() > 1:
            plain = Chem.Atom(atom.GetAtomicNum())
            plain.SetNoImplicit(True)
            place[atom.GetIdx()] = graph.AddAtom(plain)
    alike = _ends_alike(molecule) if kinds else set()
    for bond in molecule.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if i in place and j in place:
            kind = bond.GetBondType() if kinds and bond.GetIdx() not in alike else BondType.SINGLE
            graph.AddBond(place[i], place[j], kind)
    plain_molecule: Mol = graph.GetMol()
    plain_molecule.UpdatePropertyCache(strict=False)
    return plain_molecule, np.array(list(place), dtype=np.int64)


def _ends_alike(molecule: Mol) -> set[int]:
    """Bonds of N, O and S that end at one atom with orders that another Kekulé form exchanges."""
    alike: set[int] = set()
    for atom in molecule.GetAtoms():
        ends: dict[int, list[Any]] = defaultdict(list)
        for bond in atom.GetBonds():
            end = bond.GetOtherAtom(atom)
            heavy = sum(n.GetAtomicNum() > 1 for n in end.GetNeighbors())
            if end.GetAtomicNum() in (7, 8, 16) and heavy == 1:
                ends[end.GetAtomicNum()].append(bond)
        for bonds in ends.values():
            if len({bond.GetBondType() for bond in bonds}) > 1:
                alike.update(bond.GetIdx() for bond in bonds)
    return alike


def with_neighbours(structure: Structure) -> Structure:
    """The structure with bonds of order 1 between atoms that touch, where it states no bonds; itself otherwise."""
    from dataclasses import replace

    from rdkit import rdBase
    from rdkit.Chem import rdDetermineBonds

    if structure.info.get("bonds") is not None or len(structure) < 2:
        return structure
    molecule = molecule_of(structure, bonds=())
    with rdBase.BlockLogs():
        rdDetermineBonds.DetermineConnectivity(molecule)
    bonds = [[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), 1] for bond in molecule.GetBonds()]
    return replace(structure, info={**structure.info, "bonds": bonds})
