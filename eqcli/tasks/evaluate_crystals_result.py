"""What an evaluation of generated crystals found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import Failure
from eqcli.tasks.evaluated import Evaluated

PREDICTION, DE_NOVO = "structure prediction", "de novo generation"

GENERATED = "generated"
"""Name of the row of the generated crystals, above those of the baselines."""

Figure = tuple[float | None, float | None, float | None]
"""A value and the bounds of its 95 % interval; None where there is none."""


@dataclass
class ComparedRow:
    """The generated crystals, or a baseline, with figures by name.

    Attributes
    ----------
    without
        Targets that it has no prediction for; they count as not matched.
    """

    name: str
    structures: int
    figures: dict[str, Figure] = field(default_factory=dict)
    without: int = 0

    def as_dict(self) -> dict[str, Any]:
        figures = {key: {"value": value, "low": low, "high": high} for key, (value, low, high) in self.figures.items()}
        return {
            "name": self.name,
            "structures": self.structures,
            "without_prediction": self.without,
            "figures": figures,
        }


@dataclass
class CrystalEvaluation(Evaluated):
    """What an evaluation of generated crystals found.

    Attributes
    ----------
    situation
        `structure prediction` or `de novo generation`.
    compared
        The generated crystals, then the baselines.
    common
        Validity, uniqueness, novelty and distributions of the generated crystals, whatever the situation.
    settings
        Tolerances, cutoffs, seeds, versions: everything that the figures depend on.
    structures
        A row for each generated crystal.
    curves
        Samples that the plots are drawn from.
    stability
        What `tasks.stability` found, or None.
    """

    output: Path
    report_html: Path
    report_json: Path
    table: Path
    situation: str
    counts: dict[str, int]
    compared: list[ComparedRow] = field(default_factory=list)
    common: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    structures: list[dict[str, Any]] = field(default_factory=list)
    curves: dict[str, Any] = field(default_factory=dict)
    stability: dict[str, Any] | None = None
    failures: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row per compared set, for the table on the terminal."""
        from eqcli.report.crystals import MAIN, title_of
        from eqcli.report.numbers import show

        names = [key for row in self.compared[:1] for key in row.figures if key.split("@")[0] in MAIN]
        return [
            {"set": row.name} | {title_of(key): show(row.figures.get(key, (None,))[0]) for key in names}
            for row in self.compared
        ]

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data; the rows of single structures are in `structures.csv`."""
        return self.plain(
            {
                "report_json": str(self.report_json),
                "structures": str(self.table),
                "situation": self.situation,
                "counts": self.counts,
                "compared": [row.as_dict() for row in self.compared],
                "common": self.common,
                "stability": self.stability,
                "settings": self.settings,
            }
        )

    def summary(self) -> list[tuple[str, str]]:
        """The figures that matter, as text."""
        from eqcli.report.crystals import MAIN, interval_text, title_of
        from eqcli.report.numbers import count, show

        size = f"{count(self.counts['generated'], 'structure')}, {self.counts['reference']:,} in the reference"
        lines = [(self.situation, size)]
        for key, figure in (self.compared[0].figures if self.compared else {}).items():
            if key.split("@")[0] in MAIN:
                lines.append((title_of(key), interval_text(figure)))
        for key in ("valid", "uniqueness", "novelty") if self.situation == PREDICTION else ():
            if self.common.get(key) is not None:
                lines.append((key, show(self.common[key])))
        if self.stability:
            figures = self.stability["figures"]
            sun = figures["sun"] if figures["sun"] is not None else figures["stable_unique"]
            words = "stable, unique, novel" if figures["sun"] is not None else "stable, unique"
            lines.append((words, f"{sun:,} of {figures['generated']:,}"))
        return [*lines, *self.told(), ("structures", str(self.table))]
