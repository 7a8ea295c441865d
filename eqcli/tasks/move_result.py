"""What dynamics of structures from files ended with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import ExitCode, Failure
from eqcli.tasks.relax_result import first_rows, not_told


@dataclass(frozen=True)
class MoveRow:
    """One structure and its averages over all steps.

    Time in ps, temperature and its standard deviation in K, `drift` of the conserved energy in eV/atom/ps, mean
    pressure in GPa and mean volume in Å^3 (None where there is none), the energy at the end in eV.
    """

    item: str
    steps: int
    time: float
    temperature: float | None
    temperature_std: float | None
    drift: float | None
    pressure: float | None
    volume: float | None
    energy: float

    def __str__(self) -> str:
        warm = f", {self.temperature:.1f} ± {self.temperature_std:.1f} K" if self.temperature is not None else ""
        drift = f", drift {self.drift:+.2g} eV/atom/ps" if self.drift is not None else ""
        press = f", {self.pressure:.3g} GPa, {self.volume:.4g} Å^3" if self.pressure is not None else ""
        return f"{self.item}: {self.time:g} ps in {self.steps} steps{warm}{drift}{press}"


@dataclass
class MoveFigures:
    """Counts over structures, and the largest drift in eV/atom/ps."""

    moved: int = 0
    steps: int = 0
    drift: float | None = None
    heat: float = 0.0
    """Sum of the mean temperatures, K."""

    warm: int = 0
    """Structures that have a temperature."""

    def join(self, other: Mapping[str, Any]) -> None:
        """Counts those of `other`, which has the fields of this class."""
        self.moved += other["moved"]
        self.steps += other["steps"]
        self.heat += other["heat"]
        self.warm += other["warm"]
        drifts = [value for value in (self.drift, other["drift"]) if value is not None]
        self.drift = max(drifts, key=abs, default=None)


def move_figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The fields of `MoveFigures` of rows that have a `number`, and the first of the rows, as plain data."""
    figures = MoveFigures()
    for row in rows:
        warm = row["temperature"] is not None
        figures.join({**row, "moved": 1, "heat": row["temperature"] or 0.0, "warm": int(warm)})
    return {**asdict(figures), "rows": first_rows(rows)}


@dataclass
class MoveResult:
    """What was moved.

    Attributes
    ----------
    output, trajectory
        The files written; None when not asked for or when every structure failed.
    rows
        One per structure that came to its end; of a request of many structures the first.
    figures
        Of all of these.
    failures
        What could not be read or moved; not in the output. Of many the first.
    failed
        How many there were.
    device, precision
        Where and how it was computed.
    settings
        Those of the dynamics.
    """

    output: Path | None = None
    trajectory: Path | None = None
    rows: list[MoveRow] = field(default_factory=list)
    figures: MoveFigures = field(default_factory=MoveFigures)
    failures: list[Failure] = field(default_factory=list)
    failed: int = 0
    device: str = ""
    precision: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when anything failed, else OK."""
        return ExitCode.PARTIAL if self.failed else ExitCode.OK

    def as_dict(self) -> dict[str, object]:
        """The result as plain data."""
        return {
            "output": str(self.output) if self.output else None,
            "trajectory": str(self.trajectory) if self.trajectory else None,
            "structures": [asdict(row) for row in self.rows],
            "moved": self.figures.moved,
            "largest_drift": self.figures.drift,
            "failed": self.failed,
            "failures": [failure.as_dict() for failure in self.failures],
            "settings": dict(self.settings),
            "device": self.device,
            "precision": self.precision,
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """The result for people: names and values, units included."""
        rows = [("moved", f"{self.figures.moved} of {self.figures.moved + self.failed}")]
        if self.failed:
            rows.append(("failed", str(self.failed)))
        rows += not_told(self.rows, self.figures.moved)
        rows.append(("steps", str(self.figures.steps)))
        if self.figures.warm:
            rows.append(("mean temperature", f"{self.figures.heat / self.figures.warm:.1f} K"))
        if self.figures.drift is not None:
            rows.append(("largest drift", f"{self.figures.drift:+.2g} eV/atom/ps"))
        if len(self.rows) == self.figures.moved == 1 and self.rows[0].pressure is not None:
            rows.append(("mean pressure", f"{self.rows[0].pressure:.3g} GPa"))
            rows.append(("mean volume", f"{self.rows[0].volume:.4f} Å^3"))
        rows.append(("computed on", f"{self.device}, {self.precision}"))
        rows.append(("output", str(self.output) if self.output else "none written"))
        if self.trajectory:
            rows.append(("trajectory", str(self.trajectory)))
        return rows


def known(value: float) -> float | None:
    """None for what is not a number."""
    return value if math.isfinite(value) else None
