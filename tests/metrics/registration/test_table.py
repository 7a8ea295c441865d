"""The row of a method over many pairs of clouds."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.metrics.registration.recall import RULES
from eqcli.metrics.registration.table import MEANINGS, PairOutcome, binned_recall, method_figures

YES: dict[str, bool | None] = dict.fromkeys(RULES, True)
NO: dict[str, bool | None] = dict.fromkeys(RULES, False)


def outcome(name: str, scene: str = "s", **values: object) -> PairOutcome:
    given: dict[str, object] = {"rotation": 1.0, "translation": 0.1, "found": YES, "reliable": True, "seconds": 2.0}
    return PairOutcome(name, scene, **(given | values))  # type: ignore[arg-type]


def test_every_figure_has_a_meaning() -> None:
    pair = outcome("a", inlier_ratio=0.5, matching=True, hypotheses=9)
    assert set(method_figures([pair]).figures) == set(MEANINGS)


def test_errors_are_of_found_pairs_alone() -> None:
    far = outcome("b", rotation=90.0, translation=9.0, found=NO, reliable=False)
    figures = method_figures([outcome("a"), far, outcome("c", rotation=3.0)]).figures
    assert figures["3dmatch"].value == pytest.approx(2 / 3)
    assert figures["rre_mean"].value == figures["rre_p50"].value == 2.0
    assert figures["rte_mean"].value == pytest.approx(0.1)
    # By another rule other pairs are found.
    other = outcome("d", rotation=7.0, found=NO | {"kitti-loose": True})
    assert method_figures([outcome("a"), other], rule="kitti-loose").figures["rre_mean"].value == 4.0


def test_a_pair_that_failed_is_a_miss_and_not_vouched_for() -> None:
    row = method_figures([outcome("a", matching=True), PairOutcome("b", "s", failed=True)])
    assert (row.pairs, row.failed) == (2, 1)
    for name in ("3dmatch", "3dmatch-info", "pare", "kitti-strict", "feature_recall", "vouched", "vouched_found"):
        assert row.figures[name].value == 0.5
        assert row.known[name] == 2
    assert row.figures["seconds"].value == 2.0
    assert row.known["seconds"] == 1


def test_false_alarms_of_both_kinds() -> None:
    pairs = [outcome("a"), outcome("b", reliable=False), outcome("c", found=NO), outcome("d", found=NO, reliable=False)]
    figures = method_figures(pairs).figures
    assert figures["vouched"].value == 0.5
    assert figures["vouched_found"].value == figures["vouched_wrong"].value == 0.25
    silent = method_figures([outcome("a", reliable=None)]).figures
    assert not any(name.startswith("vouched") for name in silent)


def test_a_method_without_matches_has_no_feature_recall() -> None:
    assert "feature_recall" not in method_figures([outcome("a"), PairOutcome("b", "s", failed=True)]).figures


def test_a_rule_of_some_pairs_is_of_those() -> None:
    without = outcome("b", found=YES | {"3dmatch-info": None})
    row = method_figures([outcome("a", found=NO), without])
    assert row.figures["3dmatch-info"].value == 0.0
    assert row.known["3dmatch-info"] == 1
    assert row.figures["3dmatch"].value == 0.5


def test_intervals_are_over_scenes() -> None:
    rng = np.random.default_rng(0)
    marks = [bool(one) for one in rng.integers(0, 2, 10)]
    once = [outcome(f"{k}", f"scene {k}", found=YES if mark else NO) for k, mark in enumerate(marks)]
    tenfold = [outcome(f"{k}-{n}", f"scene {k}", found=once[k].found) for k in range(10) for n in range(10)]
    assert method_figures(tenfold).figures["3dmatch"] == pytest.approx(method_figures(once).figures["3dmatch"])
    assert method_figures(tenfold).scenes == 10
    # All of one scene: drawn pair by pair, as scenes of one pair each would be.
    together = [outcome(one.pair, found=one.found) for one in once]
    assert method_figures(together).figures["3dmatch"] == pytest.approx(method_figures(once).figures["3dmatch"])


def test_bins_hold_each_pair_once() -> None:
    values = np.array([0.0, 0.1, 0.15, 0.2, 0.3, np.nan, 0.9])
    found = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, np.nan])
    assert binned_recall(values, found, [0.0, 0.1, 0.2, 0.3]) == [
        (0.0, 0.1, 1.0, 1), (0.1, 0.2, 0.5, 2), (0.2, 0.3, 0.5, 2),
    ]  # fmt: skip
