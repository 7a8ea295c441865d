"""The row of a docking method."""

from __future__ import annotations

from dataclasses import replace

from eqcli.metrics.docking.docking_table import MEANINGS, PairOutcome, method_figures

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
