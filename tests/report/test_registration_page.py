"""The page of an evaluation of registration: what its cells and plots say."""

from __future__ import annotations

from typing import Any

import pytest

from eqcli.metrics.registration.recall import RULES
from eqcli.metrics.registration.table import MEANINGS
from eqcli.report import registration_tables
from eqcli.report.registration import registration_page
from eqcli.report.registration_plots import registration_plots
from eqcli.report.registration_tables import GROUPS, TITLES, pairs_table

FIGURE = {"value": 0.5, "low": 0.1, "high": 0.9, "n": 2}


def _row(pair: str, method: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "pair": pair, "scene": "<s>", "method": method, "refinement": "none", "status": status, "reason": "",
        "rre": 1.0, "rte": 0.1, "unit": "m", "overlap": 0.3, "angle": 20.0, "reliable": None, "found_3dmatch": True,
    }  # fmt: skip
    return told | more


def _result(**more: Any) -> dict[str, Any]:
    row = {"method": "<m>", "refinement": "gicp", "pairs": 2, "failed": 1, "scenes": 1, "figures": {"3dmatch": FIGURE}}
    told: dict[str, Any] = {
        "counts": {"pairs": 2, "scenes": 1, "without_truth": 1, "failed": 3}, "unit": "m", "rule": "3dmatch",
        "rows": [row], "thresholds": {"recall distance": "0.2 m"}, "settings": {"seed": 0}, "warnings": ["take `care`"],
        "failures": [{"item": "<p>", "reason": "it <broke>"}], "seconds": 1.0,
    }  # fmt: skip
    return told | more


def test_every_figure_and_rule_has_words() -> None:
    assert set(TITLES) == set(MEANINGS)
    assert set(registration_tables.RULES) == set(RULES)
    assert {key for names in GROUPS.values() for key in names} == set(MEANINGS) | {"pairs", "failed"}


def test_the_page_escapes_names_and_says_what_it_is_of() -> None:
    gallery = [{"pair": "<p>", "method": "<m>", "picture": 'a".png', "page": "a.html", "words": "<w>", "best": True}]
    page = registration_page(_result(), [_row("<p>", "<m>")], [], {"eqcli": "1"}, MEANINGS, gallery=gallery)
    for raw in ("<m>", "<p><", "<broke>", "<w>", "<s>", 'a".png'):
        assert raw not in page
    assert "2 pairs of 1 scene, 1 pair without a truth, 3 items that could not be read" in page
    assert "all of one scene" in page
    assert "0.2 m" in page
    assert "<code>care</code>" in page
    assert "Best pairs of &lt;m&gt;" in page
    assert "Worst pairs" not in page


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (_row("p", "m"), 'class="pass">1.00°'),
        (_row("p", "m", found_3dmatch=False), 'class="fail">1.00°'),
        (_row("p", "m", unit="voxels"), "0.100 voxels"),
        (_row("p", "m", "failed", reason="it broke", rre=None), 'title="it broke"'),
        (_row("p", "m", "no truth", rre=None, reliable=True), "vouched for"),
        (_row("p", "m", "no truth", rre=None, reliable=False), "not vouched for"),
        (_row("p", "m", "no truth", rre=None), "no truth"),
    ],
)
def test_a_cell_says_how_the_pair_went(row: dict[str, Any], said: str) -> None:
    assert said in pairs_table([row], "3dmatch")


def _plots(curves: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    drawn = registration_plots(curves, rows, rule="3DMatch", unit="m", limits={"rre": 15.0, "rte": 1.0})
    return {plot.name: plot for plot in drawn}


def test_plots_are_drawn_of_what_there_is() -> None:
    assert _plots({}, []) == {}
    rows = [_row("p", "m"), _row("q", "m", "failed", rre=None, rte=None), _row("r", "m", "no truth", rre=None)]
    bins = [[0.0, 0.1, 0.5, 2], [0.1, 0.2, 1.0, 4]]
    shared = {"features": "f", "pairs": 4, "reached": 0.75}
    curves = {
        "overlap": [{"method": "m", "refinement": "gicp", "bins": bins}],
        "angle": [{"method": "m", "refinement": "gicp", "bins": bins[:1]}],
        "hypotheses": [
            {"method": "f + a", "points": [[1, 0.0], [10, 0.75]], "needed": 10.0} | shared,
            {"method": "f + b", "points": [[1, 0.0], [99, 0.75]], "needed": 99.0} | shared,
        ],
    }
    plots = _plots(curves, rows)
    # One bin is no curve.
    assert set(plots) == {"recall-overlap", "errors-rre", "errors-rte", "hypotheses"}
    assert "2 pairs" in plots["errors-rre"].caption
    assert "f, motions for a recall of 75 %: a 10; b 99." in plots["hypotheses"].caption
    assert "m, gicp" in plots["recall-overlap"].alt
