"""Intervals over proteins, and the row of a method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.metrics.docking.docking_table import MEANINGS, PairOutcome, method_figures
from eqcli.metrics.docking.protein_intervals import mean_over_proteins, quantiles_over_proteins
from eqcli.metrics.statistics import mean_interval


def test_each_protein_once_is_the_ordinary_bootstrap() -> None:
    values = np.random.default_rng(0).normal(size=40)
    names = [f"{i:03d}" for i in range(40)]
    assert mean_over_proteins(values, names) == pytest.approx(mean_interval(values))


def test_repeating_every_complex_of_its_protein_does_not_narrow_the_interval() -> None:
    values = np.random.default_rng(1).normal(size=12)
    names = [f"p{i:02d}" for i in range(12)]
    once = mean_over_proteins(values, names)
    tenfold = mean_over_proteins(np.repeat(values, 10), np.repeat(names, 10).tolist())
    assert tenfold == pytest.approx(once)
    assert mean_interval(np.repeat(values, 10)).high - tenfold.value < 0.6 * (tenfold.high - tenfold.value)


def test_quantiles_are_those_of_numpy_and_their_interval_holds_them() -> None:
    values = np.random.default_rng(2).exponential(size=31)
    names = [f"p{i // 3}" for i in range(31)]
    found = quantiles_over_proteins(values, names, [0.25, 0.5, 0.75])
    assert [interval.value for interval in found] == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]))
    assert all(interval.low < interval.value < interval.high for interval in found)


def test_drawn_quantiles_are_those_of_the_drawn_sample() -> None:
    from eqcli.metrics.docking.protein_intervals import _quantiles

    values = np.sort(np.random.default_rng(3).normal(size=9))
    counts = np.random.default_rng(4).integers(0, 4, size=(20, 9)).astype(float)
    expected = [np.quantile(np.repeat(values, row.astype(int)), [0.1, 0.5, 0.9]) for row in counts]
    np.testing.assert_allclose(_quantiles(values, counts, [0.1, 0.5, 0.9]).T, expected)


def test_one_protein_has_no_interval() -> None:
    mean = mean_over_proteins([1.0, 2.0, 3.0], ["a", "a", "a"])
    (median,) = quantiles_over_proteins([1.0, 2.0, 3.0], ["a", "a", "a"], [0.5])
    assert mean.value == median.value == 2.0
    assert np.isnan([mean.low, mean.high, median.low, median.high]).all()


def test_unknown_values_belong_to_no_figure() -> None:
    assert mean_over_proteins([1.0, np.nan, 3.0], ["a", "b", "c"]).value == 2.0
    (median,) = quantiles_over_proteins([1.0, np.nan, 3.0], ["a", "b", "c"], [0.5])
    assert median.value == 2.0
    (nothing,) = quantiles_over_proteins([np.nan], ["a"], [0.5])
    assert np.isnan(nothing.value)


FOUND = PairOutcome(
    "c1", "a", rmsd=1.5, centroid=0.5, kabsch=1.0, valid=True, best_rmsd=1.0, best_valid=True, poses=5, checked=True
)


def _values(*pairs: PairOutcome) -> dict[str, float]:
    return {name: interval.value for name, interval in method_figures(pairs).figures.items()}


def test_a_failed_pair_is_a_miss_in_shares_and_absent_from_percentiles() -> None:
    lost = PairOutcome("c2", "b", failed=True, checked=True)
    row = method_figures([FOUND, lost])
    assert (row.pairs, row.failed, row.proteins, row.not_checked) == (2, 1, 2, 0)
    values = _values(FOUND, lost)
    assert values["rmsd_below_2"] == values["valid"] == values["near_and_valid"] == 0.5
    assert values["rmsd_p50"] == 1.5
    assert row.known["rmsd_p50"] == 1
    assert row.known["rmsd_below_2"] == 2


def test_a_pose_that_was_not_checked_in_time_is_counted_and_not_judged() -> None:
    late = replace(FOUND, complex="c2", protein="b", valid=None, best_valid=None)
    row = method_figures([FOUND, late])
    assert row.not_checked == 1
    assert row.figures["valid"].value == 1.0
    assert row.known["valid"] == row.known["near_and_valid"] == 1


def test_a_far_pose_is_a_miss_whether_or_not_it_was_checked() -> None:
    far = replace(FOUND, complex="c2", protein="b", rmsd=8.0, valid=None)
    assert _values(FOUND, far)["near_and_valid"] == 0.5


def test_thresholds_are_strict() -> None:
    edge = replace(FOUND, rmsd=2.0, centroid=2.0, best_rmsd=2.0)
    values = _values(edge)
    assert values["rmsd_below_2"] == values["centroid_below_2"] == values["best_rmsd_below_2"] == 0.0
    assert values["near_and_valid"] == values["best_near_and_valid"] == 0.0
    assert values["rmsd_below_5"] == 1.0


def test_the_best_pose_is_judged_by_its_own_validity() -> None:
    mixed = replace(FOUND, rmsd=6.0, valid=True, best_rmsd=1.0, best_valid=False)
    values = _values(mixed)
    assert values["best_rmsd_below_2"] == 1.0
    assert values["best_near_and_valid"] == 0.0
    assert method_figures([mixed]).poses == 5


def test_without_checks_there_are_no_shares_of_valid_poses() -> None:
    bare = replace(FOUND, checked=False, valid=None, best_valid=None)
    assert not {"valid", "near_and_valid", "best_near_and_valid"} & set(_values(bare))


def test_every_figure_has_a_meaning() -> None:
    whole = replace(FOUND, clashes=1.0, strain=2.0, seconds=0.5)
    assert set(_values(whole)) == set(MEANINGS)
