"""Residues of a macromolecular file: where one ends, and of what kind each is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from math import dist

from eqcli.io.atom_types import METALS
from eqcli.io.pdb_atoms import Atom
from eqcli.io.receptor_residues import ALIASES, AMINO_ACIDS, CAPS, NUCLEOTIDES, PARENTS, WATERS

APART = 2.0
"""Å. A repeated first atom this far from its like begins another residue of the same number."""


class Kind(StrEnum):
    """What a residue is to the receptor."""

    AMINO_ACID = "amino acid"
    CAP = "cap"
    NUCLEOTIDE = "nucleotide"
    WATER = "water"
    ION = "ion"
    OTHER = "other"


@dataclass
class Group:
    """The atoms of one residue.

    Attributes
    ----------
    name
        Three letters, or what the file gives; capitals.
    number
        With the insertion code, e.g. `52A`.
    chain
        May be empty.
    atoms
        In the file's order.
    kind
        See `Kind`; a free amino acid that is a ligand or cofactor is `OTHER`.
    """

    name: str
    chain: str
    number: str
    atoms: list[Atom]
    kind: Kind = Kind.OTHER

    @property
    def label(self) -> str:
        """For messages, e.g. `A 45 LYS`."""
        return " ".join(part for part in (self.chain, self.number, self.name or "without name") if part)

    @property
    def heavy(self) -> list[Atom]:
        """Atoms that are no hydrogens."""
        return [atom for atom in self.atoms if atom.number > 1]

    def named(self, name: str) -> Atom | None:
        """The first heavy atom of this name."""
        return next((atom for atom in self.atoms if atom.name == name and atom.number > 1), None)


def groups_of(atoms: Iterable[Atom]) -> list[Group]:
    """The residues in the file's order, with their kinds.

    Atoms that stand apart from the others of their residue, as hydrogens at the end of a file, join them.
    """
    groups: list[Group] = []
    latest: dict[tuple[str, str, str, str], Group] = {}
    for atom in atoms:
        key = (*atom.place, atom.residue)
        group = latest.get(key)
        if group is None or (group is not groups[-1] and _repeats(group, atom)) or _begins_again(group, atom):
            group = Group(atom.residue.upper(), atom.chain, atom.sequence + atom.insertion, [])
            groups.append(group)
            latest[key] = group
        alias = ALIASES.get((group.name, atom.name))
        group.atoms.append(atom if alias is None else replace(atom, name=alias))
    for i, group in enumerate(groups):
        group.kind = _kind(group, groups[i - 1] if i else None, groups[i + 1] if i + 1 < len(groups) else None)
    return groups


def _begins_again(group: Group, atom: Atom) -> bool:
    """Whether an atom with the number of its predecessors is the first of another residue, as in files of waters."""
    first = group.atoms[0]
    return atom.name == first.name and atom.number > 1 and dist(atom.position, first.position) > APART


def _repeats(group: Group, atom: Atom) -> bool:
    """Whether an atom that stands apart is one that the residue has already: a number that comes a second time."""
    return any(other.name == atom.name for other in group.atoms)


def _kind(group: Group, before: Group | None, after: Group | None) -> Kind:
    heavy = group.heavy
    if group.name in WATERS:
        return Kind.WATER
    if group.name in CAPS:
        return Kind.CAP
    if len(heavy) == 1 and (heavy[0].number in METALS or heavy[0].number in (9, 17, 35, 53)):
        return Kind.ION
    if _is_amino_acid(group, before, after):
        return Kind.AMINO_ACID
    sugar = {"C1'", "C3'", "C4'", "O3'"} <= {atom.name for atom in heavy}
    return Kind.NUCLEOTIDE if group.name in NUCLEOTIDES or (sugar and not _free(group)) else Kind.OTHER


def _free(group: Group) -> bool:
    """Whether the atoms are HETATM records: nucleotides that are cofactors, and not modified ones of a chain."""
    return all(atom.hetero for atom in group.atoms)


def _is_amino_acid(group: Group, before: Group | None, after: Group | None) -> bool:
    """By the name; or else by a backbone that is an ATOM record or bonded to a neighbour."""
    alpha = group.named("CA")
    if alpha is None or alpha.number != 6:
        return group.name in AMINO_ACIDS
    if group.name in AMINO_ACIDS or group.name in PARENTS:
        return not _free(group) or _linked(group, before, after) or len(group.heavy) == 1
    if group.named("N") is None or group.named("C") is None:
        return False
    return not alpha.hetero or _linked(group, before, after)


def _linked(group: Group, before: Group | None, after: Group | None) -> bool:
    pairs = ((before, group), (group, after))
    return any(first is not None and second is not None and peptide_bond(first, second) for first, second in pairs)


def peptide_bond(first: Group, second: Group) -> bool:
    """Whether C of the first residue is bonded to N of the second (nearer than 2 Å)."""
    carbon, nitrogen = first.named("C"), second.named("N")
    if first.name == "NMA" or carbon is None or nitrogen is None:
        return False
    return dist(carbon.position, nitrogen.position) < APART
