"""What a generator is taught of a molecule besides its atoms: bonds, formal charges and hybridisations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eqcli.data.molecules import BOND_CODES
from eqcli.errors import InputError
from eqcli.io.structure import Structure

TIMEOUT = 5.0
"""Seconds that the search for the bonds of one molecule may take."""


def featured(structure: Structure, *, bonds: bool, aromatic: bool = False) -> Structure:
    """The molecule with what generators learn.

    Parameters
    ----------
    bonds
        Whether bonds, formal charges and hybridisations are wanted: those that the file states, or, where it
        states none, those that RDKit finds from the positions.
    aromatic
        Whether aromatic bonds are bonds of their own; single and double ones stand for them otherwise.

    Raises
    ------
    InputError
        The structure is periodic, has no positions in space, or no bonds that RDKit accepts.
    """
    if structure.pbc.any():
        raise InputError("a periodic structure, and no molecule", structure.where)
    if not np.isfinite(structure.positions).all():
        raise InputError("positions are not finite", structure.where)
    if not bonds:
        return structure
    from eqcli.io.rdkit_molecule import molecule_of, sanitised, structure_of, with_bonds

    given = structure if structure.info.get("bonds") or len(structure) == 1 else with_bonds(structure, timeout=TIMEOUT)
    molecule = sanitised(molecule_of(given, bonds=given.info.get("bonds") or ()))
    kinds = np.array([int(atom.GetHybridization()) for atom in molecule.GetAtoms()], dtype=np.int64)
    made = structure_of(molecule, aromatic=aromatic)
    if odd := [bond for bond in made.info["bonds"] if bond[2] not in BOND_CODES]:
        i, j, order = odd[0]
        raise InputError(f"the bond of atoms {i + 1} and {j + 1} has the order {order:g}", structure.where)
    info = {**structure.info, "bonds": made.info["bonds"]}
    made = replace(made, info=info, energy=structure.energy, where=structure.where)
    made.arrays["hybridisation"] = kinds
    return made
