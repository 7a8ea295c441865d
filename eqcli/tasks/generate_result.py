"""What a generation made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.errors import ExitCode, Failure

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

ROWS = 40
"""A table of more rows is for the output file."""


@dataclass
class GenerateResult:
    """What a generation made.

    Attributes
    ----------
    structures, resumed
        How many are in the output, and how many of them an earlier call had made.
    flags
        How many structures have each flag.
    calls
        Network calls for each structure.
    table
        A row for each structure, while they are few.
    """

    output: Path
    wanted: int = 0
    structures: int = 0
    resumed: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    formulas: set[str] = field(default_factory=set)
    calls: int | None = None
    seconds: float = 0.0
    device: str = ""
    precision: str = ""
    failures: list[Failure] = field(default_factory=list)
    table: list[dict[str, Any]] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when a structure could not be made, else OK; flagged ones are made."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table, where it is short enough to be looked at."""
        return self.table if len(self.table) <= ROWS else []

    def add(self, structure: Structure) -> None:
        """Counts one structure."""
        from eqcli.io.structure import formula

        name = formula(structure.numbers)
        flags = str(structure.info.get("flags", ""))
        self.structures += 1
        self.formulas.add(name)
        self.flags.update(flags.split(",") if flags else ())
        if len(self.table) <= ROWS:
            row = {"sample": structure.info["sample"], "formula": name, "atoms": len(structure)}
            if structure.pbc.any():
                row["volume per atom"] = f"{structure.volume / len(structure):.2f}"
            self.table.append(row | {"flags": flags or None})

    def as_dict(self) -> dict[str, Any]:
        made = self.structures - self.resumed
        return {
            "output": str(self.output),
            "wanted": self.wanted,
            "structures": self.structures,
            "resumed": self.resumed,
            "formulas": len(self.formulas),
            "flags": dict(self.flags),
            "network_calls_per_structure": self.calls,
            "seconds": self.seconds,
            "structures_per_second": made / self.seconds if self.seconds and made else None,
            "device": self.device,
            "precision": self.precision,
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        rows = [("structures", f"{self.structures:,} of {len(self.formulas):,} formulas")]
        if self.resumed:
            rows.append(("of an earlier call", f"{self.resumed:,}"))
        if self.failures:
            rows.append(("failed", str(len(self.failures))))
        flagged = ", ".join(f"{count} {name}" for name, count in sorted(self.flags.items()))
        rows.append(("flagged", flagged or "none"))
        if self.calls is not None:
            made = self.structures - self.resumed
            rows.append(("network calls", f"{self.calls} for each structure"))
            rows.append(
                ("time", f"{self.seconds:.1f} s on {self.device}, {made / max(self.seconds, 1e-9):.3g} a second")
            )
        rows.append(("output", str(self.output)))
        return rows
