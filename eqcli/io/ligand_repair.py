"""Valences that files leave wrong, set right where there is one way to do it, and refused by name otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import sanitised

if TYPE_CHECKING:
    from rdkit.Chem import Mol

ONIUM = {7: (4, 1), 8: (3, 1), 16: (3, 1), 15: (4, 1), 5: (4, -1)}
"""Element: the valence that it has with a charge, and that charge; files often leave the charge out."""

TRIES = 64
"""Of places for a hydrogen on aromatic nitrogen."""


def repaired(molecule: Mol, notes: list[str]) -> Mol:
    """A sanitised copy. Charges of onium atoms and hydrogens of aromatic nitrogen are completed, with notes.

    Raises InputError with the valence that cannot be.
    """
    from rdkit import Chem

    copy = Chem.Mol(molecule)
    charged = _charge_oniums(copy)
    try:
        whole = sanitised(copy)
    except InputError as error:
        placed = _with_aromatic_hydrogen(copy)
        if placed is None:
            raise error from None
        whole, where = placed
        notes.append(f"a hydrogen was given to the aromatic nitrogen {where + 1}, without which no bonds fit")
    if charged:
        notes.append(f"charges were given to {', '.join(charged)}, whose valence asks for them")
    return whole


def _charge_oniums(molecule: Mol) -> list[str]:
    """Gives neutral atoms with one bond too many their charge, in place; the names of those atoms."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        faults = Chem.DetectChemistryProblems(molecule)
    charged = []
    for fault in faults:
        if fault.GetType() != "AtomValenceException":
            continue
        atom = molecule.GetAtomWithIdx(fault.GetAtomIdx())
        valence, charge = ONIUM.get(atom.GetAtomicNum(), (0, 0))
        if atom.GetFormalCharge() == 0 and sum(b.GetBondTypeAsDouble() for b in atom.GetBonds()) == valence:
            atom.SetFormalCharge(charge)
            charged.append(f"atom {atom.GetIdx() + 1} ({SYMBOLS[atom.GetAtomicNum()]}{'+' if charge > 0 else '-'})")
    return charged


def _with_aromatic_hydrogen(molecule: Mol) -> tuple[Mol, int] | None:
    """The molecule with a hydrogen on the first aromatic nitrogen that makes it whole, and that nitrogen."""
    from rdkit import Chem

    places = [a.GetIdx() for a in molecule.GetAtoms() if _may_carry(a)]
    for place in places[:TRIES]:
        copy = Chem.Mol(molecule)
        copy.GetAtomWithIdx(place).SetNumExplicitHs(1)
        try:
            return sanitised(copy), place
        except InputError:
            continue
    return None


def _may_carry(atom: Any) -> bool:
    return atom.GetAtomicNum() == 7 and atom.GetIsAromatic() and atom.GetDegree() == 2 and not atom.GetFormalCharge()
