"""What became of generated crystals: at rest, stable, unique, novel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.errors import ExitCode, Failure


@dataclass
class StabilityRow:
    """One generated crystal.

    Attributes
    ----------
    item
        Its place among the generated ones, from 0.
    sample
        Its number within the run that made it, where that is known.
    volume_per_atom
        Å^3, of the relaxed crystal, as everything below.
    energy, formation_energy, energy_above_hull
        eV per atom; the last two None where the hull does not cover its elements, which `reason` says.
    displacement
        Root mean square way in Å that its atoms went during the relaxation, beside the change of the cell.
    certified
        It came to rest, and what came out is a sane crystal.
    stable
        Certified, and no further above the hull than the threshold.
    unique
        No earlier certified crystal is the same; None for what is not certified.
    duplicate_of
        `item` of the earlier one that is the same.
    novel
        No crystal of the training set is the same; None where it was not compared.
    known_as
        Row of the crystal of the training set that is the same, from 0.
    reason
        Why a figure is missing or the crystal not certified.
    """

    item: int
    sample: int | None
    formula: str
    atoms: int
    converged: bool = False
    steps: int | None = None
    volume_per_atom: float | None = None
    energy: float | None = None
    formation_energy: float | None = None
    energy_above_hull: float | None = None
    displacement: float | None = None
    certified: bool = False
    stable: bool = False
    unique: bool | None = None
    duplicate_of: int | None = None
    novel: bool | None = None
    known_as: int | None = None
    reason: str = ""

    @property
    def sun(self) -> bool:
        """Stable, unique and novel; False where one of them is unknown."""
        return bool(self.stable and self.unique and self.novel)

    def as_dict(self) -> dict[str, Any]:
        """The row as plain data, with `sun`."""
        return {**asdict(self), "sun": self.sun}


@dataclass
class StabilityResult:
    """What a study of stability found.

    Attributes
    ----------
    relaxed
        File of the relaxed crystals, in the order of the generated ones, with the figures of their rows in `info`.
    table
        CSV file with a row for every generated crystal.
    threshold
        eV per atom above the hull up to which a crystal counts as stable.
    relaxer
        What relaxed them, and how.
    sameness
        When two crystals counted as one.
    reference
        How many crystals made the hull and the training set.
    """

    relaxed: Path | None
    table: Path
    rows: list[StabilityRow]
    threshold: float
    relaxer: dict[str, Any]
    sameness: dict[str, Any]
    reference: dict[str, int]
    failures: list[Failure] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when structures could not be relaxed or compared, else OK; what did not converge is a row."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    @property
    def figures(self) -> dict[str, Any]:
        """Counts, their shares of all generated crystals, and means over those that are certified."""
        rows = self.rows
        counts = {
            "converged": sum(row.converged for row in rows),
            "certified": sum(row.certified for row in rows),
            "stable": sum(row.stable for row in rows),
            "stable_unique": sum(bool(row.stable and row.unique) for row in rows),
            "sun": sum(row.sun for row in rows) if self.reference["training"] else None,
        }
        certified = [row for row in rows if row.certified]
        return {
            "generated": len(rows),
            "threshold": self.threshold,
            **counts,
            "rates": {k: n / len(rows) if rows and n is not None else None for k, n in counts.items()},
            "unique_of_certified": _share([row.unique for row in certified]),
            "novel_of_certified": _share([row.novel for row in certified]),
            "median_energy_above_hull": _median([row.energy_above_hull for row in certified]),
            "mean_displacement": _mean([row.displacement for row in certified]),
        }

    def as_dict(self) -> dict[str, Any]:
        return {
            "relaxed": str(self.relaxed) if self.relaxed else None,
            "table": str(self.table),
            "figures": self.figures,
            "relaxer": self.relaxer,
            "sameness": self.sameness,
            "reference": self.reference,
            "structures": [row.as_dict() for row in self.rows],
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        figures, total = self.figures, len(self.rows)
        rows = [("at rest and sane", f"{figures['certified']} of {total}")]
        rows.append((f"stable (hull + {self.threshold:g} eV/atom)", f"{figures['stable']} of {total}"))
        if figures["sun"] is None:
            rows.append(("stable, unique", f"{figures['stable_unique']} of {total}; novelty needs a training set"))
        else:
            rows.append(("stable, unique, novel", f"{figures['sun']} of {total}"))
        if figures["median_energy_above_hull"] is not None:
            rows.append(("median above hull", f"{figures['median_energy_above_hull']:.3f} eV/atom"))
        if self.failures:
            rows.append(("failed", str(len(self.failures))))
        return [*rows, ("relaxed crystals", str(self.relaxed) if self.relaxed else "none"), ("table", str(self.table))]


def _share(values: Sequence[bool | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
