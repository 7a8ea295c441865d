"""QM9 as `gdb9.sdf` with its properties in `gdb9.sdf.csv` beside it, row for record."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from eqcli.errors import InputError, Where
from eqcli.io import qm9
from eqcli.io.frame import Frame, Items
from eqcli.io.text import open_text

KEY = "mol_id"
COLUMNS = frozenset({KEY, "homo", "lumo", "u0", "u298", "cv"})
"""Columns that tell QM9's table."""


def beside(path: Path) -> Path | None:
    """The table of QM9 that belongs to an SD file, or None."""
    table = path.with_name(f"{path.name.removesuffix('.gz')}.csv")
    if not table.is_file():
        return None
    with open_text(table) as file:
        return table if set(next(csv.reader(file), [])) >= COLUMNS else None


def joined(path: Path, table: Path, records: Items) -> Items:
    """The records with the properties of their rows; those of `uncharacterized.txt` are left out.

    Raises
    ------
    InputError
        A row belongs to another molecule than its record, or the table ends before the file.
    """
    excluded = qm9.excluded_beside(path)
    layout = qm9.layout(f"QM9 with {table.name}", excluded)
    number = 0
    with open_text(table) as file:
        rows = csv.DictReader(file)
        for record in records:
            row = next(rows, None)
            if row is None:
                raise InputError(f"the table ends after {rows.line_num - 1} molecules, before the file", Where(table))
            if isinstance(record, Frame):
                if _index(row, table, rows.line_num) in excluded:
                    continue
                _check_name(record, row, table, rows.line_num)
                record = replace(
                    record,
                    info={**record.info, **_properties(row, table, rows.line_num)},
                    where=replace(record.where, frame=number),
                    layout=layout,
                )
            yield record
            number += 1


def _index(row: dict[str, str], table: Path, line: int) -> int:
    digits = row[KEY].removeprefix("gdb_")
    if not digits.isdigit():
        raise InputError(f"'{row[KEY][:20]}' is no name of a molecule; expected gdb_1", Where(table, line=line))
    return int(digits)


def _check_name(record: Frame, row: dict[str, str], table: Path, line: int) -> None:
    name = record.info.get("name", row[KEY])
    if name != row[KEY]:
        raise InputError(
            f"the row is of {row[KEY]}, and the record of {name} ({record.where})",
            Where(table, line=line),
            "The table and the file must have the same molecules in the same order.",
        )


def _properties(row: dict[str, str], table: Path, line: int) -> dict[str, float | str]:
    found: dict[str, float | str] = {"name": row[KEY], "index": _index(row, table, line)}
    for column, text in row.items():
        if column == KEY or column is None:
            continue
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = np.nan
        if not np.isfinite(value):
            raise InputError(f"'{text}' is not a number", Where(table, line=line, key=column))
        found[qm9.ALIASES.get(column, column)] = value
    return found
