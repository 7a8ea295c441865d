"""What became of each of many pairs: a file for each, on the disk when the pair is done, and a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from eqcli.errors import Failure, InputError, Where
from eqcli.files import atomic_path, file_stem, write_json
from eqcli.tasks.cell_text import cell_text

RESULTS, TRANSFORMS, TABLE = "results", "transforms", "results.csv"
"""Folders of the results and matrices of pairs, and the table of all of them."""

Status = Literal["ok", "no alignment", "failed"]


@dataclass(frozen=True)
class PairRow:
    """A pair in the table.

    Attributes
    ----------
    status, reason
        `ok`; `no alignment` where nothing reliable was found; `failed` where the pair could not be tried; and why.
    angle
        Of the rotation, degrees.
    matches, inliers, expected_by_chance, overlap, rmse, voxel, runner_up
        The evidence, as for a single pair; lengths in the unit of the target.
    rotation_error, translation_error
        Degrees, and the unit of the target, where the truth is given; by the symmetries of the object if they are.
    seconds
        Of this pair, reading included.
    transform
        File of the matrix, in the folder of the table.
    """

    name: str
    status: Status
    reason: str = ""
    scene: str = ""
    source: str = ""
    target: str = ""
    method: str = ""
    angle: float | None = None
    matches: int | None = None
    inliers: int | None = None
    expected_by_chance: float | None = None
    overlap: float | None = None
    rmse: float | None = None
    voxel: float | None = None
    runner_up: float | None = None
    rotation_error: float | None = None
    translation_error: float | None = None
    seconds: float = 0.0
    transform: str = ""


@dataclass(frozen=True)
class PairRecord:
    """A row with everything that is known of the pair, as plain data."""

    row: PairRow
    result: dict[str, Any]


COLUMNS = tuple(field.name for field in fields(PairRow))


def stems_of(names: Iterable[str]) -> list[str]:
    """A name of a file for each name of a pair, all of them different."""
    used: dict[str, int] = {}
    stems = []
    for name in names:
        plain = stem = file_stem(name)
        while stem.casefold() in used:
            used[plain.casefold()] += 1
            stem = f"{plain}-{used[plain.casefold()]}"
        used[stem.casefold()] = 1
        stems.append(stem)
    return stems


def store(folder: Path, stem: str, record: PairRecord) -> None:
    """Keeps what became of a pair; its matrix comes first, so that no result speaks of one that is not there."""
    motion = record.result.get("motion")
    if record.row.transform and motion:
        write_matrix(folder / record.row.transform, motion["matrix"])
    write_json(folder / RESULTS / f"{stem}.json", {"row": asdict(record.row), "result": record.result})


def stored(folder: Path, stem: str) -> PairRecord | None:
    """What an earlier run kept of a pair. Raises InputError where the file is not of this program."""
    path = folder / RESULTS / f"{stem}.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return PairRecord(PairRow(**content["row"]), content["result"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"this is no result of a pair: {error}", Where(path), "Remove it, or add --overwrite."
        ) from error


def write_matrix(path: Path, matrix: Sequence[Sequence[float]]) -> None:
    """A 4 x 4 matrix as text, with the digits that tell any two numbers apart."""
    with atomic_path(path) as temporary:
        lines = [" ".join(f"{value:.17g}" for value in row) for row in matrix]
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_table(path: Path, rows: Sequence[PairRow]) -> None:
    """`results.csv`, in the order of the pairs."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([[cell_text(value) for value in asdict(row).values()] for row in rows])


def failed_row(failure: Failure) -> PairRow:
    """The row of a pair that could not be read from the list."""
    return PairRow(failure.item, "failed", cell_text(placed_reason(failure)))


def placed_reason(failure: Failure) -> str:
    """What failed and where: the file, and the line in it."""
    place = str(failure.where)
    return f"{place}: {failure.reason}" if place else failure.reason
