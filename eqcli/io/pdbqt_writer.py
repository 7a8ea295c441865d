"""Receptors as PDBQT text, as AutoDock Vina takes them: rigid, with polar hydrogens and types, charges zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.atom_types import ACCEPTORS, AtomType
from eqcli.io.pdb_writer import LIMITS

if TYPE_CHECKING:
    from eqcli.io.receptor import Receptor

KNOWN = frozenset(
    ("F", "Mg", "P", "Cl", "Ca", "Mn", "Fe", "Zn", "Br", "I", "Si", "At", "Cu", "Na", "K", "Hg", "Co", "U", "Cd", "Ni")
)
"""Elements that Vina knows by their symbols."""

STAND_INS = {
    AtomType.C_P: "C",
    AtomType.S_P: "S",
    AtomType.P_P: "P",
    AtomType.I_H: "I",
    AtomType.CL_H: "Cl",
    AtomType.METAL: "Zn",
}
"""For every other element one that has the same type in the score of Vina."""

_AROMATIC = {
    "PHE": {"CG", "CD1", "CD2", "CE1", "CE2", "CZ"},
    "TYR": {"CG", "CD1", "CD2", "CE1", "CE2", "CZ"},
    "TRP": {"CG", "CD1", "CD2", "CE2", "CE3", "CZ2", "CZ3", "CH2"},
    "HIS": {"CG", "CD2", "CE1"},
}


def receptor_pdbqt(receptor: Receptor) -> str:
    """The receptor as PDBQT text. Nonpolar hydrogens are left out; elements that Vina lacks get a stand-in.

    Raises InputError where positions do not fit the columns of the format.
    """
    structure = receptor.structure
    if ((structure.positions < LIMITS[0]) | (structure.positions > LIMITS[1])).any():
        raise InputError("positions of this receptor do not fit the columns of a PDBQT file", structure.where)
    names = ("atom_name", "residue_name", "chain", "residue_number", "insertion_code", "hetero", "atom_type")
    columns = [structure.arrays[name].tolist() for name in names]
    polar = polar_hydrogens(receptor)
    lines: list[str] = []
    for i, (atom, residue, chain, number, code, hetero, kind) in enumerate(zip(*columns, strict=True)):
        z = int(structure.numbers[i])
        if z == 1 and not polar[i]:
            continue
        label = f" {atom:<3}" if len(atom) < 4 and len(SYMBOLS[z]) == 1 else f"{atom[:4]:<4}"
        x, y, zed = structure.positions[i].tolist()
        record = "HETATM" if hetero else "ATOM"
        place = f"{residue[:3]:>3} {chain[:1]:1}{number[-4:]:>4}{code[:1]:1}"
        serial = (len(lines) + 1) % 100_000
        lines.append(
            f"{record:<6}{serial:>5} {label} {place}   {x:8.3f}{y:8.3f}{zed:8.3f}  1.00  0.00     0.000 "
            f"{_autodock(z, kind, residue, atom)}"
        )
    return "\n".join([f"REMARK  Name = {receptor.name}", *lines, "TER", ""])


def polar_hydrogens(receptor: Receptor) -> NDArray[np.bool_]:
    """Which atoms are hydrogens on nitrogen, oxygen or sulphur, `[N]`."""
    numbers, positions = receptor.structure.numbers, receptor.structure.positions
    polar = np.zeros(len(numbers), dtype=bool)
    hydrogens, heavy = np.flatnonzero(numbers == 1), np.flatnonzero(numbers > 1)
    if len(hydrogens):
        _, nearest = cKDTree(positions[heavy]).query(positions[hydrogens])
        polar[hydrogens] = np.isin(numbers[heavy[nearest]], (7, 8, 16))
    return polar


def _autodock(z: int, kind: int, residue: str, atom: str) -> str:
    """The type of AutoDock 4. Sulphur of amino acids accepts there, and Vina does not mind."""
    if z == 1:
        return "HD"
    if z == 6:
        return "A" if atom in _AROMATIC.get(residue, ()) else "C"
    if z == 7:
        return "NA" if kind in ACCEPTORS else "N"
    if z == 8:
        return "OA"
    if z == 16:
        return "SA" if residue in ("CYS", "MET") else "S"
    return SYMBOLS[z] if SYMBOLS[z] in KNOWN else STAND_INS[AtomType(kind)]
