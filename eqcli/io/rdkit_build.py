"""An RDKit molecule from the atoms, charges, bonds and positions of a structure, as they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError, Where
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from rdkit.Chem import Mol

Bond = Sequence[float]
"""Two atoms, from 0, and an order."""

AROMATIC = 1.5
ATOM_ARRAYS = ("formal_charge", "isotope", "radical_electrons")
"""Arrays of a structure that belong to its atoms in RDKit."""


def molecule_of(structure: Structure, *, bonds: Iterable[Bond] | None = None) -> Mol:
    """The molecule of a structure with the given bonds, or else those of `info["bonds"]`; not sanitised.

    It has the formal charges, isotopes and radicals of the structure and one conformer.

    Raises
    ------
    InputError
        There are no bonds (an empty list says that there are none, and is taken), or they are no bonds of these
        atoms; an atom is no element or its position no number.
    """
    from rdkit import Chem

    given = structure.info.get("bonds") if bonds is None else bonds
    if given is None and len(structure) > 1:
        raise InputError("this molecule has no bonds", structure.where, "Bonds are stated by SDF and MOL files.")
    molecule = _atoms(structure)
    for bond in given or ():
        add_bond(molecule, bond, structure.where)
    molecule.AddConformer(_conformer(structure))
    plain: Mol = Chem.Mol(molecule)
    return plain


def _atoms(structure: Structure) -> Any:
    from rdkit import Chem

    outside = np.flatnonzero((structure.numbers < 1) | (structure.numbers >= len(SYMBOLS)))
    if len(outside):
        raise InputError(f"atom {outside[0] + 1} is no element", structure.where)
    molecule = Chem.RWMol()
    values = [_integers(structure, name) for name in ATOM_ARRAYS]
    for z, charge, isotope, radicals in zip(structure.numbers.tolist(), *values, strict=True):
        atom = Chem.Atom(z)
        atom.SetNoImplicit(True)
        atom.SetFormalCharge(charge)
        atom.SetIsotope(isotope)
        atom.SetNumRadicalElectrons(radicals)
        molecule.AddAtom(atom)
    return molecule


def _integers(structure: Structure, name: str) -> list[int]:
    values = structure.arrays.get(name)
    if values is None:
        return [0] * len(structure)
    return [int(value) for value in np.asarray(values).ravel()]


def add_bond(molecule: Any, bond: Bond, where: Where) -> None:
    """Adds a bond `(i, j, order)` to an editable molecule. Raises InputError where it is none or there already."""
    from rdkit import Chem

    types = {0: Chem.BondType.ZERO, 1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE,
             4: Chem.BondType.QUADRUPLE, AROMATIC: Chem.BondType.AROMATIC}  # fmt: skip
    i, j, order = int(bond[0]), int(bond[1]), float(bond[2])
    if not (0 <= i < molecule.GetNumAtoms() and 0 <= j < molecule.GetNumAtoms()) or i == j:
        raise InputError(f"a bond between atoms {i + 1} and {j + 1} of {molecule.GetNumAtoms()}", where)
    if order not in types:
        raise InputError(f"the bond of atoms {i + 1} and {j + 1} has the unknown order {order:g}", where)
    if molecule.GetBondBetweenAtoms(i, j) is not None:
        raise InputError(f"atoms {i + 1} and {j + 1} have two bonds with each other", where)
    molecule.AddBond(i, j, types[order])
    if order == AROMATIC:
        molecule.GetBondBetweenAtoms(i, j).SetIsAromatic(True)
        for k in (i, j):
            molecule.GetAtomWithIdx(k).SetIsAromatic(True)


def _conformer(structure: Structure) -> Any:
    from rdkit import Chem

    if not np.isfinite(structure.positions).all():
        raise InputError("a position is not a finite number", structure.where)
    conformer = Chem.Conformer(len(structure))
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(structure.positions))
    return conformer
