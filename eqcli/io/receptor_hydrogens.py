"""Places of the hydrogens that a receptor's file lacks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from eqcli.io.receptor_bonds import Atoms
from eqcli.io.receptor_placing import LENGTHS, TETRAHEDRAL, TRIGONAL, attached, opposite, pair
from eqcli.io.receptor_sites import Site, sites
from eqcli.io.structure import FloatArray

TURNS = np.arange(0.0, 360.0, 30.0)
"""Degrees. Dihedrals that are tried for a hydroxyl group."""

STAGGERED = np.array([180.0, 60.0, 300.0])
FLAT_TURNS = np.array([180.0, 0.0])

BRIDGE = 2.5
"""Å. Longest distance of a hydroxyl's hydrogen from an acceptor that it points to."""

CLASH = 1.7
"""Å. A hydrogen is not turned nearer than this to another atom that is no acceptor."""


@dataclass
class Added:
    """Hydrogens to be added: positions `[K, 3]`, names, and the atom that each one sits on."""

    positions: FloatArray
    names: list[str]
    parents: list[int]


def hydrogens(atoms: Atoms) -> Added:
    """The missing hydrogens at ideal places; hydroxyl groups are turned towards acceptors, see `_turned`."""
    added = Added(np.zeros((0, 3)), [], [])
    shapes: dict[tuple[int, int, bool], list[Site]] = defaultdict(list)
    for site in sites(atoms):
        shapes[min(len(site.names), 3), len(site.around), site.planar].append(site)
    free: list[Site] = []
    for (count, around, planar), alike in shapes.items():
        if (count, around) == (1, 1) and not planar:
            free += alike
        else:
            _fill(atoms, alike, _placed(atoms, alike, count, around, planar), added)
    _turn(atoms, sorted(free, key=lambda site: site.atom), added)
    return added


def _placed(atoms: Atoms, alike: list[Site], count: int, around: int, planar: bool) -> FloatArray | None:
    """Hydrogens `[K, count, 3]` of sites of one shape; None for a shape that no chemistry has."""
    x = atoms.positions
    centre = x[[site.atom for site in alike]]
    length = np.array([LENGTHS.get(int(atoms.numbers[site.atom]), 1.0) for site in alike])
    if around == 0:
        return _of_waters(atoms, alike)
    near = x[np.array([site.around for site in alike])]
    if count == 1 and around in (2, 3):
        return opposite(centre, near, length)
    if count == 2 and around == 2:
        return pair(centre, near, length)
    if around == 1:
        third = x[[_third(atoms, site) for site in alike]]
        if count == 1:
            # An amide at a gap: the hydrogen lies where it does at the usual angle of the backbone.
            return attached(third, near[:, 0], centre, length, TRIGONAL, np.array([90.0]))
        if planar:
            return attached(third, near[:, 0], centre, length, TRIGONAL, FLAT_TURNS[:count])
        return attached(third, near[:, 0], centre, length, TETRAHEDRAL, STAGGERED[:count])
    return None


def _third(atoms: Atoms, site: Site) -> int:
    """A neighbour of the site's only neighbour, which fixes the dihedral; carbonyl carbon first at a backbone."""
    (j,) = site.around
    others = [k for k in atoms.neighbours[j] if k != site.atom]
    return min(others, key=lambda k: (atoms.names[k] != "C", k)) if others else site.atom


def _of_waters(atoms: Atoms, alike: list[Site]) -> FloatArray:
    """Two hydrogens, one towards the nearest acceptor."""
    x = atoms.positions
    centre = x[[site.atom for site in alike]]
    takers = np.flatnonzero(np.isin(atoms.numbers, (7, 8)))
    _, nearest = cKDTree(x[takers]).query(centre, k=min(2, len(takers)))
    towards = x[takers[nearest.reshape(len(alike), -1)[:, -1]]]
    towards = towards + (np.linalg.norm(towards - centre, axis=1, keepdims=True) < 0.1) * np.array([1.0, 0.0, 0.0])
    direction = (towards - centre) / np.linalg.norm(towards - centre, axis=1, keepdims=True)
    first = centre + LENGTHS[8] * direction
    second = attached(first + np.array([0.3, 0.5, 0.7]), first, centre, LENGTHS[8], 104.5, np.array([180.0]))
    placed: FloatArray = np.concatenate([first[:, None], second], axis=1)
    return placed


def _fill(atoms: Atoms, alike: list[Site], placed: FloatArray | None, added: Added) -> None:
    """Adds hydrogens to sites; where some are there already, those farthest from them."""
    if placed is None:
        return
    rows = []
    for site, proposed in zip(alike, placed, strict=True):
        there = atoms.hydrogens[site.atom]
        order = list(range(len(proposed)))
        if there:
            distances = np.linalg.norm(proposed[:, None] - atoms.positions[there][None], axis=2).min(axis=1)
            order = sorted(np.argsort(-distances, kind="stable")[: len(proposed) - len(there)].tolist())
        taken = {atoms.names[h] for h in there}
        names = [name for name in site.names if name not in taken]
        rows += [proposed[k] for k in order]
        added.names += names[: len(order)]
        added.parents += [site.atom] * len(order)
    added.positions = np.concatenate([added.positions, np.array(rows).reshape(-1, 3)])


def _turn(atoms: Atoms, free: list[Site], added: Added) -> None:
    """Hydroxyl and thiol hydrogens one after the other, when all others are there."""
    if not free:
        return
    tree = cKDTree(np.concatenate([atoms.positions, added.positions]))
    numbers = np.concatenate([atoms.numbers, np.ones(len(added.positions), dtype=np.int64)])
    parents = np.concatenate([np.arange(len(atoms.numbers)), np.array(added.parents, dtype=np.int64)])
    carried = np.zeros(len(numbers), dtype=bool)
    carried[added.parents] = True
    carried[[i for i, there in enumerate(atoms.hydrogens) if there]] = True
    accepts = (numbers == 8) | ((numbers == 7) & ~carried)
    rows = []
    for site in free:
        (j,) = site.around
        third = _third(atoms, site)
        length = LENGTHS.get(int(atoms.numbers[site.atom]), 1.0)
        angle = 96.0 if atoms.numbers[site.atom] == 16 else TETRAHEDRAL
        turns = FLAT_TURNS if len(atoms.neighbours[j]) == 3 and _conjugated(atoms, site.atom, j) else TURNS
        x = atoms.positions
        proposed = attached(x[third], x[j], x[site.atom], length, angle, turns)
        near = [k for k in tree.query_ball_point(x[site.atom], 4.5) if parents[k] not in (site.atom, j)]
        near = [k for k in near if numbers[k] > 1 or parents[k] != site.atom]
        others = tree.data[near]
        rows.append(_turned(proposed, turns, others, accepts[near], parents[near] if near else np.zeros(0)))
        added.names.append(site.names[0])
        added.parents.append(site.atom)
    added.positions = np.concatenate([added.positions, np.array(rows).reshape(-1, 3)])


def _conjugated(atoms: Atoms, i: int, j: int) -> bool:
    return bool(np.linalg.norm(atoms.positions[i] - atoms.positions[j]) < 1.40)


def _turned(
    proposed: FloatArray, turns: FloatArray, others: FloatArray, accepts: FloatArray, _parents: FloatArray
) -> FloatArray:
    """The place nearest to an acceptor within `BRIDGE`, free of clashes; or else the roomiest staggered one."""
    chosen: FloatArray
    if not len(others):
        chosen = proposed[0]
        return chosen
    distances = np.linalg.norm(proposed[:, None] - others[None], axis=2)
    takers = np.where(accepts[None], distances, np.inf).min(axis=1)
    room = np.where(accepts[None], np.inf, distances).min(axis=1)
    bridges = (takers < BRIDGE) & (takers > 1.4) & (room > CLASH)
    if bridges.any():
        chosen = proposed[np.where(bridges, takers, np.inf).argmin()]
        return chosen
    rest = np.isin(turns, STAGGERED) if len(turns) > 2 else np.ones(len(turns), dtype=bool)
    chosen = proposed[np.where(rest, distances.min(axis=1), -np.inf).argmax()]
    return chosen
