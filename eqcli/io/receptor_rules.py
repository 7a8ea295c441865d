"""What of a macromolecular file belongs to the receptor: alternate locations, waters, additives, doubled atoms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.spatial import cKDTree

from eqcli.errors import InputError, Where
from eqcli.io.pdb_atoms import Atom, choose_conformation
from eqcli.io.receptor_groups import Group, Kind, peptide_bond
from eqcli.io.receptor_residues import ADDITIVES

DOUBLED = 0.4
"""Å. Heavy atoms nearer to each other are one atom given twice."""

BONDED = 2.0
"""Å. An additive with a heavy atom this near to the rest of the receptor is bonded to it, and stays."""

LISTED = 8
"""Names in a note; the others are counted."""


def listed(names: Iterable[str]) -> str:
    """Names for a note, the first few of many."""
    found = list(names)
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return ", ".join(found[:LISTED]) + more


def counted(names: Iterable[str]) -> str:
    """Names with their counts for a note, e.g. `GOL (3), SO4`."""
    return listed(name + (f" ({n})" if n > 1 else "") for name, n in Counter(names).items())


def plural(number: int, word: str) -> str:
    """`1 water`, `2 waters`."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def one_location(atoms: list[Atom], notes: list[str]) -> list[Atom]:
    """The conformation of each residue with the highest occupancy; see `choose_conformation`."""
    chosen = choose_conformation(atoms)
    places = dict.fromkeys(atom.place for atom in atoms if atom.altloc)
    if len(chosen) < len(atoms):
        names = [f"{chain} {number}{code}".strip() for chain, number, code in places]
        notes.append(
            f"{plural(len(names), 'residue')} with alternate locations: the one with the highest occupancy is kept, "
            f"{plural(len(atoms) - len(chosen), 'atom')} left out ({listed(names)})"
        )
    return chosen


def without_doubles(atoms: list[Atom], notes: list[str]) -> list[Atom]:
    """Of heavy atoms at one place the one with the higher occupancy, the first among equals."""
    heavy = [atom for atom in atoms if atom.number > 1]
    if not heavy:
        return atoms
    pairs = cKDTree(np.array([atom.position for atom in heavy])).query_pairs(DOUBLED)
    dropped: set[int] = set()
    for i, j in sorted(pairs):
        if id(heavy[i]) not in dropped and id(heavy[j]) not in dropped:
            dropped.add(id(heavy[i] if heavy[j].occupancy > heavy[i].occupancy else heavy[j]))
    if dropped:
        lost = [atom for atom in heavy if id(atom) in dropped]
        names = listed(" ".join((*_place(atom), atom.residue, atom.name)).strip() for atom in lost)
        notes.append(f"{plural(len(lost), 'atom')} on top of another left out ({names})")
    return [atom for atom in atoms if id(atom) not in dropped]


def _place(atom: Atom) -> tuple[str, str]:
    return atom.chain, atom.sequence + atom.insertion


def selected(
    groups: list[Group], notes: list[str], *, waters: bool, leave_out: Sequence[str], where: Where
) -> list[Group]:
    """The residues that belong to the receptor. Raises InputError where `leave_out` names what is not there."""
    kept, named = _asked(groups, leave_out, where)
    if named:
        notes.append(f"left out as asked: {counted(group.label for group in named)}")
    dry = kept if waters else [group for group in kept if group.kind is not Kind.WATER]
    if len(dry) < len(kept):
        notes.append(f"{plural(len(kept) - len(dry), 'water')} left out")
    return _without_additives(dry, notes)


def _asked(groups: list[Group], leave_out: Sequence[str], where: Where) -> tuple[list[Group], list[Group]]:
    """The residues that stay and those that `leave_out` names, by name or as `chain/number`."""
    wanted = {word.upper() if "/" not in word else word for word in leave_out}
    hits = {id(group): {group.name, f"{group.chain}/{group.number}"} & wanted for group in groups}
    missing = wanted - set().union(*hits.values())
    if missing:
        others = counted(g.name for g in groups if g.kind in (Kind.OTHER, Kind.ION))
        hint = f"Groups of this file that are no protein, nucleic acid or water: {others or 'none'}."
        raise InputError(f"there is no residue {listed(sorted(missing))} to be left out", where, hint)
    return [g for g in groups if not hits[id(g)]], [g for g in groups if hits[id(g)]]


def _without_additives(groups: list[Group], notes: list[str]) -> list[Group]:
    suspects = [g for g in groups if g.name in ADDITIVES and g.kind is Kind.OTHER and g.heavy]
    if not suspects:
        return groups
    rest = [atom.position for g in groups if g.name not in ADDITIVES for atom in g.heavy]
    tree = cKDTree(np.array(rest).reshape(-1, 3))
    dropped, bonded = set(), []
    for group in suspects:
        nearest, _ = tree.query(np.array([atom.position for atom in group.heavy]))
        if nearest.min() < BONDED:
            bonded.append(group)
        else:
            dropped.add(id(group))
    if dropped:
        names = counted(g.name for g in groups if id(g) in dropped)
        notes.append(f"{plural(len(dropped), 'crystallisation additive')} left out: {names}")
    if bonded:
        notes.append(f"additives bonded to the receptor kept: {listed(g.label for g in bonded)}")
    return [g for g in groups if id(g) not in dropped]


def broken(first: Group, second: Group) -> bool:
    """Whether a chain goes on from one residue to the next without a bond between them.

    Numbers that go down are another chain, as in files without names of chains.
    """
    both = first.kind is Kind.AMINO_ACID and second.kind is Kind.AMINO_ACID and first.chain == second.chain
    if not both or first.named("OXT") is not None or peptide_bond(first, second):
        return False
    try:
        return int(second.atoms[0].sequence) >= int(first.atoms[0].sequence)
    except ValueError:
        return True
