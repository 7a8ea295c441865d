"""Which atoms of a receptor lack hydrogens, how many, and how those are arranged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eqcli.io.receptor_bonds import Atoms
from eqcli.io.receptor_groups import Group, Kind
from eqcli.io.receptor_histidines import delta_histidines
from eqcli.io.receptor_residues import AMINO_ACIDS, PARENTS, STATES, Template, template
from eqcli.io.receptor_rules import broken
from eqcli.io.receptor_valence import hydrogens_by_geometry

_PROTONATED_ACIDS = frozenset(("ASH", "ASPH", "GLH", "GLUH"))
_ACIDS = ("OD1", "OD2", "OE1", "OE2")


@dataclass(frozen=True)
class Site:
    """An atom that is to get hydrogens.

    Attributes
    ----------
    atom
        Its index.
    names
        Names of all its hydrogens; those that it has already count among them.
    around
        Its heavy neighbours.
    planar
        Whether two hydrogens on an atom with one neighbour lie in that one's plane.
    """

    atom: int
    names: tuple[str, ...]
    around: tuple[int, ...]
    planar: bool = False


def sites(atoms: Atoms) -> Iterator[Site]:
    """All atoms that lack hydrogens, in order."""
    delta = delta_histidines(atoms)
    first = 0
    for number, group in enumerate(atoms.groups):
        members = range(first, first + len(group.atoms))
        first = members.stop
        before = atoms.groups[number - 1] if number else None
        known = template(group.name) if group.kind in (Kind.AMINO_ACID, Kind.CAP) else None
        index = {atoms.names[i]: i for i in reversed(members) if atoms.numbers[i] > 1}
        if group.kind in (Kind.AMINO_ACID, Kind.CAP) and "N" in index:
            yield from _backbone(atoms, group, index, broken(before, group) if before else False)
        if known is not None:
            yield from _templated(atoms, group, known, index, number in delta)
        if group.kind is Kind.CAP:
            yield from _methyl(atoms, members)
        stated = any(atoms.numbers[i] == 1 for i in members)
        if not stated or known is not None:
            yield from _others(atoms, members, set() if known is None else set(known.neighbours) | {"N"}, group)


def _backbone(atoms: Atoms, group: Group, index: dict[str, int], gap: bool) -> Iterator[Site]:
    """The nitrogen: amide, charged end of a chain, or, at a gap, an amide whose other neighbour is not known."""
    i = index["N"]
    around = tuple(atoms.neighbours[i])
    if atoms.hydrogens[i] or not around:
        return
    inside = [j for j in around if atoms.residue[j] == atoms.residue[i]]
    if group.name == "NH2":
        yield Site(i, ("HN1", "HN2"), around, planar=True)
    elif len(around) == 2 and (len(inside) == 1 or PARENTS.get(group.name, group.name) != "PRO"):
        yield Site(i, ("H",), around, planar=True)
    elif len(around) == len(inside) and not gap and group.kind is Kind.AMINO_ACID:
        yield Site(i, ("H1", "H2", "H3") if len(around) == 1 else ("H2", "H3"), around)
    elif len(around) == len(inside) == 1:
        yield Site(i, ("H",), around, planar=True)


def _methyl(atoms: Atoms, members: range) -> Iterator[Site]:
    """The methyl group of a cap, which goes by many names."""
    for i in members:
        around = tuple(atoms.neighbours[i])
        if atoms.numbers[i] == 6 and len(around) == 1 and len(atoms.hydrogens[i]) < 3:
            yield Site(i, ("H1", "H2", "H3"), around)


def _templated(atoms: Atoms, group: Group, known: Template, index: dict[str, int], delta: bool) -> Iterator[Site]:
    carried = {**known.hydrogens, **_state(atoms, group, index, delta)}
    for name, names in carried.items():
        i = index.get(name)
        if i is None or name == "N":
            continue
        around, expected, there = atoms.neighbours[i], known.neighbours[name], len(atoms.hydrogens[i])
        carbon = atoms.numbers[i] == 6
        missing = group.name in AMINO_ACIDS and not set(expected) <= set(index)
        if missing or len(around) < len(expected) or (there and not carbon) or there >= len(names):
            continue
        planar = len(names) == 2 and group.name != "LYN"
        if len(around) > len(expected):
            # Something is bonded to this atom that the amino acid itself does not have.
            count, planar = (len(names) - 1, False) if carbon else hydrogens_by_geometry(atoms, i)
            names = names[: min(count, len(names))]
        elif atoms.metal[i] and atoms.numbers[i] == 16:
            names = ()
        if names:
            yield Site(i, names, tuple(around), planar)


def _state(atoms: Atoms, group: Group, index: dict[str, int], delta: bool) -> dict[str, tuple[str, ...]]:
    """Hydrogens that differ from those of the template: by the residue's name, or by what a histidine binds."""
    if group.name in STATES:
        stated = STATES[group.name]
        titrated = (*stated, *_ACIDS) if group.name in _PROTONATED_ACIDS else tuple(stated)
        there = any(atoms.hydrogens[index[name]] for name in titrated if name in index)
        return dict.fromkeys(stated, ()) if there else stated
    if PARENTS.get(group.name, group.name) == "HIS" and {"ND1", "NE2"} <= set(index):
        first, second = index["ND1"], index["NE2"]
        if atoms.hydrogens[first] or atoms.hydrogens[second]:
            return {"NE2": ()}
        if atoms.metal[second] or (delta and not atoms.metal[first]):
            return {"ND1": () if atoms.metal[first] else ("HD1",), "NE2": ()}
    return {}


def _others(atoms: Atoms, members: range, known: set[str], group: Group) -> Iterator[Site]:
    backbone = {"N"} if group.kind in (Kind.AMINO_ACID, Kind.CAP) else set()
    for i in members:
        if atoms.numbers[i] < 7 or atoms.names[i] in known | backbone or atoms.hydrogens[i]:
            continue
        count, planar = hydrogens_by_geometry(atoms, i)
        if group.kind in (Kind.AMINO_ACID, Kind.CAP) and atoms.names[i] in ("O", "OXT", "OT1", "OT2", "OT"):
            count = 0
        if count:
            label = atoms.names[i]
            names = tuple(f"H{label}" if count == 1 else f"H{label}{k + 1}" for k in range(count))
            yield Site(i, names, tuple(atoms.neighbours[i]), planar)
