"""The table of a screen: one row for each pair, written when the pair is done and never lost afterwards."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from eqcli.engine.docking_pose import RankBy, ranking
from eqcli.errors import InputError, Where
from eqcli.files import atomic_path
from eqcli.tasks.cell_text import cell_text

RESULTS, RANKED = "results.csv", "ranked.csv"
Status = Literal["ok", "failed"]


@dataclass(frozen=True)
class PairRow:
    """What became of one pair; figures are those of its best pose.

    Attributes
    ----------
    row, record
        Row of the table, from 1, and record in the ligand's file, from 0; no record where the file has none.
    status, reason
        `ok`, or `failed` and why.
    score, confidence, clashes, strain
        kcal/mol, 0 to 1, pairs of atoms, kcal/mol.
    poses, start, end
        File of the poses, and where in it they stand, in bytes.
    seconds
        For this pair; the mean where several were docked at once.
    notes
        How many rules of preparation applied; `log.txt` has them.
    """

    row: int
    record: int | None
    name: str
    receptor: str
    ligand: str
    status: Status
    reason: str = ""
    method: str = ""
    score: float | None = None
    confidence: float | None = None
    clashes: int | None = None
    strain: float | None = None
    count: int = 0
    poses: str = ""
    start: int | None = None
    end: int | None = None
    seconds: float = 0.0
    notes: int = 0

    @property
    def key(self) -> tuple[int, int | None]:
        """What tells pairs of one screen apart."""
        return self.row, self.record


COLUMNS = tuple(field.name for field in fields(PairRow))
WHOLE = ("row", "record", "clashes", "count", "start", "end", "notes")
NUMBERS: dict[str, Any] = {
    **dict.fromkeys(WHOLE, int),
    **dict.fromkeys(("score", "confidence", "strain", "seconds"), float),
}


class ResultsFile:
    """`results.csv` of a folder: rows are appended and on the disk before the call returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def recover(self) -> list[PairRow]:
        """The rows of an interrupted run; a last line that was cut short is removed from the file."""
        if not self.path.is_file():
            return []
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole and whole.split(b"\n", 1)[0].decode("utf-8", "replace").strip() != ",".join(COLUMNS):
            raise InputError("this table was not written by this version of a screen", Where(self.path))
        if len(whole) < len(content):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
                _flush(file)
        lines = whole.decode("utf-8").splitlines()[1:]
        return [self._parsed(line, number) for number, line in enumerate(lines, start=2)]

    def append(self, rows: Sequence[PairRow]) -> None:
        """Adds rows at the end, the header before the first."""
        new = not self.path.exists() or self.path.stat().st_size == 0
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        writer.writerows([_texts(row) for row in rows])
        with self.path.open("ab") as file:
            file.write(text.getvalue().encode("utf-8"))
            _flush(file)

    def _parsed(self, line: str, number: int) -> PairRow:
        values = next(csv.reader([line]))
        try:
            named = dict(zip(COLUMNS, values, strict=True))
            typed: dict[str, Any] = {name: NUMBERS.get(name, str)(value) if value or name not in NUMBERS else None
                     for name, value in named.items()}  # fmt: skip
            return PairRow(**typed)
        except (ValueError, TypeError) as error:
            raise InputError(f"this row cannot be read: {error}", Where(self.path, line=number)) from error


def _texts(row: PairRow) -> list[str]:
    """One line of text for each column."""
    return [cell_text(value) for value in asdict(row).values()]


def best_first(rows: Sequence[PairRow], by: RankBy) -> list[PairRow]:
    """The rows that are ok, best first; the order of equal ones is that of the table."""
    done = sorted((row for row in rows if row.status == "ok" and row.score is not None), key=_place)
    order = ranking([row.score or 0.0 for row in done], [row.confidence for row in done], by)
    return [done[i] for i in order]


def _place(row: PairRow) -> tuple[int, int]:
    return row.row, -1 if row.record is None else row.record


def write_ranked(path: Path, rows: Sequence[PairRow]) -> None:
    """A table of rows that are in order, with their rank before the other columns."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["rank", *COLUMNS])
        writer.writerows([[rank, *_texts(row)] for rank, row in enumerate(rows, start=1)])


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
