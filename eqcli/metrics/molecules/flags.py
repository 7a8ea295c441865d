"""What is plainly wrong with a generated molecule, in words that fit a column."""

from __future__ import annotations

import numpy as np

from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.fragments import fragments

OVERLAP = 0.5
"""Å. No two atoms of a molecule are so near: the bond of H2 is 0.74 Å long."""


def flags_of(structure: Structure) -> list[str]:
    """`overlap`: two atoms in one place; `fragments`: bonds do not connect all; `valence`: RDKit refuses the bonds.

    The last two need bonds; a molecule without flags may still be a strange one.
    """
    found = []
    if len(structure) > 1:
        gaps = np.linalg.norm(structure.positions[:, None] - structure.positions, axis=2)
        if gaps[np.triu_indices(len(structure), 1)].min() < OVERLAP:
            found.append("overlap")
    bonds = structure.info.get("bonds")
    if bonds is None:
        return found
    if fragments(len(structure), bonds) > 1:
        found.append("fragments")
    from eqcli.io.rdkit_molecule import molecule_of, sanitised

    try:
        sanitised(molecule_of(structure))
    except InputError:
        found.append("valence")
    return found
