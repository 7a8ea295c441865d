"""Pairs of atoms of two molecules, and how well they fit as they are and as mirror images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.engine.molecule_matches import AtomMappings
from eqcli.geometry.superposed import superposed_rmsds
from eqcli.io.structure import Structure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BLOCK = 2_000_000
"""Numbers held at once, about."""


@dataclass(frozen=True)
class Fit:
    """Pairs of atoms `[n, 2]` and Å between them after the best motion."""

    pairs: IntArray
    rmsd: float


@dataclass
class Paired:
    """The best pairs of the molecules as they are (`chosen`), and with the source mirrored (`mirror`)."""

    chosen: Fit
    mirror: Fit
    over: str
    notes: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def of_mappings(source: Structure, target: Structure, found: AtomMappings, over: str) -> Paired:
    rows = [*best_rows(source, target, found, 1, False), *best_rows(source, target, found, 1, True)]
    paired = fitted(source, target, rows, over)
    paired.facts["mappings"] = len(found.atoms)
    if not found.exact:
        paired.notes.append("there are more symmetry-equivalent ways than were tried: the RMSD is an upper bound")
    return paired


def best_rows(source: Structure, target: Structure, found: AtomMappings, count: int, mirrored: bool) -> list[IntArray]:
    """The pairs of the best mappings."""
    sign = -1.0 if mirrored else 1.0
    step = max(1, BLOCK // (3 * found.atoms.shape[1]))
    values = []
    for k in range(0, len(found.atoms), step):
        x = sign * source.positions[found.atoms[k : k + step]]
        values.append(_rmsds(x, target.positions[found.others[k : k + step]]))
    order = np.argsort(np.concatenate(values), kind="stable")[:count]
    return [np.stack([found.atoms[k], found.others[k]], axis=1) for k in order]


def _rmsds(x: FloatArray, y: FloatArray) -> FloatArray:
    """Least RMSD of each pair of clouds `[K, n, 3]`."""
    if (x == x[:1]).all():
        return superposed_rmsds(x[0], y)
    return np.array([superposed_rmsds(a, b[None])[0] for a, b in zip(x, y, strict=True)])


def fitted(source: Structure, target: Structure, ways: list[IntArray], over: str) -> Paired:
    """The best of some ways, as they are and mirrored."""
    fits = []
    for sign in (1.0, -1.0):
        values = [
            float(superposed_rmsds(sign * source.positions[rows[:, 0]], target.positions[rows[:, 1]][None])[0])
            for rows in ways
        ]
        best = int(np.argmin(values))
        fits.append(Fit(ways[best], values[best]))
    return Paired(fits[0], fits[1], over)
