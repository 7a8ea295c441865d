"""What a gallery shows of each structure: given by the caller, or taken from the structure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eqcli.io.structure import Structure
from eqcli.report.html import Markup
from eqcli.report.numbers import show

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A figure or word of every structure: its key in the rows, title, unit and significant digits (0: words)."""

    key: str
    title: str
    unit: str = ""
    digits: int = 0

    @property
    def heading(self) -> str:
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def text(self, value: Any) -> str:
        """The value as people read it; a dash for nothing."""
        if value is None or value == "":
            return "–"
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        return show(value, self.digits or 4) if is_number(value) else str(value)


@dataclass(frozen=True)
class Kind:
    """What galleries of crystals and of molecules do not share.

    Attributes
    ----------
    name, extra
        Of the structures in the plural, and of the optional dependency that brings the viewer.
    known
        Columns that every gallery of the kind may have, in this order; `flags` stands behind all others.
    names
        Keys that callers use for those of `known`.
    found
        What is known of structures without their caller, who gave these rows; one mapping each.
    cards
        The large figures above the page.
    explained, note
        What the viewer does with the structures; what stands below the table.
    drawn
        One structure for the viewer.
    horizontal, vertical, colour
        Keys of the first choice for the axes of the map, the best first.
    cell
        Whether the viewer draws cells.
    picture
        What stands beside a row of the table, or nothing.
    """

    name: str
    extra: str
    known: tuple[Column, ...]
    names: Mapping[str, str]
    found: Callable[[Sequence[Structure], Sequence[Row]], list[dict[str, Any]]]
    cards: Callable[[Sequence[Row]], Iterable[Markup]]
    explained: str
    note: str
    drawn: Callable[[Structure], dict[str, Any]]
    horizontal: tuple[str, ...]
    vertical: tuple[str, ...]
    colour: tuple[str, ...]
    cell: bool
    picture: Callable[[Structure], Markup] | None = None


def is_number(value: Any) -> bool:
    """Whether a value is a number and no truth."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def complete(structures: Sequence[Structure], rows: Sequence[Row], kind: Kind) -> list[dict[str, Any]]:
    """One row per structure with all that is known of it; what the caller gives goes before what is found here.

    Raises ValueError where there are not as many rows as structures.
    """
    if rows and len(rows) != len(structures):
        raise ValueError(f"{len(rows)} rows for {len(structures)} structures")
    given = [{kind.names.get(k, k): v for k, v in row.items()} for row in rows] or [{} for _ in structures]
    own = [{"rank": i, **row} for i, row in enumerate(kind.found(structures, given), 1)]
    return [
        mine | {key: value for key, value in row.items() if value is not None or key not in mine}
        for mine, row in zip(own, given, strict=True)
    ]


def columns(rows: Sequence[Row], kind: Kind) -> list[Column]:
    """The columns of which at least one row has a value."""
    keys = {key: None for row in rows for key, value in row.items() if _shown(value)}
    known = [column for column in kind.known if column.key in keys]
    others = [_other(key, rows) for key in keys if key not in {column.key for column in kind.known}]
    flags = [column for column in known if column.key == "flags"]
    return [column for column in known if column.key != "flags"] + others + flags


def _shown(value: Any) -> bool:
    return value is not None and value != "" and (isinstance(value, str | bool | np.bool_) or is_number(value))


def _other(key: str, rows: Sequence[Row]) -> Column:
    """The column of a key that is not among the known ones."""
    words = key.replace("_", " ").strip()
    numeric = all(is_number(row[key]) for row in rows if row.get(key) is not None)
    return Column(key, words[:1].upper() + words[1:60], digits=4 if numeric else 0)
