"""Confidence intervals: against the normal approximation, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.metrics.statistics import (
    difference_interval,
    mean_interval,
    mean_of_known_interval,
    ratio_interval,
)


def test_the_interval_of_a_mean_is_that_of_the_normal_approximation() -> None:
    values = np.random.default_rng(0).normal(3, 2, 2000)
    value, low, high = mean_interval(values, resamples=4000)
    error = values.std() / np.sqrt(len(values))
    assert value == pytest.approx(values.mean())
    assert low == pytest.approx(value - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(value + 1.96 * error, abs=0.15 * error)


def test_items_that_are_equal_leave_no_doubt() -> None:
    """However the machine rounds sums of them."""
    for share in (0.1, 0.05, 1 / 3, 1e-9):
        value, low, high = mean_interval(np.full(40, share))
        assert low == value == high == pytest.approx(share)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(300):
        interval = mean_interval(rng.random(200) < 0.3, level=0.9, resamples=300, seed=seed)
        held += interval.low <= 0.3 <= interval.high
    assert 0.84 < held / 300 < 0.95


def test_the_mean_over_known_values_draws_all_items() -> None:
    rng = np.random.default_rng(2)
    values = np.where(rng.random(400) < 0.5, rng.random(400), np.nan)
    value, low, high = mean_of_known_interval(values)
    assert value == pytest.approx(np.nanmean(values))
    assert low < value < high
    # Draws item by item, the slow and obvious way.
    draws = [np.nanmean(values[rng.integers(0, 400, 400)]) for _ in range(2000)]
    np.testing.assert_allclose([low, high], np.quantile(draws, [0.025, 0.975]), atol=0.006)


def test_draws_in_blocks_are_as_many_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).random(50)
    whole = mean_interval(values, resamples=500)
    monkeypatch.setattr("eqcli.metrics.statistics.LARGEST_BLOCK", 50 * 7)
    np.testing.assert_allclose(mean_interval(values, resamples=500), whole)


def test_the_same_seed_gives_the_same_interval_and_another_one_does_not() -> None:
    values = np.random.default_rng(4).random(100)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_what_is_drawn_together_may_differ_for_sure_while_each_is_uncertain() -> None:
    rng = np.random.default_rng(5)
    hard = rng.normal(0, 5, 300)
    first, second = hard + 0.5 + rng.normal(0, 0.1, 300), hard
    assert difference_interval(first, second).low > 0.4
    assert mean_interval(first).low < mean_interval(second).high


def test_figures_that_are_not_defined_have_no_bounds() -> None:
    assert np.isnan(mean_interval([])).all()
    assert np.isnan(mean_of_known_interval([np.nan, np.nan])).all()
    with pytest.raises(ValueError, match="one length"):
        ratio_interval([1.0], [1.0, 2.0])
