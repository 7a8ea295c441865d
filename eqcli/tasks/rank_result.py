"""What a ranking put in order and what it left out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eqcli.errors import ExitCode, Failure


@dataclass
class RankRow:
    """One crystal.

    Attributes
    ----------
    rank
        From 1, the stablest first; None for one that is left out.
    file
        Name of its CIF in the folder; empty for one that is left out.
    item, sample
        Its place in the files that were read, from 0, and its number within the run that made it.
    energy_above_hull, formation_energy
        eV per atom.
    volume_per_atom
        Å^3.
    density
        g/cm^3.
    reason
        Why it is left out.
    """

    rank: int | None
    file: str
    item: int
    sample: int | None
    formula: str
    atoms: int
    space_group: str
    energy_above_hull: float | None
    formation_energy: float | None
    volume_per_atom: float | None
    density: float | None
    certified: bool | None
    stable: bool | None
    unique: bool | None
    novel: bool | None
    reason: str = ""


@dataclass
class RankResult:
    """What a ranking ended with.

    Attributes
    ----------
    output
        The folder.
    table
        CSV file with a row for every crystal, ranked ones first.
    page
        HTML page that shows the ranked ones.
    archive
        They as CIFs in one zip file; None where none is ranked.
    """

    output: Path
    table: Path
    page: Path
    rows: list[RankRow]
    archive: Path | None = None
    failures: list[Failure] = field(default_factory=list)

    @property
    def ranked(self) -> list[RankRow]:
        """The rows that have a rank, in its order."""
        return [row for row in self.rows if row.rank is not None]

    @property
    def exit_code(self) -> ExitCode:
        """PARTIAL when structures could not be read or have no energy above the hull, else OK."""
        return ExitCode.PARTIAL if self.failures else ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        return {
            "output": str(self.output),
            "table": str(self.table),
            "archive": str(self.archive) if self.archive else None,
            "page": str(self.page),
            "ranked": len(self.ranked),
            "left_out": len(self.rows) - len(self.ranked),
            "structures": [asdict(row) for row in self.rows],
            "failures": [failure.as_dict() for failure in self.failures],
            "exit_code": int(self.exit_code),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Name and value of what a person wants to know first."""
        rows = [("ranked", f"{len(self.ranked)} of {len(self.rows)}")]
        if self.ranked:
            best = self.ranked[0]
            rows.append(("stablest", f"{best.formula}, {best.energy_above_hull:+.3f} eV/atom above the hull"))
        rows.append(("table", str(self.table)))
        if self.archive is not None:
            rows.append(("crystals", str(self.archive)))
        return [*rows, ("page", str(self.page))]
