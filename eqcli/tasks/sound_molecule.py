"""Whether one generated molecule is chemistry: its bonds and valences, one piece, no radicals, no overlaps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import COVALENT_RADII, SYMBOLS
from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.tasks.screen_result import FLAG

if TYPE_CHECKING:
    from rdkit.Chem import Mol

OVERLAP, NO_BONDS, INVALID, PIECES, RADICAL, CHARGED = (
    "overlap",
    "no bonds",
    "invalid",
    "not connected",
    "radical",
    "charged",
)
"""Kinds of reasons to drop a molecule, in the order in which they are looked at."""

MIN_CONTACT = 0.6
"""Share of the sum of their covalent radii below which two atoms are on top of each other. The shortest bonds, as in
H2 and CO, have 0.8 or more."""


@dataclass(frozen=True)
class Sound:
    """A molecule that passed.

    Attributes
    ----------
    structure
        With bonds of whole orders, formal charges, and `smiles` in `info`.
    key
        What it is compared by: its SMILES, with or without stereochemistry.
    """

    structure: Structure
    key: str


@dataclass(frozen=True)
class Unsound:
    """A molecule that did not: the kind of the reason, the reason in words, its SMILES as far as it has one."""

    kind: str
    reason: str
    smiles: str = ""


@dataclass(frozen=True)
class Soundness:
    """What is asked of a molecule; calling it with one gives the verdict.

    Attributes
    ----------
    perceive
        Whether bonds are found from the positions where there are none.
    charged
        Whether a molecule may have a total charge.
    stereo
        Whether stereoisomers have different keys.
    min_contact
        Share of the sum of their covalent radii below which two atoms are on top of each other.
    """

    perceive: bool = False
    charged: bool = False
    stereo: bool = False
    min_contact: float = MIN_CONTACT

    def __call__(self, structure: Structure) -> Sound | Unsound:
        if (found := self._placed(structure)) is not None:
            return found
        if structure.info.get("bonds") is None and len(structure) > 1:
            if not self.perceive:
                return Unsound(NO_BONDS, "it has no bonds")
            try:
                structure = perceived(structure)
            except InputError as error:
                return Unsound(NO_BONDS, f"it has no bonds, and none fit its positions: {error.message}")
        return self._bonded(structure)

    def _placed(self, structure: Structure) -> Unsound | None:
        """What is wrong with the atoms alone."""
        if not len(structure):
            return Unsound(FLAG, "it has no atoms")
        if not ((structure.numbers > 0) & (structure.numbers < len(SYMBOLS))).all():
            return Unsound(FLAG, "it has atoms of no element")
        if not np.isfinite(structure.positions).all():
            return Unsound(FLAG, "its positions are not finite")
        shares = contacts(structure)
        i, j = sorted(divmod(int(shares.argmin()), len(structure)))
        if shares[i, j] < self.min_contact:
            distance = float(np.linalg.norm(structure.positions[i] - structure.positions[j]))
            pair = " and ".join(named(structure, k) for k in (i, j))
            share = f"{shares[i, j]:.2f} of the sum of their covalent radii"
            return Unsound(OVERLAP, f"{pair} are {distance:.2f} Å apart, {share}")
        return None

    def _bonded(self, structure: Structure) -> Sound | Unsound:
        """What is wrong with the bonds, or the molecule as RDKit understands it."""
        from rdkit import Chem

        from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of, structure_of

        try:
            molecule = sanitised(molecule_of(structure))
            whole = structure_of(molecule)
        except InputError as error:
            return Unsound(INVALID, error.message)
        smiles = smiles_of(molecule)
        if (pieces := len(Chem.GetMolFrags(molecule))) > 1:
            return Unsound(PIECES, f"it is in {pieces} pieces", smiles)
        if radicals := _radicals(structure, molecule):
            return Unsound(RADICAL, radicals, smiles)
        charge = Chem.GetFormalCharge(molecule)
        if charge and not self.charged:
            return Unsound(CHARGED, f"it has the charge {charge:+d}", smiles)
        if flags := structure.info.get("flags"):
            # Last, since the other reasons say more than a flag.
            return Unsound(FLAG, f"flagged by what made it: {flags}", smiles)
        info = {**structure.info, "bonds": whole.info["bonds"], "smiles": smiles}
        # Charges that were zero everywhere are no array of the new structure.
        arrays = {name: values for name, values in structure.arrays.items() if name != "formal_charge"} | whole.arrays
        return Sound(replace(structure, info=info, arrays=arrays, charge=float(charge)), self._key(molecule, smiles))

    def _key(self, molecule: Mol, smiles: str) -> str:
        return smiles if self.stereo else flat_smiles(molecule)


@dataclass(frozen=True)
class KeyOf:
    """The key of a known molecule, of which nothing else is asked. Raises InputError where it has none."""

    stereo: bool = False

    def __call__(self, structure: Structure) -> str:
        from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of

        if structure.info.get("bonds") is None and len(structure) > 1:
            structure = perceived(structure)
        molecule = sanitised(molecule_of(structure))
        return smiles_of(molecule) if self.stereo else flat_smiles(molecule)


def perceived(structure: Structure) -> Structure:
    """The same with bonds found from its positions. Raises InputError where there are none that fit."""
    from eqcli.io.rdkit_molecule import with_bonds

    return with_bonds(structure)


def flat_smiles(molecule: Mol) -> str:
    """Canonical SMILES without stereochemistry."""
    from rdkit import Chem

    from eqcli.io.rdkit_molecule import smiles_of

    flat = Chem.Mol(molecule)
    Chem.RemoveStereochemistry(flat)
    return smiles_of(flat)


def contacts(structure: Structure) -> NDArray[Any]:
    """Distances of all pairs as shares of the sums of their covalent radii, `[N, N]`, infinite on the diagonal."""
    radii = np.array(COVALENT_RADII)[structure.numbers]
    distances = np.linalg.norm(structure.positions[:, None] - structure.positions[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    found: NDArray[Any] = distances / (radii[:, None] + radii[None])
    return found


def named(structure: Structure, atom: int) -> str:
    """How reasons name an atom: its number from 1 and its element."""
    return f"atom {atom + 1} ({SYMBOLS[int(structure.numbers[atom])]})"


def _radicals(structure: Structure, molecule: Mol) -> str:
    """Which atoms have bonds too few; empty where none has."""
    open_shells = [atom.GetIdx() for atom in molecule.GetAtoms() if atom.GetNumRadicalElectrons()]
    if not open_shells:
        return ""
    few = ", ".join(named(structure, k) for k in open_shells[:3])
    rest = f" and {len(open_shells) - 3} more" if len(open_shells) > 3 else ""
    return f"{few}{rest} {'has' if len(open_shells) == 1 else 'have'} unpaired electrons"
