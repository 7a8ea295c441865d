"""What an evaluation of registration found, and the form of its `metrics.json`.

`RegistrationEvaluation.as_dict` gives, and `report.registration.registration_page` takes::

    {
      "output", "report_html", "metrics", "pairs": paths as text
      "counts": {"pairs": n, "scenes": n, "without_truth": n, "symmetric": n, "metric": n, "failed": n},
                                       # `failed` could not be read; pairs that a method failed on are in the rows
      "unit": "m" | "voxels",          # of RTE
      "rule": name,                    # the rule by which errors are those of found pairs
      "rows": [ROW],                   # over all pairs whose truth is known
      "thresholds": {name: words},
      "settings": {...},               # seeds, limits, versions: everything that figures depend on
      "curves": {"overlap" | "angle": [{"method", "refinement", "bins": [[low, high, recall, pairs]]}],
                 "hypotheses": [{"method", "features", "pairs", "points": [[hypotheses, recall]], "reached",
                                 "needed"}]},
      "warnings": [text], "failures": [Failure.as_dict()], "seconds", "exit_code"
    }
    ROW = {
      "method", "refinement", "pairs", "failed", "scenes",
      "figures": {name: {"value", "low", "high", "n"}}     # names: eqcli.metrics.registration.table.MEANINGS
    }

A row of `pairs.csv` is one pair and one method with one refinement; see `evaluate_registration_rows.pair_row`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from eqcli.errors import Failure
from eqcli.metrics.registration.recall import MATCH
from eqcli.metrics.registration.table import MethodFigures
from eqcli.tasks.evaluated import Evaluated

METRICS: Final = "metrics.json"
PAIRS: Final = "pairs.csv"
PICTURES: Final = "pictures"

SHOWN: Final = {
    "3dmatch": "recall (3DMatch)",
    "pare": "recall (PARE)",
    "kitti-loose": "5°, 2 m",
    "kitti-strict": "1.5°, 0.3 m",
    "feature_recall": "FMR",
    "inlier_ratio": "IR",
    "rre_p50": "RRE 50 %",
    "rte_p50": "RTE 50 %",
    "vouched_wrong": "vouched, wrong",
    "seconds": "seconds",
}
"""Figures that the terminal shows, and their headings."""


@dataclass(frozen=True)
class MethodRow:
    """A row of the table."""

    method: str
    refinement: str
    figures: MethodFigures

    def as_dict(self) -> dict[str, Any]:
        return {"method": self.method, "refinement": self.refinement, **self.figures.as_dict()}


@dataclass(frozen=True)
class Drawn:
    """A pair in the gallery of the page.

    Attributes
    ----------
    picture, page
        Files relative to the report.
    words
        Of the method and its errors.
    """

    pair: str
    method: str
    picture: str
    page: str
    words: str
    best: bool


@dataclass
class RegistrationEvaluation(Evaluated):
    """What an evaluation of registration found; see the head of this module.

    Attributes
    ----------
    table
        `pairs.csv`.
    pairs
        Its rows.
    drawn
        The gallery: the best and the worst pairs of one method.
    """

    output: Path
    report_html: Path
    metrics: Path
    table: Path
    counts: dict[str, int] = field(default_factory=dict)
    unit: str = "m"
    rule: str = MATCH
    methods: list[MethodRow] = field(default_factory=list)
    thresholds: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    drawn: list[Drawn] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per method and refinement, for the table on the terminal."""
        from eqcli.report.numbers import show

        rows = []
        for row in self.methods:
            figures = row.figures.figures
            told = {title: show(figures[key].value) if key in figures else None for key, title in SHOWN.items()}
            said: dict[str, Any] = {"method": row.method, "refinement": row.refinement, "pairs": row.figures.pairs}
            rows.append(said | {"failed": row.figures.failed} | told)
        return rows

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data; the rows of single pairs are in `pairs.csv`."""
        return self.plain(
            {
                "metrics": str(self.metrics),
                "pairs": str(self.table),
                "counts": self.counts,
                "unit": self.unit,
                "rule": self.rule,
                "rows": [row.as_dict() for row in self.methods],
                "thresholds": self.thresholds,
                "settings": self.settings,
                "curves": self.curves,
            }
        )

    def summary(self) -> list[tuple[str, str]]:
        """What the table is of, its thresholds, and what to look at."""
        from eqcli.report.numbers import count

        size = f"{count(self.counts.get('pairs', 0), 'pair')} of {count(self.counts.get('scenes', 0), 'scene')}"
        apart, unread = self.counts.get("without_truth", 0), self.counts.get("failed", 0)
        size += f"; {count(apart, 'pair')} without a truth, counted apart" if apart else ""
        size += f"; {count(unread, 'item')} could not be read and count in no figure" if unread else ""
        lines = [("pairs", size)]
        lines += list(self.thresholds.items())
        return [*lines, *self.told(), ("pairs of the table", str(self.table))]
