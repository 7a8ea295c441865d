"""What is told of many generated structures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

ROWS = 40
"""A table of more rows is for the output file."""


class GenerateFigures:
    """Counts of generated structures, joined from any number of parts.

    Attributes
    ----------
    flags
        How many structures have each flag.
    calls
        Network calls for each structure; None where no part has made one itself.
    table
        A row for each structure by number; none where they are many.
    """

    def __init__(self) -> None:
        self.structures = 0
        self.flags: Counter[str] = Counter()
        self.formulas: set[str] = set()
        self.calls: int | None = None
        self._rows: dict[int, dict[str, Any]] = {}

    @property
    def table(self) -> list[dict[str, Any]]:
        return [self._rows[sample] for sample in sorted(self._rows)] if self.structures <= ROWS else []

    def add(self, structure: Structure) -> None:
        """Counts one structure."""
        from eqcli.io.structure import formula

        name, flags = formula(structure.numbers), str(structure.info.get("flags", ""))
        self.structures += 1
        self.formulas.add(name)
        self.flags.update(flags.split(",") if flags else ())
        row = {"sample": structure.info["sample"], "formula": name, "atoms": len(structure)}
        if structure.pbc.any():
            row["volume per atom"] = f"{structure.volume / len(structure):.2f}"
        self._rows[row["sample"]] = row | {"flags": flags or None}

    def join(self, part: Mapping[str, Any]) -> None:
        """Counts what another of these gave as plain data."""
        self.structures += part["structures"]
        self.flags.update(part["flags"])
        self.formulas.update(part["formulas"])
        self.calls = part["calls"] if self.calls is None else self.calls
        self._rows |= {row["sample"]: row for row in part["table"]}

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "structures": self.structures,
            "flags": dict(self.flags),
            "formulas": sorted(self.formulas),
            "calls": self.calls,
            "table": self.table,
        }
