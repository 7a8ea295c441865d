from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eqcli.models.pointcloud.cliques import Clique
from eqcli.models.pointcloud.compatibility import _bit_counts, bit_counts, compatibility, shared_neighbours
from eqcli.models.pointcloud.maximum_clique import core, grown_clique, maximum_clique
from eqcli.models.pointcloud.spectral import Spectral
from tests.models.pointcloud.solver_case import THRESHOLD, case, errors, seeded


def random_graph(n: int, share: float, seed: int) -> NDArray[np.bool_]:
    upper = np.triu(np.random.default_rng(seed).random((n, n)) < share, 1)
    joined: NDArray[np.bool_] = upper | upper.T
    return joined


def is_clique(joined: NDArray[np.bool_], nodes: NDArray[np.int64]) -> bool:
    return all(joined[a, b] for a, b in combinations(nodes.tolist(), 2))


def size_of_largest(joined: NDArray[np.bool_]) -> int:
    """By looking at all sets of nodes."""
    n = len(joined)
    return max(k for k in range(1, n + 1) if any(is_clique(joined, np.array(c)) for c in combinations(range(n), k)))


@pytest.mark.parametrize("seed", range(6))
def test_the_largest_clique_is_that_of_all_sets_of_nodes(seed: int) -> None:
    joined = random_graph(11, 0.3 + 0.1 * seed, seed)
    found, proven = maximum_clique(joined, np.array([0]), work=10_000)
    assert proven
    assert is_clique(joined, found)
    assert len(found) == size_of_largest(joined)


def test_a_planted_clique_is_found_in_a_graph_of_hundreds_and_proven() -> None:
    joined = random_graph(300, 0.2, 1)
    planted = np.arange(5, 300, 19)
    joined[np.ix_(planted, planted)] = True
    np.fill_diagonal(joined, False)
    found, proven = maximum_clique(joined, np.array([0]), work=200_000)
    assert proven
    assert set(planted) <= set(found.tolist())


def test_without_work_left_nothing_is_proven_and_the_known_clique_stays() -> None:
    joined = random_graph(60, 0.5, 2)
    known = grown_clique(joined, [0])[:2]
    found, proven = maximum_clique(joined, known, work=1)
    assert not proven
    assert is_clique(joined, found)
    assert len(found) >= 2


def test_a_grown_clique_is_maximal_and_holds_its_start() -> None:
    joined = random_graph(80, 0.5, 3)
    first = int(np.flatnonzero(joined[0])[0])
    found = grown_clique(joined, [0, first])
    assert {0, first} <= set(found.tolist())
    assert is_clique(joined, found)
    others = np.setdiff1d(np.arange(80), found)
    assert not joined[np.ix_(others, found)].all(axis=1).any()


def test_the_core_is_what_remains_of_nodes_with_enough_neighbours() -> None:
    joined = np.zeros((7, 7), dtype=np.bool_)
    for a, b in [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (4, 5)]:
        joined[a, b] = joined[b, a] = True
    assert core(joined, 2).tolist() == [0, 1, 2]
    assert core(joined, 3).tolist() == []
    assert core(joined, 0).tolist() == list(range(7))


@pytest.mark.parametrize("n", [1, 63, 64, 65, 130])
def test_shared_neighbours_are_the_square_of_the_matrix(n: int) -> None:
    joined = random_graph(n, 0.4, n)
    first, second = np.nonzero(np.triu(joined))
    square = joined.astype(int) @ joined.astype(int)
    assert np.array_equal(shared_neighbours(joined, first, second), square[first, second])


def test_bits_are_counted_alike_by_every_numpy() -> None:
    words = np.random.default_rng(0).integers(0, 2**64, 500, dtype=np.uint64)
    words = np.concatenate([words, np.array([0, 1, 2**63, 2**64 - 1], dtype=np.uint64)])
    wanted = [int(word).bit_count() for word in words]
    assert _bit_counts(words).tolist() == wanted
    assert bit_counts(words).tolist() == wanted


def test_the_graph_joins_matches_that_keep_their_distance() -> None:
    matches = case(40, outliers=0.5, noise=0.02).matches
    graph = compatibility(matches, 0.1, most=1000)
    assert graph.places.tolist() == list(range(40))
    for a, b in combinations(range(40), 2):
        here = float((matches.source[a] - matches.source[b]).norm())
        there = float((matches.target[a] - matches.target[b]).norm())
        assert graph.joined[a, b] == graph.joined[b, a] == (abs(here - there) < 0.1)
    assert not graph.joined.diagonal().any()


def test_the_most_trusted_matches_are_looked_at() -> None:
    matches = case(40).matches
    weights = torch.zeros(40, dtype=torch.float64)
    weights[10:30] = torch.arange(20, dtype=torch.float64)
    weighted = type(matches)(matches.source, matches.target, weights, None, matches.source_index, matches.target_index)
    assert compatibility(weighted, 0.1, most=5).places.tolist() == [25, 26, 27, 28, 29]
    # Without a weight there is no trust at all.
    assert compatibility(weighted, 0.1, most=1000).places.tolist() == list(range(11, 30))


@pytest.mark.parametrize("solver", [Clique(), Spectral()])
def test_two_true_matches_of_a_hundred_are_enough_among_thousands(solver: Clique | Spectral) -> None:
    given = case(3000, outliers=0.98, noise=0.02, seed=1)
    found = solver.solve(given.matches, THRESHOLD, seeded())
    angle, shift = errors(found, given.truth)
    assert angle < 1.0
    assert shift < 0.03
    assert int(found.inliers[given.good].sum()) >= 58
    assert found.hypotheses <= 41
