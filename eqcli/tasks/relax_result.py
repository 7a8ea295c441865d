"""What a relaxation of structures from files ended with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

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


@dataclass
class RelaxResult:
    """What was relaxed.

    Attributes
    ----------
    output, trajectory
        The files written; None when not asked for or when every structure failed.
    rows
        One per structure that ended somewhere sane, converged or not; they are in the output.
    failures
        What could not be read or relaxed; not in the output.
    device, precision
        Where and how it was computed.
    """

    output: Path | None = None
    trajectory: Path | None = None
    rows: list[RelaxRow] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    device: str = ""
    precision: str = ""

    @property
    def not_converged(self) -> int:
        """How many structures ran out of steps."""
        return sum(not row.converged for row in self.rows)

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when anything failed, else NOT_CONVERGED when anything did not converge, else OK."""
        if self.failures:
            return ExitCode.PARTIAL
        return ExitCode.NOT_CONVERGED if self.not_converged else ExitCode.OK

    def as_dict(self) -> dict[str, object]:
        """The result as plain data."""
        return {
            "output": str(self.output) if self.output else None,
            "trajectory": str(self.trajectory) if self.trajectory else None,
            "structures": [asdict(row) for row in self.rows],
            "converged": len(self.rows) - self.not_converged,
            "not_converged": self.not_converged,
            "failures": [failure.as_dict() for failure in self.failures],
            "device": self.device,
            "precision": self.precision,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The result for people: names and values, units included."""
        total = len(self.rows) + len(self.failures)
        rows = [("converged", f"{len(self.rows) - self.not_converged} of {total}")]
        if self.failures:
            rows.append(("failed", str(len(self.failures))))
        rows += _figures(self.rows)
        rows.append(("computed on", f"{self.device}, {self.precision}"))
        rows.append(("output", str(self.output) if self.output else "none written"))
        if self.trajectory:
            rows.append(("trajectory", str(self.trajectory)))
        return rows


def _figures(rows: list[RelaxRow]) -> list[tuple[str, str]]:
    """Figures of one structure, or the worst and the sum over several."""
    if not rows:
        return []
    figures = [
        ("steps", str(sum(row.steps for row in rows))),
        ("largest force", f"{max(row.fmax for row in rows):.3g} eV/Å"),
    ]
    stresses = [row.smax for row in rows if row.smax is not None]
    if stresses:
        figures.append(("largest stress deviation", f"{max(stresses):.3g} eV/Å^3"))
    if len(rows) == 1:
        (row,) = rows
        figures.append(("energy", f"{row.energy:.6f} eV ({row.energy - row.energy_start:+.6f})"))
        if row.volume is not None and row.volume_start is not None:
            figures.append(("volume", f"{row.volume:.4f} Å^3 ({row.volume / row.volume_start - 1:+.2%})"))
        if row.space_group_before is not None:
            change = (row.space_group_before, row.space_group_after or "none found")
            figures.append(("space group", change[0] if change[0] == change[1] else " -> ".join(change)))
    return figures
