"""What an evaluation of docking found, and the form of its `metrics.json`.

`DockingEvaluation.as_dict` gives, and `report.docking.docking_page` takes::

    {
      "output", "report_html", "metrics", "complexes", "poses": paths as text
      "counts": {"complexes": n, "proteins": n, "seen": n, "unseen": n, "unknown": n, "failed": n},
                                       # `failed` could not be read; pairs that a method failed on are in the rows
      "tables": [TABLE],               # unseen proteins first, then seen ones, then all of them
      "settings": {...},               # seeds, limits, thresholds, versions: everything that figures depend on
      "warnings": [text], "failures": [Failure.as_dict()], "seconds", "exit_code"
    }
    TABLE = {
      "split": "unseen" | "seen" | "all",
      "words": what the rows are of, e.g. "8 complexes of 7 proteins that the model was not trained on",
      "rows": [ROW]
    }
    ROW = {
      "method": name, "pocket": "blind" | "known pocket", "pairs", "failed", "not_checked", "proteins", "poses",
      "figures": {name: {"value", "low", "high", "n"}}     # names: eqcli.metrics.docking.docking_table.MEANINGS
    }

A row of `complexes.csv` is one complex and one method: `complex`, `protein`, `trained_on` (seen, unseen, unknown),
`nearest_training_protein`, `identity`, `method`, `pocket`, `status`, `reason`, `poses`, `rmsd`, `centroid`,
`kabsch_rmsd`, `valid`, `failed_checks`, `best_rmsd`, `best_rank`, `best_valid`, `score`, `confidence`, `clashes`,
`strain`, `seconds`, `receptor`, `ligand`, `ligand_atoms`, `notes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from eqcli.errors import Failure
from eqcli.metrics.docking.docking_table import MethodFigures
from eqcli.tasks.evaluated import Evaluated

METRICS: Final = "metrics.json"
COMPLEXES: Final = "complexes.csv"
POSES: Final = "poses"

ALL, SEEN_ONLY, UNSEEN_ONLY = "all", "seen", "unseen"

SHOWN: Final = {
    "rmsd_p50": "RMSD 50 %",
    "rmsd_below_2": "< 2 Å",
    "rmsd_below_5": "< 5 Å",
    "centroid_p50": "centroid 50 %",
    "valid": "valid",
    "near_and_valid": "< 2 Å, valid",
    "best_rmsd_below_2": "best < 2 Å",
    "seconds": "seconds",
}
"""Figures that the terminal shows, and their headings."""


@dataclass(frozen=True)
class MethodRow:
    """A row of a table."""

    method: str
    pocket: str
    figures: MethodFigures

    def as_dict(self) -> dict[str, Any]:
        return {"method": self.method, "pocket": self.pocket, **self.figures.as_dict()}


@dataclass(frozen=True)
class MethodTable:
    """The rows over one part of the complexes."""

    split: str
    words: str
    rows: tuple[MethodRow, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"split": self.split, "words": self.words, "rows": [row.as_dict() for row in self.rows]}


@dataclass
class DockingEvaluation(Evaluated):
    """What an evaluation of docking found; see the head of this module.

    Attributes
    ----------
    table
        `complexes.csv`.
    complexes
        Its rows.
    stems
        Names of the files of each complex in `poses/` and `pages/`, without their endings.
    pictures
        The ligand of each complex, drawn flat.
    """

    output: Path
    report_html: Path
    metrics: Path
    table: Path
    poses: Path
    counts: dict[str, int] = field(default_factory=dict)
    tables: list[MethodTable] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    complexes: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    stems: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per part and method, for the table on the terminal."""
        from eqcli.report.numbers import show

        rows = []
        for table in self.tables:
            for row in table.rows:
                figures = row.figures.figures
                told = {title: show(figures[key].value) if key in figures else "–" for key, title in SHOWN.items()}
                said: dict[str, Any] = {"proteins": table.split, "pocket": row.pocket, "method": row.method}
                rows.append(said | {"pairs": row.figures.pairs, "failed": row.figures.failed} | told)
        return rows

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data; the rows of single complexes are in `complexes.csv`."""
        return self.plain(
            {
                "metrics": str(self.metrics),
                "complexes": str(self.table),
                "poses": str(self.poses),
                "counts": self.counts,
                "tables": [table.as_dict() for table in self.tables],
                "settings": self.settings,
            }
        )

    def summary(self) -> list[tuple[str, str]]:
        """What the table is of, and what to look at."""
        lines = [(table.split, table.words) for table in self.tables]
        return [*lines, *self.told(), ("complexes", str(self.table))]
