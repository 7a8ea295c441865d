"""What a relaxation of structures from files ended with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from eqcli.engine.relaxation import Relaxation


@dataclass(frozen=True)
class RelaxRow:
    """One relaxed structure: energies in eV, fmax in eV/Å, smax in eV/Å^3, volume in Å^3 (None where there is none)."""

    item: str
    converged: bool
    steps: int
    energy_start: float
    energy: float
    fmax: float
    smax: float | None
    volume_start: float | None
    volume: float | None
    space_group_before: str | None
    space_group_after: str | None

    @classmethod
    def of(cls, done: Relaxation) -> RelaxRow:
        """The row of a finished relaxation."""
        return cls(
            item=done.structure.name,
            converged=done.converged,
            steps=done.point.step,
            energy_start=done.start.energy,
            energy=done.point.energy,
            fmax=done.point.fmax,
            smax=done.point.smax,
            volume_start=done.start.volume,
            volume=done.point.volume,
            space_group_before=done.space_group_before,
            space_group_after=done.space_group_after,
        )

    def __str__(self) -> str:
        state = "converged" if self.converged else "NOT converged"
        stress = f", |stress| {self.smax:.2g} eV/Å^3" if self.smax is not None else ""
        return (
            f"{self.item}: {state} after {self.steps} steps, energy {self.energy:.6f} eV "
            f"({self.energy - self.energy_start:+.6f}), max |F| {self.fmax:.2g} eV/Å{stress}"
        )


TOLD = 1000
"""Structures whose rows are in the result, the first of the request: the output has all, and memory is bounded."""


@dataclass
class RelaxFigures:
    """Sums and extremes over relaxed structures: largest force in eV/Å, largest stress deviation in eV/Å^3."""

    relaxed: int = 0
    converged: int = 0
    steps: int = 0
    fmax: float | None = None
    smax: float | None = None

    def join(self, other: Mapping[str, Any]) -> None:
        """Counts those of `other`, which has the fields of this class."""
        self.relaxed += other["relaxed"]
        self.converged += other["converged"]
        self.steps += other["steps"]
        self.fmax, self.smax = _larger(self.fmax, other["fmax"]), _larger(self.smax, other["smax"])


def _larger(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def relax_figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The fields of `RelaxFigures` of rows that have a `number`, and the first of the rows, as plain data."""
    figures = RelaxFigures()
    for row in rows:
        figures.join({**row, "relaxed": 1, "converged": int(row["converged"])})
    return {**asdict(figures), "rows": first_rows(rows)}


def first_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the first structures of a request, in order and without their `number`."""
    first = sorted((row for row in rows if row["number"] < TOLD), key=lambda row: row["number"])
    return [{name: value for name, value in row.items() if name != "number"} for row in first]


def not_told(rows: Sequence[object], total: int) -> list[tuple[str, str]]:
    """What the summary says where the table has fewer rows than there are structures."""
    return [("not in the table", f"{total - len(rows)} more; the output has all")] if len(rows) < total else []


@dataclass
class RelaxResult:
    """What was relaxed.

    Attributes
    ----------
    output, trajectory
        The files written; None when not asked for or when every structure failed.
    rows
        One per structure that ended somewhere sane, converged or not; they are in the output. Of a request of many
        structures the first `TOLD`.
    figures
        Of all of these.
    failures
        What could not be read or relaxed; not in the output. Of many the first.
    failed
        How many there were.
    device, precision
        Where and how it was computed.
    """

    output: Path | None = None
    trajectory: Path | None = None
    rows: list[RelaxRow] = field(default_factory=list)
    figures: RelaxFigures = field(default_factory=RelaxFigures)
    failures: list[Failure] = field(default_factory=list)
    failed: int = 0
    device: str = ""
    precision: str = ""

    @property
    def not_converged(self) -> int:
        """How many structures ran out of steps."""
        return self.figures.relaxed - self.figures.converged

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when anything failed, else NOT_CONVERGED when anything did not converge, else OK."""
        if self.failed:
            return ExitCode.PARTIAL
        return ExitCode.NOT_CONVERGED if self.not_converged else ExitCode.OK

    def as_dict(self) -> dict[str, object]:
        """The result as plain data."""
        return {
            "output": str(self.output) if self.output else None,
            "trajectory": str(self.trajectory) if self.trajectory else None,
            "structures": [asdict(row) for row in self.rows],
            "relaxed": self.figures.relaxed,
            "converged": self.figures.converged,
            "not_converged": self.not_converged,
            "failed": self.failed,
            "failures": [failure.as_dict() for failure in self.failures],
            "device": self.device,
            "precision": self.precision,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The result for people: names and values, units included."""
        rows = [("converged", f"{self.figures.converged} of {self.figures.relaxed + self.failed}")]
        rows += not_told(self.rows, self.figures.relaxed)
        if self.failed:
            rows.append(("failed", str(self.failed)))
        rows += _figures(self.figures, self.rows)
        rows.append(("computed on", f"{self.device}, {self.precision}"))
        rows.append(("output", str(self.output) if self.output else "none written"))
        if self.trajectory:
            rows.append(("trajectory", str(self.trajectory)))
        return rows


def _figures(figures: RelaxFigures, rows: list[RelaxRow]) -> list[tuple[str, str]]:
    """Figures of one structure, or the worst and the sum over several."""
    if figures.fmax is None:
        return []
    found = [("steps", str(figures.steps)), ("largest force", f"{figures.fmax:.3g} eV/Å")]
    if figures.smax is not None:
        found.append(("largest stress deviation", f"{figures.smax:.3g} eV/Å^3"))
    if figures.relaxed == len(rows) == 1:
        (row,) = rows
        found.append(("energy", f"{row.energy:.6f} eV ({row.energy - row.energy_start:+.6f})"))
        if row.volume is not None and row.volume_start is not None:
            found.append(("volume", f"{row.volume:.4f} Å^3 ({row.volume / row.volume_start - 1:+.2%})"))
        if row.space_group_before is not None:
            change = (row.space_group_before, row.space_group_after or "none found")
            found.append(("space group", change[0] if change[0] == change[1] else " -> ".join(change)))
    return found
