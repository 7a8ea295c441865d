"""Which atoms of two clusters belong together, where no bonds say it: assignments within classes, from many rotations.

A motion and an assignment are made best in turn (the Hungarian algorithm and Kabsch's superposition). The starts are
the rotations that lay two atoms and the centroid of one cluster onto two like atoms and the centroid of the other,
which for two copies of a cluster have the right one among them, the principal axes, and rotations of all kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from eqcli.geometry.superposed import superpositions

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WITHIN = 0.6
"""Å. How far distances of pairs of atoms may differ that make a start."""

FRAMES = 3000
"""Starts from pairs of atoms, those whose distances differ least."""

RANDOM = 300
"""Starts that are drawn, with a fixed seed."""

REFINED = 60
"""Starts that are brought to rest."""

ROUNDS = 50
PERFECT = 1e-6
BLOCK = 4_000_000


@dataclass(frozen=True)
class Assigned:
    """The target atom of each source atom, `[n]`, and Å between them after the best motion."""

    order: IntArray
    rmsd: float


def assign_atoms(source: FloatArray, target: FloatArray, first: IntArray, second: IntArray) -> Assigned:
    """The best assignment of atoms within classes under any rotation; no mirror images.

    Parameters
    ----------
    source, target
        `[n, 3]`, Å.
    first, second
        Classes of their atoms, `[n]`, each as often in both.
    """
    x, y = source - source.mean(axis=0), target - target.mean(axis=0)
    turns = np.concatenate([_axes(x, y), _frames(x, y, first, second), _drawn(RANDOM)])
    costs = np.concatenate(list(_costs(x, y, first, second, turns)))
    best: Assigned | None = None
    for k in np.argsort(costs, kind="stable")[:REFINED]:
        found = _refined(x, y, first, second, turns[k])
        if best is None or found.rmsd < best.rmsd - PERFECT:
            best = found
        if best.rmsd < PERFECT:
            break
    assert best is not None
    return best


def _refined(x: FloatArray, y: FloatArray, first: IntArray, second: IntArray, turn: FloatArray) -> Assigned:
    order = _assignment(x @ turn.T, y, first, second)
    for _ in range(ROUNDS):
        turn, _ = superpositions(x, y[order])
        again = _assignment(x @ turn.T, y, first, second)
        if (again == order).all():
            break
        order = again
    left = x @ superpositions(x, y[order])[0].T - y[order]
    return Assigned(order, float(np.sqrt((left**2).sum(axis=1).mean())))


def _assignment(x: FloatArray, y: FloatArray, first: IntArray, second: IntArray) -> IntArray:
    from scipy.optimize import linear_sum_assignment

    order = np.empty(len(x), dtype=np.int64)
    for kind in np.unique(first):
        here, there = np.flatnonzero(first == kind), np.flatnonzero(second == kind)
        rows, columns = linear_sum_assignment(x[here] @ y[there].T, maximize=True)
        order[here[rows]] = there[columns]
    return order


def _costs(x: FloatArray, y: FloatArray, first: IntArray, second: IntArray, turns: FloatArray) -> list[FloatArray]:
    """Sums of squared distances to the nearest atom of the class, in blocks of rotations."""
    step = max(1, BLOCK // max(len(x) ** 2, 1))
    blocks = []
    for k in range(0, len(turns), step):
        points = x @ np.swapaxes(turns[k : k + step], 1, 2)
        total = np.zeros(len(points))
        for kind in np.unique(first):
            inner = points[:, first == kind] @ y[second == kind].T
            squares = (y[second == kind] ** 2).sum(axis=1) - 2 * inner
            total += squares.min(axis=2).sum(axis=1)
        blocks.append(total)
    return blocks


def _axes(x: FloatArray, y: FloatArray) -> FloatArray:
    """The 24 rotations that take principal axes to principal axes."""
    one, other = (np.linalg.svd(points, full_matrices=True)[2] for points in (x, y))
    turns = []
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        turn = other.T @ (np.array(signs)[:, None] * one[list(order)])
        if np.linalg.det(turn) > 0:
            turns.append(turn)
    return np.array(turns)


def _frames(x: FloatArray, y: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
    """Rotations that lay two atoms of the source onto like atoms of the target."""
    pair = _reference(x, first)
    if pair is None:
        return np.zeros((0, 3, 3))
    i, j = pair
    radius = np.linalg.norm(y, axis=1)
    ones = np.flatnonzero((second == first[i]) & (np.abs(radius - np.linalg.norm(x[i])) < WITHIN))
    others = np.flatnonzero((second == first[j]) & (np.abs(radius - np.linalg.norm(x[j])) < WITHIN))
    k, m = (index.ravel() for index in np.meshgrid(ones, others, indexing="ij"))
    misfit = np.abs(np.linalg.norm(y[k] - y[m], axis=1) - np.linalg.norm(x[i] - x[j]))
    misfit += np.abs(radius[k] - np.linalg.norm(x[i])) + np.abs(radius[m] - np.linalg.norm(x[j]))
    misfit[k == m] = np.inf
    chosen = np.argsort(misfit, kind="stable")[:FRAMES]
    chosen = chosen[misfit[chosen] < 3 * WITHIN]
    if not len(chosen):
        return np.zeros((0, 3, 3))
    there = np.stack([np.zeros((len(chosen), 3)), y[k[chosen]], y[m[chosen]]], axis=1)
    here = np.stack([np.zeros(3), x[i], x[j]])
    return superpositions(np.broadcast_to(here, there.shape), there)[0]


def _reference(x: FloatArray, classes: IntArray) -> tuple[int, int] | None:
    """Two atoms of rare classes that span a plane with the centroid; None where all lie on a line."""
    counts = {kind: int((classes == kind).sum()) for kind in np.unique(classes)}
    radius = np.linalg.norm(x, axis=1)
    if radius.max() < 1e-3:
        return None
    far = radius > 0.3 * radius.max()
    order = sorted(np.flatnonzero(far), key=lambda i: (counts[classes[i]], -radius[i], i))
    i = order[0]
    for j in sorted(np.flatnonzero(radius > 0), key=lambda i: (counts[classes[i]], -radius[i], i)):
        if np.linalg.norm(np.cross(x[i], x[j])) > 0.2 * radius[i] * max(radius[j], 0.2 * radius.max()):
            return int(i), int(j)
    return None


def _drawn(count: int) -> FloatArray:
    import torch

    from eqcli.geometry.rotations import random_rotations

    drawn: FloatArray = random_rotations(count, generator=torch.Generator().manual_seed(0)).numpy()
    return drawn
