"""Whether a molecule is the same after its relaxation: at rest, with its bonds and SMILES, and not strained before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.tasks.relax_molecules import STRAIN
from eqcli.tasks.sound_molecule import INVALID, KeyOf, Unsound, contacts, named

RESTLESS, REARRANGED, CHANGED, STRAINED = "not at rest", "rearranged", "changed", "strained"
"""Kinds of reasons, in the order in which they are looked at."""

BROKEN = 1.3
"""Share of the sum of the covalent radii beyond which a bond is none. The longest of all, that of F2, has 1.25."""

FORMED = 1.15
"""Share below which two atoms are bonded whether it is stated or not. A new bond between oxygens has 1.13; the nearest
atoms without a bond are those of bicyclo[1.1.1]pentane, with 1.23."""


@dataclass(frozen=True)
class Unchanged:
    """What is asked of a relaxed molecule; calling it gives the fault, or None.

    Attributes
    ----------
    max_strain
        eV. Most energy that the relaxation may have released; None for any.
    """

    max_strain: float | None = None

    def __call__(self, structure: Structure) -> Unsound | None:
        info = structure.info
        smiles = str(info.get("smiles", ""))
        if not info.get("converged", True):
            steps, force = info.get("relax_steps"), info.get("fmax")
            left = f", with a force of {force:.2g} eV/Å left" if isinstance(force, float) else ""
            return Unsound(RESTLESS, f"it did not come to rest in {steps} steps{left}", smiles)
        if info.get("bonds") is None and len(structure) > 1:
            return Unsound(INVALID, "it has no bonds", smiles)
        if rearranged := bond_changes(structure):
            return Unsound(REARRANGED, "; ".join(rearranged), smiles)
        try:
            found = KeyOf(stereo=True)(structure)
        except InputError as error:
            return Unsound(INVALID, error.message, smiles)
        if smiles and found != smiles:
            return Unsound(CHANGED, f"it was {smiles} and is {found}", smiles)
        strain = info.get(STRAIN)
        if self.max_strain is not None and isinstance(strain, float) and strain > self.max_strain:
            return Unsound(STRAINED, f"its relaxation released {strain:.2f} eV, more than {self.max_strain:g}", smiles)
        return None


def bond_changes(structure: Structure) -> list[str]:
    """Bonds that are stated and are none by their length, and pairs that are bonded by their distance unstated."""
    shares = contacts(structure)
    stated = np.zeros(shares.shape, dtype=bool)
    for i, j, _ in structure.info.get("bonds") or ():
        stated[int(i), int(j)] = stated[int(j), int(i)] = True
    wrong = (stated & (shares > BROKEN)) | (~stated & (shares < FORMED))
    return [
        f"{named(structure, i)} and {named(structure, j)} are {'no longer' if stated[i, j] else 'now'} bonded"
        for i, j in np.argwhere(np.triu(wrong)).tolist()
    ]
