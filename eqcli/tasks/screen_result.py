"""What a screening kept and what it dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import ExitCode, Failure

FLAG, DUPLICATE, KNOWN, SURPLUS, UNREADABLE = "flag", "duplicate", "known", "surplus", "unreadable"
"""Kinds of reasons to drop any structure, in the order in which they are looked at."""


@dataclass(frozen=True)
class DroppedRow:
    """One structure that was dropped.

    Attributes
    ----------
    item
        Its place among the structures read, from 0; None for one that could not be read.
    sample
        Its number within the run that made it, where that is known.
    kind
        Of the reason, in a word: `flag`, `duplicate`, `known`, `surplus`, `unreadable` and others.
    reason
        In words.
    """

    item: int | None
    sample: int | None
    formula: str
    kind: str
    reason: str


@dataclass(frozen=True)
class DroppedMolecule(DroppedRow):
    """One molecule that was dropped; `smiles` is empty where it has none."""

    smiles: str = ""


@dataclass
class ScreenResult:
    """What a screening ended with.

    Attributes
    ----------
    output
        The kept structures; None where nothing was kept.
    table
        CSV file with a row for every structure that was dropped.
    total
        Structures read, those that could not be read included.
    """

    output: Path | None
    table: Path
    total: int
    kept: int
    rows: Sequence[DroppedRow]
    failures: list[Failure] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when structures could not be read or compared, else OK."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    @property
    def counts(self) -> dict[str, int]:
        """Structures dropped, by kind of reason."""
        return dict(Counter(row.kind for row in self.rows))

    def as_dict(self) -> dict[str, Any]:
        return {
            "output": str(self.output) if self.output else None,
            "table": str(self.table),
            "structures": self.total,
            "kept": self.kept,
            "dropped": self.counts,
            "rows": [asdict(row) for row in self.rows],
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        dropped = ", ".join(f"{count} {kind}" for kind, count in self.counts.items()) or "none"
        return [
            ("kept", f"{self.kept} of {self.total}"),
            ("dropped", dropped),
            ("output", str(self.output) if self.output else "none written"),
            ("reasons", str(self.table)),
        ]
