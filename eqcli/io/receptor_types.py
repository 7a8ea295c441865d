"""Atom types of a receptor's atoms, from their bonds and hydrogens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqcli.io.atom_types import METALS, type_of
from eqcli.io.receptor_bonds import Atoms
from eqcli.io.receptor_groups import Kind
from eqcli.io.receptor_residues import PARENTS, template
from eqcli.io.receptor_valence import FLAT, angle_sum


def atom_types(atoms: Atoms) -> NDArray[np.int64]:
    """The `AtomType` of each heavy atom and -1 of each hydrogen, `[N]`.

    Carbon is polar when bonded to a heavy atom other than carbon. Nitrogen and oxygen with a hydrogen are donors.
    Oxygen accepts always; nitrogen when it has a lone pair that is not part of a pi system and binds no metal.
    """
    types = []
    for i, number in enumerate(atoms.numbers.tolist()):
        donor = bool(atoms.hydrogens[i])
        polar = number == 6 and any(atoms.numbers[j] != 6 for j in atoms.neighbours[i])
        acceptor = number == 8 or (number == 7 and _accepts(atoms, i))
        types.append(type_of(number, polar=polar, donor=donor, acceptor=acceptor))
    return np.array(types, dtype=np.int64)


def _accepts(atoms: Atoms, i: int) -> bool:
    group, name = atoms.groups[int(atoms.residue[i])], atoms.names[i]
    around = atoms.neighbours[i] + atoms.hydrogens[i]
    parent = PARENTS.get(group.name, group.name)
    if group.kind in (Kind.AMINO_ACID, Kind.CAP) and template(group.name) is not None:
        # Known without measuring angles, which poor structures distort.
        if parent == "HIS" and name in ("ND1", "NE2"):
            return not atoms.hydrogens[i] and not atoms.metal[i]
        if name == "N" or (parent in ("ASN", "GLN", "ARG", "TRP", "HIS") and name in template_nitrogens(parent)):
            return False
    if atoms.metal[i] or len(around) > 3:
        return False
    return len(around) < 3 or angle_sum(atoms, i, around) < FLAT


def template_nitrogens(parent: str) -> set[str]:
    """Names of the side-chain nitrogens of an amino acid."""
    known = template(parent)
    return set() if known is None else {name for name in known.side_chain if name.startswith("N")}


def is_metal(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which atoms are metals."""
    return np.isin(numbers, list(METALS))
