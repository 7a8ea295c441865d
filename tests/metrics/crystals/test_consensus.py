"""Ranks of candidates: what most agree on comes first, whatever order they are given in."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eqcli.io.structure import Structure
from eqcli.metrics.crystals.consensus import Standing, consensus
from eqcli.metrics.crystals.matching import PUBLISHED, STRICT, Tolerances, match_pair
from tests.metrics.crystals.crystals import crystal, jiggled, perovskite, repeated, scrambled
from tests.metrics.crystals.test_distinct import cloud

pytest.importorskip("pymatgen")

MODULE: Any = sys.modules[consensus.__module__]
NUMBERS = [38, 22, 8, 8, 8]


def outlier(seed: int) -> Structure:
    """Atoms anywhere in a stretched cell."""
    fractions = np.random.default_rng(seed).random((5, 3)).tolist()
    return crystal(NUMBERS, fractions, np.diag([2.4, 4.0, 3.0 + 3 * seed]))


def candidates() -> list[Structure]:
    """Two outliers among three near copies of a perovskite, in different descriptions."""
    near = scrambled(jiggled(perovskite(), 0.03, 1), np.random.default_rng(2))
    doubled = repeated(jiggled(perovskite(4.0), 0.06, 3), (1, 1, 2))
    return [outlier(1), jiggled(perovskite(), 0.05, 0), near, outlier(2), doubled]


def ranks(group: list[Structure], **options: Any) -> list[int]:
    return [standing.rank for standing in consensus([group], workers=1, **options)[0]]


def test_what_most_agree_on_is_first() -> None:
    (found,) = consensus([candidates()], workers=1)
    assert {found[place].rank for place in (1, 2, 4)} == {1, 2, 3}
    assert [found[place] for place in (0, 3)] == [Standing(4, STRICT.stol), Standing(5, STRICT.stol)]
    assert all(found[place].distance < 0.5 * STRICT.stol + 0.1 for place in (1, 2, 4))


@pytest.mark.parametrize("tolerances", [STRICT, PUBLISHED])
def test_distances_are_means_over_the_others(tolerances: Tolerances) -> None:
    """Those of the plain matcher, of every two; which of two comes first makes it differ for few."""
    group = [jiggled(perovskite(), 0.1 + 0.06 * place, place) for place in range(9)]
    (found,) = consensus([group], tolerances, workers=1)
    apart = np.zeros((9, 9))
    for i, one in enumerate(group):
        for j, other in enumerate(group):
            match = match_pair(one, other, tolerances) if i != j else None
            apart[i, j] = match.rmse if match else tolerances.stol * (i != j)
    assert (apart < tolerances.stol).sum() > 20
    assert (apart[np.triu_indices(9, 1)] == tolerances.stol).any() == (tolerances == STRICT)
    lower, upper = (f(apart, apart.T).sum(axis=1) / 8 for f in (np.minimum, np.maximum))
    assert all(a - 1e-5 <= s.distance <= b + 1e-5 for a, b, s in zip(lower, upper, found, strict=True))
    by_rank = sorted(found, key=lambda standing: standing.rank)
    assert [standing.rank for standing in by_rank] == list(range(1, 10))
    assert [s.distance for s in by_rank] == sorted(s.distance for s in found)


def test_order_does_not_matter() -> None:
    group = [outlier(1), *[jiggled(perovskite(), 0.05 * place, place) for place in range(1, 7)], outlier(2)]
    (found,) = consensus([group], workers=1)
    assert len({standing.distance for standing in found}) > 4
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(group))
        (again,) = consensus([[group[i] for i in order]], workers=1)
        assert [s.distance for s in again] == [found[i].distance for i in order]
        tied = [i for i in order if sum(s.distance == found[i].distance for s in found) > 1]
        assert all(again[place].rank == found[i].rank for place, i in enumerate(order) if i not in tied)


def test_ties_keep_their_order() -> None:
    rng = np.random.default_rng(5)
    same = [perovskite(), scrambled(perovskite(), rng), scrambled(perovskite(), rng), repeated(perovskite(), (2, 1, 1))]
    assert ranks(same) == [1, 2, 3, 4]
    assert ranks([outlier(1), outlier(2)]) == [1, 2]


def test_one_candidate_is_the_first() -> None:
    (single, none) = consensus([[perovskite()], []], workers=1)
    assert single[0].rank == 1
    assert math.isnan(single[0].distance)
    assert none == []


def test_what_is_no_crystal_is_last() -> None:
    """Behind those that are like no other, and in nobody's way."""
    flat = replace(perovskite(), cell=np.diag([4.0, 4.0, 0.0]))
    unbounded = replace(perovskite(), positions=np.full((5, 3), np.nan))
    assert ranks([flat, outlier(1), perovskite(), unbounded, jiggled(perovskite(), 0.02)]) == [4, 3, 1, 5, 2]
    assert ranks([flat, unbounded]) == [1, 2]


def test_other_compositions_do_not_match() -> None:
    other = perovskite(numbers=(56, 22, 8))
    assert ranks([other, perovskite(), perovskite(4.0)]) == [3, 1, 2]


def test_a_pair_that_the_matcher_gives_up_on_does_not_match(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def get_rms_dist(self, one: Any, other: Any) -> None:
            raise RuntimeError("no reduced cell")

    monkeypatch.setattr(MODULE, "_matcher_of_reduced", lambda tolerances: Broken())
    assert consensus([[perovskite(), perovskite()]], workers=1)[0] == [Standing(1, 0.3), Standing(2, 0.3)]


def test_a_group_that_takes_too_long_keeps_its_order() -> None:
    slow = [jiggled(perovskite(), 0.05, seed) for seed in range(60)]
    quick = [outlier(1), perovskite(), jiggled(perovskite(), 0.02)]
    consensus([quick], workers=1)
    first, second = consensus([slow, quick], workers=1, timeout=0.7)
    assert [s.rank for s in first] == list(range(1, 61))
    assert all(math.isnan(s.distance) for s in first)
    assert [s.rank for s in second] == [3, 1, 2]


def test_a_cell_that_cannot_be_reduced_spoils_only_itself() -> None:
    endless = replace(perovskite(), cell=np.array([[6e5, 2e5, 0.0], [0.0, 3.3, 0.0], [1.1, 0.7, 4.1]]))
    assert ranks([endless, outlier(1), perovskite(), jiggled(perovskite(), 0.02)]) == [4, 3, 1, 2]


def test_processes_find_the_same() -> None:
    groups = [candidates(), [perovskite()], cloud(4, seed=6)]
    alone = consensus(groups, workers=1)
    together = consensus(groups, workers=2)
    assert [[s.rank for s in group] for group in together] == [[s.rank for s in group] for group in alone]
    assert together[::2] == alone[::2]
