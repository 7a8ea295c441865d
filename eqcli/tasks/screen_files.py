"""The files of every task that keeps some structures and drops others: the kept ones, and a table of reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.files import atomic_path
from eqcli.tasks.screen_result import DroppedRow, ScreenResult

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

TABLE = "dropped.csv"
"""Name of the table of what was dropped, beside the output."""


def table_beside(output: Path) -> Path:
    """Where the table of what was dropped stands."""
    return Path(output).with_name(TABLE)


def write_dropped(path: Path, rows: Sequence[DroppedRow], kind: type[DroppedRow] = DroppedRow) -> None:
    """Writes the table; without rows its header alone, so that it is there to say that nothing was dropped."""
    from eqcli.report.csv_text import csv_text

    columns = ",".join(field.name for field in fields(kind))
    with atomic_path(path) as temporary:
        temporary.write_text(csv_text([asdict(row) for row in rows]) or columns + "\n", encoding="utf-8")


def write_screened(
    result: ScreenResult,
    kept: Sequence[Structure],
    output: Path,
    *,
    kind: type[DroppedRow] = DroppedRow,
    facts: dict[str, Any] | None = None,
) -> None:
    """Writes the table of `result` and, where there are any, the kept structures, which `result.output` then names.

    Parameters
    ----------
    kind
        Class of the rows, whose fields are the columns.
    facts
        Entries of the provenance beside the counts of what was dropped.
    """
    from eqcli.engine.provenance import provenance
    from eqcli.io import write_structures

    write_dropped(result.table, result.rows, kind)
    if kept:
        origin = provenance() | {"dropped": result.counts} | (facts or {})
        write_structures(output, kept, overwrite=True, provenance=origin)
        result.output = output
    else:
        # What an earlier call kept is not what this one keeps.
        Path(output).unlink(missing_ok=True)
