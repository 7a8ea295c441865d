"""What a docking of pairs ended with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import ExitCode, Failure

SHOWN = 20
"""Rows that are shown; all of them are in the files."""


@dataclass(frozen=True)
class ShownPose:
    """A row for people: score and strain in kcal/mol, confidence from 0 to 1."""

    rank: int
    ligand: str
    receptor: str
    pose: int
    method: str
    score: float
    confidence: float | None
    strain: float | None
    clashes: int | None
    pocket: int | None


@dataclass
class DockResult:
    """What was docked.

    Attributes
    ----------
    output
        The file of poses, or the folder of a screen.
    pages
        The page over a screen, or the folder of the pages of single pairs; None where there are none.
    pairs, docked, poses
        How many pairs there were, how many have poses, and how many poses these have.
    earlier
        Pairs of these that an interrupted run had ended.
    rows
        The best poses of one ligand, or the best pairs of several.
    failures
        Pairs that have no pose, and why.
    seconds
        From the first pair to the last, without loading the model.
    """

    output: Path | None = None
    model: str = ""
    pairs: int = 0
    docked: int = 0
    poses: int = 0
    earlier: int = 0
    rows: list[ShownPose] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    device: str = ""
    pages: Path | None = None

    @property
    def exit_code(self) -> ExitCode:
        """OK, or PARTIAL when any pair failed."""
        return ExitCode.PARTIAL if self.docked < self.pairs else ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "output": str(self.output) if self.output else None,
            "pages": str(self.pages) if self.pages else None,
            "model": self.model,
            "pairs": self.pairs,
            "docked": self.docked,
            "failed": self.pairs - self.docked,
            "poses": self.poses,
            "earlier": self.earlier,
            "best": [vars(row) for row in self.rows],
            "failures": [failure.as_dict() for failure in self.failures],
            "seconds": self.seconds,
            "device": self.device,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The result for people: names and values, units included."""
        rows = [("docked", f"{self.docked} of {self.pairs} pairs, {self.poses} poses")]
        if self.earlier:
            rows.append(("done earlier", f"{self.earlier} pairs"))
        if self.pairs > self.docked:
            rows.append(("failed", str(self.pairs - self.docked)))
        if self.rows:
            best = self.rows[0]
            confidence = "" if best.confidence is None else f", confidence {best.confidence:.2f}"
            rows.append(("best", f"{best.ligand}: {best.score:.2f} kcal/mol{confidence}"))
        done = self.pairs - self.earlier
        each = f", {self.seconds / done:.2f} s a pair" if done else ""
        rows.append(("computed in", f"{self.seconds:.2f} s on {self.device}{each}"))
        rows.append(("output", str(self.output) if self.output else "none written"))
        if self.pages:
            rows.append(("pages", str(self.pages)))
        return rows
