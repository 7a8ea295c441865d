"""Molecules between `Structure` and RDKit: atoms, charges and bonds as they stand, and bonds found from positions.

Every hydrogen is an atom of its own: RDKit adds none, so that what a valence lacks is a radical, not a guess.
Bonds are `[i, j, order]` with order 1, 2, 3 or 4, 1.5 for aromatic and 0 for contacts without an order. The arrays
`formal_charge`, `isotope` (mass number, 0 for the natural mixture) and `radical_electrons` are there where any atom
has one. Messages count atoms from 1.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.rdkit_build import ATOM_ARRAYS
from eqcli.io.rdkit_build import molecule_of as molecule_of
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from rdkit.Chem import Mol

PERCEIVED = 500
"""Heavy atoms of the largest molecule whose bonds are perceived."""

SEARCHES = (1_000, 10_000, 100_000)
"""Trials of bond orders; ten thousand take a tenth of a second, and whole molecules a few."""


def sanitised(molecule: Mol) -> Mol:
    """A copy with valences checked, aromaticity found and stereochemistry taken from the positions.

    Raises
    ------
    InputError
        RDKit refuses it; the message is the reason, e.g. `atom 3 (C) has the valence 5`.
    """
    from rdkit import Chem, rdBase

    copy = Chem.Mol(molecule)
    with rdBase.BlockLogs():
        try:
            Chem.SanitizeMol(copy)
        except (ValueError, RuntimeError) as error:
            raise InputError(_reason(molecule, error)) from error
        if copy.GetNumConformers() and copy.GetConformer().Is3D():
            Chem.AssignStereochemistryFrom3D(copy)
    return copy


def _reason(molecule: Mol, error: Exception) -> str:
    """Why RDKit refuses a molecule: the first fault that it finds, with what it is called in chemistry."""
    from rdkit import Chem

    faults = Chem.DetectChemistryProblems(molecule)
    fault = faults[0] if faults else None
    kind = fault.GetType() if fault is not None else ""
    if kind in ("AtomValenceException", "AtomKekulizeException") and fault is not None:
        atom = molecule.GetAtomWithIdx(fault.GetAtomIdx())
        name = f"atom {atom.GetIdx() + 1} ({atom.GetSymbol()})"
        if kind == "AtomKekulizeException":
            return f"{name} has an aromatic bond outside a ring"
        valence = sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds())
        charge = f" with the charge {atom.GetFormalCharge():+d}" if atom.GetFormalCharge() else ""
        return f"{name} has the valence {valence:g}{charge}"
    if kind == "KekulizeException" and fault is not None:
        atoms = ", ".join(str(i + 1) for i in fault.GetAtomIndices())
        return f"no single and double bonds can be given to the aromatic atoms {atoms}"
    return " ".join(str(error).split()) or "RDKit cannot sanitise it"


def hybridisations(molecule: Mol) -> list[int]:
    """RDKit's hybridisation of each atom as the number of its enumeration (1 s, 2 sp, 3 sp2, 4 sp3, ...).

    Raises InputError where the molecule cannot be sanitised.
    """
    return [int(atom.GetHybridization()) for atom in sanitised(molecule).GetAtoms()]


def structure_of(molecule: Mol, info: dict[str, Any] | None = None, *, aromatic: bool = False) -> Structure:
    """The structure of a molecule with one conformer or more, the first of which is taken.

    Parameters
    ----------
    molecule
        With all hydrogens as atoms.
    info
        Entries of the structure, beside `bonds`.
    aromatic
        Whether aromatic bonds stay (order 1.5); single and double ones stand for them otherwise.

    Raises
    ------
    InputError
        No atoms or no positions; hydrogens that are no atoms; aromatic bonds that have no Kekulé form.
    """
    from rdkit import Chem, rdBase

    if molecule.GetNumAtoms() == 0 or molecule.GetNumConformers() == 0:
        raise InputError("the molecule has no atoms or no positions")
    copy = Chem.Mol(molecule)
    with rdBase.BlockLogs():
        copy.UpdatePropertyCache(strict=False)
        if any(atom.GetTotalNumHs() for atom in copy.GetAtoms()):
            raise InputError("the molecule has hydrogens that are no atoms", hint="Add them with RDKit's AddHs.")
        if not aromatic:
            try:
                Chem.Kekulize(copy, clearAromaticFlags=True)
            except (ValueError, RuntimeError) as error:
                raise InputError(_reason(molecule, error)) from error
    arrays = atom_arrays(copy)
    return Structure(
        numbers=np.array([atom.GetAtomicNum() for atom in copy.GetAtoms()], dtype=np.int64),
        positions=np.array(copy.GetConformer().GetPositions(), dtype=np.float64),
        charge=float(arrays.get("formal_charge", np.zeros(1)).sum()),
        info={**(info or {}), "bonds": bonds_of(copy)},
        arrays=arrays,
    )


def bonds_of(molecule: Mol) -> list[list[int | float]]:
    """The bonds `[i, j, order]` of a molecule, dative ones as single."""
    orders = ((bond, float(bond.GetBondTypeAsDouble())) for bond in molecule.GetBonds())
    return [[b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(o) if o.is_integer() else o] for b, o in orders]


def atom_arrays(molecule: Mol) -> dict[str, NDArray[Any]]:
    """Formal charges, isotopes and radical electrons by `ATOM_ARRAYS`, those that are not all zero."""
    atoms = list(molecule.GetAtoms())
    columns = (
        [atom.GetFormalCharge() for atom in atoms],
        [atom.GetIsotope() for atom in atoms],
        [atom.GetNumRadicalElectrons() for atom in atoms],
    )
    return {name: np.array(c, dtype=np.int64) for name, c in zip(ATOM_ARRAYS, columns, strict=True) if any(c)}


def smiles_of(molecule: Mol, *, hydrogens: bool = False) -> str:
    """Canonical isomeric SMILES of a sanitised molecule; hydrogens are written as atoms only when asked for."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        plain = molecule if hydrogens else Chem.RemoveHs(molecule)
        return str(Chem.MolToSmiles(plain))


def with_bonds(structure: Structure, *, charge: int | None = None, timeout: float | None = None) -> Structure:
    """The structure with bonds and formal charges that RDKit finds from its positions, in a Kekulé form.

    Kim and Kim, Bull. Korean Chem. Soc. 36, 1769 (2015), as in RDKit's DetermineBonds, with neighbours by
    connecting the dots. The search for bond orders of a distorted molecule can last for ever: it is limited.

    Parameters
    ----------
    structure
        A molecule with all its hydrogens.
    charge
        Of the whole molecule; that of the structure, or else 0, when None.
    timeout
        Seconds that the search may take, roughly; the limit of trials alone holds when None.

    Raises
    ------
    InputError
        No bonds fit the atoms and the charge; the search was given up; periodic or too large.
    """
    from rdkit import rdBase

    total = round(structure.charge or 0) if charge is None else charge
    heavy = int((structure.numbers > 1).sum())
    if structure.pbc.any():
        raise InputError("bonds are perceived in molecules, and this structure is periodic", structure.where)
    if heavy > PERCEIVED:
        raise InputError(f"{heavy} heavy atoms: bonds are perceived in up to {PERCEIVED}", structure.where)
    # Charges and radicals that the structure states would stay beside those that are found.
    kept = {
        name: values for name, values in structure.arrays.items() if name not in ("formal_charge", "radical_electrons")
    }
    molecule = molecule_of(replace(structure, arrays=kept), bonds=())
    with rdBase.BlockLogs():
        try:
            if len(structure) > 1:
                _perceive(molecule, total, timeout)
            else:
                molecule.GetAtomWithIdx(0).SetFormalCharge(total)
            found = structure_of(sanitised(molecule))
        except InputError as error:
            raise InputError(error.message, structure.where) from error
        except (ValueError, RuntimeError) as error:
            raise InputError(_misfit(structure, str(error), total), structure.where) from error
    info = {**structure.info, "bonds": found.info["bonds"]}
    return replace(structure, charge=float(total), info=info, arrays={**kept, **found.arrays})


def _perceive(molecule: Mol, charge: int, timeout: float | None) -> None:
    from rdkit.Chem import rdDetermineBonds

    begin = time.monotonic()
    for trials in SEARCHES:
        try:
            rdDetermineBonds.DetermineBonds(molecule, charge=charge, embedChiral=False, maxIterations=trials)
            return
        except RuntimeError:
            # The next search is ten times as long.
            last = trials == SEARCHES[-1] or (timeout is not None and 10 * (time.monotonic() - begin) > timeout)
            if last:
                raise


def _misfit(structure: Structure, words: str, charge: int) -> str:
    """RDKit's words on a failed perception in ours; its atoms count from 0."""
    atom = re.search(r"valence of atom (\d+) .* and (\d+) bonds", words)
    if atom is not None:
        k = int(atom[1])
        return f"atom {k + 1} ({SYMBOLS[structure.numbers[k]]}) has {atom[2]} neighbours, and no valence fits them"
    if "Max Iterations" in words:
        return "the search for bond orders was given up: too many are possible"
    return f"no bond orders fit the neighbours of these atoms and the charge {charge}"
