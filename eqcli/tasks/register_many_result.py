"""What a registration of many pairs ended with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import ExitCode, Failure, Where
from eqcli.tasks.register_rows import TABLE, PairRow

if TYPE_CHECKING:
    from eqcli.tasks.register_poses import PosesResult

SHOWN = 20
"""Rows that are shown; all of them are in the table."""

FAILURES_SHOWN = 50

COLUMNS = ("name", "status", "method", "angle", "inliers", "overlap", "rotation_error", "translation_error", "seconds")


@dataclass
class PairsResult:
    """What was registered.

    Attributes
    ----------
    output
        The folder.
    pairs
        A row for each, in order.
    earlier
        How many of them an interrupted run had ended.
    seconds
        Of this run.
    poses
        All clouds in one frame, where that was asked for.
    """

    output: Path
    pairs: list[PairRow]
    earlier: int = 0
    seconds: float = 0.0
    poses: PosesResult | None = None

    def count(self, status: str) -> int:
        """How many pairs ended so."""
        return sum(row.status == status for row in self.pairs)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The first rows for people."""
        return [{name: getattr(row, name) for name in COLUMNS} for row in self.pairs[:SHOWN]]

    @property
    def failures(self) -> list[Failure]:
        """Pairs without a result. With a pose graph, pairs may lie apart: there, clouds that are not reached."""
        bad = ("failed",) if self.poses is not None else ("failed", "no alignment")
        rows = [row for row in self.pairs if row.status in bad]
        found = [Failure(row.name, row.reason, Where(row.source or None)) for row in rows[:FAILURES_SHOWN]]
        if len(rows) > FAILURES_SHOWN:
            rest = f"{len(rows) - FAILURES_SHOWN} more pairs"
            found.append(Failure(rest, f"see {TABLE}", Where(self.output / TABLE)))
        return found + (self.poses.failures if self.poses is not None else [])

    @property
    def exit_code(self) -> ExitCode:
        """OK, or PARTIAL when anything failed."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "output": str(self.output),
            "pairs": len(self.pairs),
            "ok": self.count("ok"),
            "no_alignment": self.count("no alignment"),
            "failed": self.count("failed"),
            "earlier": self.earlier,
            "rows": [vars(row) for row in self.pairs],
            "poses": self.poses.as_dict() if self.poses is not None else None,
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The result for people: names and values, units included."""
        rows = [("registered", f"{self.count('ok')} of {len(self.pairs)} pairs")]
        for status, label in (("no alignment", "no reliable alignment"), ("failed", "failed")):
            if self.count(status):
                rows.append((label, str(self.count(status))))
        if self.earlier:
            rows.append(("done earlier", f"{self.earlier} pairs"))
        rows += self._errors()
        if self.poses is not None:
            rows += self.poses.summary()
        rows.append(("computed in", f"{self.seconds:.2f} s"))
        rows.append(("output", str(self.output)))
        return rows

    def _errors(self) -> list[tuple[str, str]]:
        known = [row for row in self.pairs if row.rotation_error is not None]
        if not known:
            return []
        turn = np.median([row.rotation_error for row in known if row.rotation_error is not None])
        shift = np.median([row.translation_error for row in known if row.translation_error is not None])
        told = f"median {turn:.3g} degrees and {shift:.3g} over the {len(known)} of these whose truth is given"
        return [("errors", told)]
