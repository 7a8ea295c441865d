"""Items listed in a table, a row each: what lists of complexes and of pairs of clouds have in common."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from eqcli.errors import EqcliError, Failure, InputError, Where
from eqcli.io.text import is_text, not_text, open_text
from eqcli.names import did_you_mean

Row = dict[str, str]


class Named(Protocol):
    """What a row is made into."""

    @property
    def name(self) -> str: ...


Item = TypeVar("Item", bound=Named)


@dataclass(frozen=True)
class Columns:
    """The columns of a table; others are ignored.

    Attributes
    ----------
    required
        A table without one of them is refused.
    optional
        Empty where the table has none of that name. `name` is among them.
    text
        Whether cells must be UTF-8. Where they need not be, names of files with other bytes still find their files.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    text: bool = False


def listed(path: Path, columns: Columns, make: Callable[[Path, Row, Where], Item]) -> Iterator[Item | Failure]:
    """An item or a failure per row that is not blank; errors of `make` are failures, and so is a name met before.

    Raises InputError where the table is damaged or lacks a column.
    """
    seen: dict[str, int] = {}
    for line, row in _rows(path, columns):
        where = Where(path, line=line)
        try:
            found = make(path, row, where)
            if (first := seen.setdefault(found.name, line)) != line:
                raise InputError(f"the name '{found.name}' stands in line {first} too", where, "Names must differ.")
            yield found
        except EqcliError as error:
            yield Failure.of(row["name"] or f"line {line}", error)


def _rows(path: Path, columns: Columns) -> Iterator[tuple[int, Row]]:
    """Line and columns of each row that is not blank."""
    try:
        with open_text(path) as file:
            reader = csv.DictReader(file, restval="", restkey="")
            header = [(name or "").strip() for name in reader.fieldnames or []]
            for column in columns.required:
                if column not in header:
                    hint = did_you_mean(column, header, "columns here") if header else "The table is empty."
                    raise InputError(f"the table has no column '{column}'", Where(path, line=1), hint)
            reader.fieldnames = header
            for row in reader:
                kept = {name: (row.get(name) or "").strip() for name in (*columns.required, *columns.optional)}
                if columns.text and not all(map(is_text, kept.values())):
                    raise not_text(Where(path, line=reader.line_num))
                if any(kept.values()):
                    yield reader.line_num, kept
    except (csv.Error, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"this table is damaged: {error}", Where(path)) from error
