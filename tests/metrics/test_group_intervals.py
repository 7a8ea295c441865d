"""Intervals by drawing whole groups."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.metrics.group_intervals import _quantiles, mean_over_groups, quantiles_over_groups
from eqcli.metrics.statistics import mean_interval


def test_each_group_once_is_the_ordinary_bootstrap() -> None:
    values = np.random.default_rng(0).normal(size=40)
    names = [f"{i:03d}" for i in range(40)]
    assert mean_over_groups(values, names) == pytest.approx(mean_interval(values))


def test_repeating_every_item_of_its_group_does_not_narrow_the_interval() -> None:
    values = np.random.default_rng(1).normal(size=12)
    names = [f"p{i:02d}" for i in range(12)]
    once = mean_over_groups(values, names)
    tenfold = mean_over_groups(np.repeat(values, 10), np.repeat(names, 10).tolist())
    assert tenfold == pytest.approx(once)
    assert mean_interval(np.repeat(values, 10)).high - tenfold.value < 0.6 * (tenfold.high - tenfold.value)


def test_quantiles_are_those_of_numpy_and_their_interval_holds_them() -> None:
    values = np.random.default_rng(2).exponential(size=31)
    names = [f"p{i // 3}" for i in range(31)]
    found = quantiles_over_groups(values, names, [0.25, 0.5, 0.75])
    assert [interval.value for interval in found] == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]))
    assert all(interval.low < interval.value < interval.high for interval in found)


def test_drawn_quantiles_are_those_of_the_drawn_sample() -> None:
    values = np.sort(np.random.default_rng(3).normal(size=9))
    counts = np.random.default_rng(4).integers(0, 4, size=(20, 9)).astype(float)
    expected = [np.quantile(np.repeat(values, row.astype(int)), [0.1, 0.5, 0.9]) for row in counts]
    np.testing.assert_allclose(_quantiles(values, counts, [0.1, 0.5, 0.9]).T, expected)


def test_one_group_has_no_interval() -> None:
    mean = mean_over_groups([1.0, 2.0, 3.0], ["a", "a", "a"])
    (median,) = quantiles_over_groups([1.0, 2.0, 3.0], ["a", "a", "a"], [0.5])
    assert mean.value == median.value == 2.0
    assert np.isnan([mean.low, mean.high, median.low, median.high]).all()


def test_unknown_values_belong_to_no_figure() -> None:
    assert mean_over_groups([1.0, np.nan, 3.0], ["a", "b", "c"]).value == 2.0
    (median,) = quantiles_over_groups([1.0, np.nan, 3.0], ["a", "b", "c"], [0.5])
    assert median.value == 2.0
    (nothing,) = quantiles_over_groups([np.nan], ["a"], [0.5])
    assert np.isnan(nothing.value)
