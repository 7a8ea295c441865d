"""Hydrogens matched after the heavy atoms that hold them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from eqcli.geometry.superposed import superpositions
from eqcli.io.structure import Structure

IntArray = NDArray[np.int64]

ROUNDS = 10


def with_hydrogens(source: Structure, target: Structure, pairs: IntArray, mirrored: bool) -> IntArray:
    """Pairs of heavy atoms `[n, 2]` with those of their hydrogens; motion and hydrogens are made best in turn.

    Hydrogens of heavy atoms that hold different numbers of them stay out.
    """
    held, others = _held(source), _held(target)
    groups = [(held[i], others[j]) for i, j in pairs.tolist() if held[i] and len(held[i]) == len(others[j])]
    positions = -source.positions if mirrored else source.positions
    rows = pairs
    last: IntArray | None = None
    for _ in range(ROUNDS):
        rotation, shift = superpositions(positions[rows[:, 0]], target.positions[rows[:, 1]])
        moved = positions @ rotation.T + shift
        found = [_assigned(moved, target, one, other) for one, other in groups]
        rows = np.concatenate([pairs, *found])
        if last is not None and (rows == last).all():
            break
        last = rows
    return rows


def _held(structure: Structure) -> dict[int, list[int]]:
    """The hydrogens that each atom holds."""
    held: dict[int, list[int]] = defaultdict(list)
    for bond in structure.info["bonds"]:
        for i, j in ((int(bond[0]), int(bond[1])), (int(bond[1]), int(bond[0]))):
            if structure.numbers[j] == 1 and structure.numbers[i] != 1:
                held[i].append(j)
    return held


def _assigned(moved: NDArray[np.float64], target: Structure, one: list[int], other: list[int]) -> IntArray:
    from scipy.optimize import linear_sum_assignment

    squares = ((moved[one][:, None] - target.positions[other][None]) ** 2).sum(axis=2)
    first, second = linear_sum_assignment(squares)
    return np.stack([np.array(one)[first], np.array(other)[second]], axis=1)
