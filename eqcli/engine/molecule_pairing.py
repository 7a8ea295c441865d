"""The pairs of atoms with which two molecules fit best, as they are and as mirror images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.engine.atom_assignment import assign_atoms
from eqcli.engine.molecule_fits import Paired, best_rows, fitted, of_mappings
from eqcli.engine.molecule_hydrogens import with_hydrogens
from eqcli.engine.molecule_matches import AtomMappings, atom_classes, common_mappings, graph_mappings
from eqcli.errors import InputError
from eqcli.io.molecule_graph import with_neighbours
from eqcli.io.structure import Structure, formula

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SMALL = 100
"""Atoms of clusters that are matched by elements as well, where bonds are only guessed from distances."""

ALIKE = 0.5
"""Å. Molecules whose guessed bonds differ are one all the same where their elements fit this well."""

APART = 0.35
"""Clusters differ where the RMSD is above this share of the distance of nearest neighbours."""

PART = 0.5
"""A common substructure must have this share of the heavy atoms of the smaller molecule."""

TRIED = 40
"""Mappings of heavy atoms for which hydrogens are matched, the best ones."""


def pair_by_order(source: Structure, target: Structure, heavy: bool) -> Paired:
    """The atoms of both files in their order.

    Raises InputError where their elements differ.
    """
    one, other = (np.flatnonzero(s.numbers > 1) if heavy else np.arange(len(s)) for s in (source, target))
    hint = "Match atoms by their bonds with --permute."
    for i, j in zip(one.tolist(), other.tolist(), strict=False):
        if source.numbers[i] != target.numbers[j]:
            first, second = SYMBOLS[source.numbers[i]], SYMBOLS[target.numbers[j]]
            message = f"atom {i + 1} is {first} in the source and {second}, atom {j + 1}, in the target"
            raise InputError(message, source.where, hint)
    if len(one) != len(other) or not len(one):
        kind = "heavy atoms" if heavy else "atoms"
        hint = hint if heavy else f"{hint} Hydrogens are left out with --heavy."
        message = f"the source has {len(one)} {kind} and the target {len(other)}: they cannot be paired in order"
        raise InputError(message, source.where, hint)
    pairs = np.stack([one, other], axis=1)
    paired = fitted(source, target, [pairs], _over(len(pairs), heavy, source))
    if _bonds_differ(source, target, pairs):
        paired.reasons.append(
            "in the order of the files, the bonds of the two differ; --permute matches atoms by bonds"
        )
    return paired


def pair_by_structure(source: Structure, target: Structure, heavy: bool) -> Paired:
    """Atoms by bonds, stated or guessed, or by elements alone.

    Raises InputError where nothing can be matched.
    """
    stated = source.info.get("bonds") is not None and target.info.get("bonds") is not None
    one, other = with_neighbours(source), with_neighbours(target)
    notes = [] if stated else ["bonds are not stated: atoms that touch count as bonded"]
    hydrogens = not heavy and _count(source, 1) == _count(target, 1)
    if not hydrogens and not heavy and _count(source, 1) + _count(target, 1):
        notes.append("the two have different numbers of hydrogens: heavy atoms alone are matched")
    found = _by_graph(one, other, hydrogens, stated)
    same = _same_atoms(source, target, hydrogens)
    free = not stated and same and len(source) <= SMALL and not (source.numbers == 6).any()
    if same and not stated and (free or found is None):
        clustered = _by_elements(source, target, hydrogens)
        if found is None and clustered.chosen.rmsd > ALIKE and (source.numbers == 6).any():
            shared = _by_substructure(one, other, stated)
            return _with(shared or clustered, notes)
        if found is None or clustered.chosen.rmsd < found.chosen.rmsd:
            return _with(clustered, ["atoms are matched by their elements alone"])
    if found is None:
        found = _by_substructure(one, other, stated)
    if found is None:
        raise InputError(
            f"{formula(source.numbers)} and {formula(target.numbers)} have no substructure of three atoms in common",
            source.where,
        )
    return _with(found, notes)


def _with(paired: Paired, notes: list[str]) -> Paired:
    paired.notes[:0] = notes
    return paired


def _count(structure: Structure, number: int) -> int:
    return int((structure.numbers == number).sum())


def _same_atoms(source: Structure, target: Structure, hydrogens: bool) -> bool:
    one, other = ((s.numbers if hydrogens else s.numbers[s.numbers > 1]) for s in (source, target))
    return len(one) == len(other) > 0 and bool((np.sort(one) == np.sort(other)).all())


def _over(count: int, heavy: bool, source: Structure) -> str:
    kind = "heavy atom" if heavy and _count(source, 1) else "atom"
    return f"{count} {kind}{'' if count == 1 else 's'}"


def _by_graph(source: Structure, target: Structure, hydrogens: bool, stated: bool) -> Paired | None:
    """All ways of one graph; None where the graphs differ."""
    if hydrogens:
        whole = graph_mappings(source, target, hydrogens=True, kinds=stated)
        if whole is not None and whole.exact:
            return of_mappings(source, target, whole, _over(whole.atoms.shape[1], False, source))
    heavy = graph_mappings(source, target, hydrogens=False, kinds=stated)
    if heavy is None:
        return None
    if not heavy.exact:
        heavy = _widened(source, target, heavy)
    if not hydrogens:
        return of_mappings(source, target, heavy, _over(heavy.atoms.shape[1], True, source))
    sides = [
        [with_hydrogens(source, target, rows, mirrored) for rows in best_rows(source, target, heavy, TRIED, mirrored)]
        for mirrored in (False, True)
    ]
    if any(len(rows) < len(source) for rows in sides[0]):
        return None
    paired = fitted(source, target, sides[0], _over(len(source), False, source))
    paired.mirror = fitted(source, target, sides[1], "").mirror
    return paired


def _widened(source: Structure, target: Structure, found: AtomMappings) -> AtomMappings:
    """With the best assignment within classes, where there are more ways than can be tried."""
    first, second = atom_classes(source, target)
    atoms, others = (np.flatnonzero(s.numbers > 1) for s in (source, target))
    added = [
        others[assign_atoms(sign * source.positions[atoms], target.positions[others], first, second).order]
        for sign in (1.0, -1.0)
    ]
    here = np.concatenate([found.atoms, np.stack([atoms, atoms])])
    return AtomMappings(here, np.concatenate([found.others, np.stack(added)]), False)


def _by_elements(source: Structure, target: Structure, hydrogens: bool) -> Paired:
    """Atoms of one element for each other, whatever the bonds."""
    atoms, others = (np.arange(len(s)) if hydrogens else np.flatnonzero(s.numbers > 1) for s in (source, target))
    x, y, first, second = (
        source.positions[atoms],
        target.positions[others],
        source.numbers[atoms],
        target.numbers[others],
    )
    ways = [np.stack([atoms, others[assign_atoms(sign * x, y, first, second).order]], 1) for sign in (1.0, -1.0)]
    paired = fitted(source, target, ways, _over(len(atoms), not hydrogens, source))
    near = _nearest(y)
    if paired.chosen.rmsd > APART * near and not paired.mirror.rmsd <= APART * near:
        paired.reasons.append(
            f"the atoms do not come to lie on each other: RMSD {paired.chosen.rmsd:.2f} Å, and nearest neighbours are "
            f"{near:.2f} Å apart"
        )
    return paired


def _nearest(points: FloatArray) -> float:
    """Median distance to the nearest neighbour."""
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return float("inf")
    return float(np.median(cKDTree(points).query(points, k=2)[0][:, 1]))


def _by_substructure(source: Structure, target: Structure, stated: bool) -> Paired | None:
    found = common_mappings(source, target, kinds=stated)
    if found is None:
        return None
    count = found.atoms.shape[1]
    sizes = [len(s) - _count(s, 1) for s in (source, target)]
    paired = of_mappings(source, target, found, f"{count} heavy atoms of the largest common substructure")
    paired.notes.append(
        f"the molecules differ: {count} heavy atoms of {sizes[0]} and {sizes[1]} are common, and these are matched"
    )
    paired.facts["common"] = count
    if count < PART * min(sizes):
        paired.reasons.append(f"only {count} of {min(sizes)} heavy atoms of the smaller molecule are in both")
    return paired


def _bonds_differ(source: Structure, target: Structure, pairs: IntArray) -> bool:
    """Whether both state bonds and these differ between paired atoms."""
    if source.info.get("bonds") is None or target.info.get("bonds") is None:
        return False
    place = {int(i): int(j) for i, j in pairs}
    kept = set(place.values())
    mine = [(int(bond[0]), int(bond[1])) for bond in source.info["bonds"]]
    theirs = [(int(bond[0]), int(bond[1])) for bond in target.info["bonds"]]
    one = {frozenset((place[i], place[j])) for i, j in mine if i in place and j in place}
    return one != {frozenset(bond) for bond in theirs if kept.issuperset(bond)}
