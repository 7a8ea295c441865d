"""What a generation made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import ExitCode, Failure
from eqcli.tasks.generate_figures import GenerateFigures

if TYPE_CHECKING:
    from eqcli.tasks.stream.result import StreamResult


@dataclass
class GenerateResult:
    """What a generation made.

    Attributes
    ----------
    wanted, resumed
        How many structures were asked for, and how many of them an earlier call had dealt with.
    figures
        What is told of those that were made.
    failures
        Structures of a file that the model cannot take, and those that came to nothing; of very many, the first.
    failed
        How many these are.
    """

    output: Path
    wanted: int = 0
    resumed: int = 0
    figures: GenerateFigures = field(default_factory=GenerateFigures)
    seconds: float = 0.0
    device: str = ""
    precision: str = ""
    failures: list[Failure] = field(default_factory=list)
    failed: int = 0

    @property
    def structures(self) -> int:
        """How many are in the output."""
        return self.figures.structures

    @property
    def flags(self) -> dict[str, int]:
        """How many structures have each flag."""
        return dict(self.figures.flags)

    @property
    def calls(self) -> int | None:
        """Network calls for each structure."""
        return self.figures.calls

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when a structure could not be made, else OK; flagged ones are made."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each structure, where they are few."""
        return self.figures.table

    def take(self, found: StreamResult) -> None:
        """Takes over what a stream came to."""
        for part in found.figures:
            self.figures.join(part)
        self.failed = len(self.failures) + found.failed
        self.failures += found.listed()
        self.resumed, self.seconds, self.device = found.earlier, found.seconds, found.devices or self.device

    @property
    def _rate(self) -> float:
        """Structures a second of this call, failed ones counted."""
        return max(0, self.wanted - self.resumed) / max(self.seconds, 1e-9)

    def as_dict(self) -> dict[str, Any]:
        return {
            "output": str(self.output),
            "wanted": self.wanted,
            "structures": self.structures,
            "resumed": self.resumed,
            "formulas": len(self.figures.formulas),
            "flags": self.flags,
            "network_calls_per_structure": self.calls,
            "seconds": self.seconds,
            "structures_per_second": self._rate or None,
            "device": self.device,
            "precision": self.precision,
            "failed": self.failed,
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        figures = self.figures
        rows = [("structures", f"{self.structures:,} of {len(figures.formulas):,} formulas")]
        if self.resumed:
            rows.append(("of an earlier call", f"{self.resumed:,}"))
        if self.failed:
            rows.append(("failed", str(self.failed)))
        flagged = ", ".join(f"{count} {name}" for name, count in sorted(self.flags.items()))
        rows.append(("flagged", flagged or "none"))
        if self.calls is not None:
            rows.append(("network calls", f"{self.calls} for each structure"))
        rows.append(("time", f"{self.seconds:.1f} s on {self.device}, {self._rate:.3g} a second"))
        rows.append(("output", str(self.output)))
        return rows
