"""Ordered pairs against the plain recursion over all gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from eqcli.geometry.chain_pairing import ordered_pairs


def slow(scores, gap):
    """The largest sum: each pair follows an earlier one, and any gap between two pairs costs once for each chain."""
    n, m = scores.shape
    best = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            before = [0.0]
            for k in range(i):
                for p in range(j):
                    before.append(best[k, p] - gap * ((k < i - 1) + (p < j - 1)))
            best[i, j] = scores[i, j] + max(before)
    return best.max()


def value(scores, pairs, gap):
    total = sum(scores[i, j] for i, j in pairs)
    for (i, j), (k, p) in pairwise(pairs.tolist()):
        total -= gap * ((k > i + 1) + (p > j + 1))
    return total


@pytest.mark.parametrize("gap", [0.0, 0.3, 0.6])
def test_pairs_are_the_best_of_all(gap):
    rng = np.random.default_rng(1)
    for shape in ((7, 9), (9, 5), (1, 6), (8, 8)):
        tables = rng.random((4, *shape)) ** 3
        for table, pairs in zip(tables, ordered_pairs(tables, gap), strict=True):
            assert (np.diff(pairs, axis=0) > 0).all()
            assert value(table, pairs, gap) == pytest.approx(slow(table, gap), abs=1e-9)


def test_nothing_to_pair():
    assert ordered_pairs(np.zeros((2, 0, 4)), 0.6)[1].shape == (0, 2)
    assert ordered_pairs(np.zeros((1, 3, 4)), 0.6)[0].shape == (0, 2)
