from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.metrics.registration.hypotheses import MatchedPair, RecallCurve, recall_curve
from tests.models.pointcloud.solver_case import THRESHOLD, case


def pair(seed: int, *, n: int = 300, outliers: float = 0.9, symmetries: np.ndarray | None = None) -> MatchedPair:
    given = case(n, outliers=outliers, noise=0.01, seed=seed, turn=0.02)
    matrix = given.truth.matrix().numpy()
    return MatchedPair(given.matches, given.matches.source.numpy(), matrix, THRESHOLD, 2 * THRESHOLD, symmetries)


def test_a_curve_counts_what_the_solver_scored_and_found() -> None:
    pairs = [pair(seed) for seed in range(12)]
    curve = recall_curve(pairs, "one-match", (1, 3, 30, 300, 1000))
    assert curve.limits == (1, 3, 30, 300, 1000)
    assert curve.hypotheses.tolist() == [1, 3, 30, 300, 300]
    # One hypothesis of ten is true, and all are scored in the end.
    assert curve.recall[0] < 0.5
    assert curve.recall[2] > 0.7
    assert curve.recall[-1] == 1.0
    for column, one in enumerate(pairs):
        alone = recall_curve([one], "one-match", (3,))
        assert bool(alone.found[0, 0]) == bool(curve.found[1, column])


def test_one_match_needs_far_fewer_hypotheses_than_three() -> None:
    pairs = [pair(seed, n=200, outliers=0.85) for seed in range(6)]
    limits = (1, 10, 100, 1000)
    one, three, compared = (recall_curve(pairs, name, limits) for name in ("one-match", "ransac", "ransac-edges"))
    assert three.hypotheses.tolist() == compared.hypotheses.tolist() == [1, 10, 100, 1000]
    assert one.needed(0.9) < three.needed(0.9) / 5
    # Accurate matches let the edges of a triangle tell nearly all.
    assert compared.needed(0.9) < three.needed(0.9)


def test_the_number_needed_is_read_between_the_limits() -> None:
    found = np.array([[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=bool)
    scored = np.array([[10] * 4, [100] * 4, [1000] * 4])
    curve = RecallCurve("one-match", (10, 100, 1000), found, scored)
    assert curve.needed(0.0) == 10
    assert curve.needed(0.5) == pytest.approx(100)
    assert curve.needed(0.75) == pytest.approx(math.sqrt(1e5))
    assert curve.needed(1.0) == pytest.approx(1000)
    assert math.isinf(RecallCurve("x", (10,), found[:1], scored[:1]).needed(0.5))
    assert curve.as_dict()["recall"] == [0.0, 0.5, 1.0]


def test_the_same_seed_gives_the_same_curve() -> None:
    pairs = [pair(seed) for seed in range(3)]
    first, second = (recall_curve(pairs, "ransac", (5, 50), seed=4) for _ in range(2))
    assert np.array_equal(first.found, second.found)
    assert np.array_equal(first.scored, second.scored)


def test_a_symmetry_of_the_object_counts_as_found() -> None:
    half = np.diag([-1.0, -1.0, 1.0, 1.0])
    plain, symmetric = pair(0), pair(0, symmetries=half[None])
    turned = Motion.from_matrix(torch.from_numpy(half @ plain.truth))
    assert not plain.found(turned)
    assert symmetric.found(turned)
    assert symmetric.found(Motion.from_matrix(torch.from_numpy(plain.truth)))


def test_matches_that_a_solver_refuses_are_not_found() -> None:
    curve = recall_curve([pair(0), pair(1, n=2, outliers=0.0)], "ransac", (2000,))
    assert curve.found.tolist() == [[True, False]]
    assert curve.scored[0, 1] == 0


def test_wrong_requests_are_errors() -> None:
    with pytest.raises(InputError, match="cannot be set"):
        recall_curve([pair(0)], "clique")
    with pytest.raises(InputError, match="at least one pair"):
        recall_curve([], "ransac")
    with pytest.raises(InputError, match="limits"):
        recall_curve([pair(0)], "ransac", (0, 5))
