"""Uniqueness and novelty: the counts of pymatgen's own grouping, and a reason in every row."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eqcli.io.structure import Structure
from eqcli.metrics.crystals.distinct import distinct
from eqcli.metrics.crystals.matching import PUBLISHED, STRICT, Tolerances, matcher_of
from eqcli.metrics.crystals.pairing import Bucket, Sameness
from eqcli.metrics.crystals.reduction import reduced
from tests.metrics.crystals.crystals import crystal, cscl, jiggled, perovskite, repeated, scrambled

pytest.importorskip("pymatgen")

MODULE: Any = sys.modules[distinct.__module__]


def cloud(count: int, seed: int = 0) -> list[Structure]:
    """Crystals of one composition between ordered and random, in strained cells: some match, not transitively."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        base = perovskite(numbers=(38, 22, 8)) if rng.random() < 0.7 else scrambled(perovskite(), rng)
        cell = base.cell @ (np.eye(3) + rng.normal(0, 0.12, (3, 3)))
        fractions = base.positions @ np.linalg.inv(base.cell) + rng.normal(0, rng.choice([0.02, 0.12, 0.3]), (5, 3))
        found.append(replace(base, cell=cell, positions=fractions @ cell))
    return found


def test_rows_say_what_each_crystal_repeats() -> None:
    generated = [cscl(), perovskite(), repeated(cscl(), (1, 2, 1)), jiggled(perovskite(), 0.02), cscl(4.4)]
    found = distinct(generated, [perovskite(4.0), crystal([11, 17], [[0, 0, 0], [0.5] * 3], 4)], workers=1)
    assert [row.duplicate_of for row in found.rows] == [None, None, 0, 1, 0]
    assert [row.known_as for row in found.rows] == [None, 0, None, 0, None]
    figures = found.figures()
    assert figures["uniqueness"] == pytest.approx(2 / 5)
    assert figures["novelty"] == pytest.approx(3 / 5)
    assert figures["unique_and_novel"] == pytest.approx(1 / 5)
    assert figures["sameness"]["ltol"] == STRICT.ltol


@pytest.mark.parametrize("tolerances", [STRICT, PUBLISHED])
def test_unique_crystals_are_as_many_as_groups_of_pymatgen(tolerances: Tolerances) -> None:
    from eqcli.metrics.crystals.convert import to_pymatgen

    generated = cloud(24)
    groups = matcher_of(tolerances).group_structures([to_pymatgen(s) for s in generated])
    rows = distinct(generated, sameness=Sameness(tolerances, most_compared=None), workers=1).rows
    assert 3 < len(groups) < 24
    assert sum(row.unique for row in rows) == len(groups)


def test_prefilters_leave_out_nothing_that_matches() -> None:
    crystals = [reduced(s) for s in cloud(20, seed=3)]
    rule = Sameness(PUBLISHED, most_compared=None)
    fit = matcher_of(PUBLISHED).fit
    left_out = 0
    for index, query in enumerate(crystals):
        nearest, _ = Bucket(range(len(crystals)), crystals).nearest(query, rule)
        for other in set(range(len(crystals))) - set(nearest):
            left_out += 1
            assert not fit(crystals[other].crystal(), crystals[index].crystal(), skip_structure_reduction=True)
    assert left_out > 5


def test_two_processes_find_what_one_finds() -> None:
    generated, training = cloud(10), cloud(6, seed=9)
    one = distinct(generated, training, workers=1)
    assert distinct(generated, training, workers=2).rows == one.rows


def test_crystals_compared_in_turn_have_the_rows_of_those_compared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    other = [replace(s, numbers=np.where(s.numbers == 22, 40, s.numbers)) for s in cloud(12, seed=5)]
    generated = [s for pair in zip(cloud(12), other, strict=True) for s in pair]
    sameness = Sameness(PUBLISHED)
    in_turn = distinct(generated, cloud(6, seed=9), sameness=sameness, workers=1).rows
    monkeypatch.setattr(MODULE, "LARGEST_GROUP", 0)
    assert distinct(generated, cloud(6, seed=9), sameness=sameness, workers=1).rows == in_turn
    assert 1 < sum(row.duplicate_of is None for row in in_turn) < len(in_turn) - 1
    assert any(row.known_as is None for row in in_turn)
    assert any(row.known_as is not None for row in in_turn)


def test_what_fails_in_a_group_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    same = MODULE._Compare.same

    def failing(self: object, first: int, second: int) -> bool:
        if second == 2:
            raise ValueError("too odd")
        return bool(same(self, first, second))

    monkeypatch.setattr(MODULE._Compare, "same", failing)
    rows = distinct([jiggled(cscl(), 0.01, seed) for seed in range(4)], workers=1).rows
    assert [row.duplicate_of for row in rows] == [None, 0, None, 0]
    assert [row.failure is None for row in rows] == [True, True, False, True]
    assert "too odd" in str(rows[2].failure)


def test_a_crystal_is_compared_with_the_nearest_ones_and_the_row_says_so() -> None:
    # Every copy is near its own kind, so two comparisons suffice to find it.
    kinds = [perovskite(), jiggled(perovskite(), 1.2, seed=2)]
    generated = [jiggled(kinds[i % 2], 0.01, seed=i) for i in range(10)]
    rows = distinct(generated, sameness=Sameness(most_compared=2), workers=1).rows
    assert [row.duplicate_of for row in rows] == [None, None, *[i % 2 for i in range(2, 10)]]
    assert [row.cut for row in rows] == [False] * 3 + [True] * 7


def test_a_volume_ratio_tells_expanded_crystals_apart() -> None:
    generated = [cscl(4.2), cscl(8.4)]
    assert [row.duplicate_of for row in distinct(generated, workers=1).rows] == [None, 0]
    apart = distinct(generated, sameness=Sameness(volume_ratio=2.0), workers=1).rows
    assert [row.duplicate_of for row in apart] == [None, None]


def test_what_cannot_be_compared_is_neither_unique_nor_novel() -> None:
    broken = replace(cscl(), positions=np.full((2, 3), np.nan))
    found = distinct([broken, cscl()], [broken, cscl()], workers=1)
    assert "finite" in str(found.rows[0].failure)
    assert not found.rows[0].unique
    assert not found.rows[0].novel
    assert found.rows[1].known_as == 1
    figures = found.figures()
    assert (figures["failed"], figures["training_unread"], figures["uniqueness"]) == (1, 1, 0.5)


def test_without_training_data_there_is_no_novelty() -> None:
    assert distinct([cscl()], workers=1).figures()["novelty"] is None
    assert distinct([], [], workers=1).figures()["uniqueness"] is None


def test_a_fingerprint_does_not_depend_on_the_description() -> None:
    rng = np.random.default_rng(0)
    plain = jiggled(perovskite(), 0.3)
    other = reduced(scrambled(repeated(plain, (1, 1, 2)), rng))
    np.testing.assert_allclose(other.fingerprint, reduced(plain).fingerprint, atol=1e-4)
    assert other.bucket == reduced(plain).bucket
