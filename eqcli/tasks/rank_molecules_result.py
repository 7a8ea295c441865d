"""What a ranking of molecules put in order and what it dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import ExitCode, Failure
from eqcli.report.numbers import show
from eqcli.tasks.screen_result import DroppedMolecule


@dataclass
class RankMoleculesResult:
    """What a ranking of molecules ended with.

    Attributes
    ----------
    output
        The folder.
    molecules, table, dropped_table, page
        SD file and CSV of the ranked molecules, CSV of the dropped ones, HTML page.
    gallery
        Page with a viewer; None where nothing is ranked.
    by, best
        The figure that molecules are ranked by, and which value is best, in words.
    ranked
        Figures of the ranked molecules by name, the best first.
    dropped
        The others, each with its reason.
    earlier
        What earlier steps dropped: the table's folder -> kind of reason -> count.
    """

    output: Path
    molecules: Path
    table: Path
    dropped_table: Path
    page: Path
    by: str
    best: str
    ranked: list[dict[str, Any]]
    dropped: Sequence[DroppedMolecule]
    gallery: Path | None = None
    earlier: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when molecules could not be read or measured, else OK."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    @property
    def total(self) -> int:
        """Molecules that were read, or could not be."""
        return len(self.ranked) + len(self.dropped)

    @property
    def counts(self) -> dict[str, int]:
        """Molecules dropped here, by kind of reason."""
        return dict(Counter(row.kind for row in self.dropped))

    def as_dict(self) -> dict[str, Any]:
        return {
            "output": str(self.output),
            "molecules": str(self.molecules),
            "table": str(self.table),
            "dropped_table": str(self.dropped_table),
            "page": str(self.page),
            "gallery": str(self.gallery) if self.gallery else None,
            "by": self.by,
            "best": self.best,
            "ranked": self.ranked,
            "dropped": [asdict(row) for row in self.dropped],
            "dropped_earlier": {name: dict(kinds) for name, kinds in self.earlier.items()},
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        dropped = ", ".join(f"{count} {kind}" for kind, count in self.counts.items()) or "none"
        rows = [("ranked", f"{len(self.ranked)} of {self.total}"), ("dropped", dropped)]
        if self.ranked:
            first = self.ranked[0]
            rows.append((f"{self.by}, {self.best}", f"{first['smiles']}, {show(first[self.by])}"))
        return [
            *rows,
            ("molecules", str(self.molecules)),
            ("reasons", str(self.dropped_table)),
            ("page", str(self.page)),
        ]
