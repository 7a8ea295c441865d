"""The per-atom columns of extended XYZ: the `Properties` entry and the conversion of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.xyz_header import TRUTH

EMPTY = '""'
"""How an empty string stands in a column."""

_EXPECTS = {"R": "a number", "I": "an integer", "L": "T or F", "S": "a word"}


@dataclass(frozen=True)
class Column:
    """One property: `stop - start` columns of kind S (word), R (real), I (integer) or L (logical)."""

    name: str
    kind: str
    start: int
    stop: int

    @property
    def expects(self) -> str:
        """What a word of this column has to be."""
        return _EXPECTS[self.kind]


@lru_cache(maxsize=256)
def parse_properties(text: str) -> tuple[Column, ...]:
    """The columns of a `Properties` entry. Raises ValueError with a sentence for the user."""
    fields = text.split(":")
    if len(fields) % 3 or not text:
        raise ValueError(f"the properties '{text[:60]}' are not triples of name, type and number of columns")
    columns: list[Column] = []
    start = 0
    for name, kind, width in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        if kind not in _EXPECTS:
            raise ValueError(f"the property '{name}' has the unknown type '{kind}'")
        if not width.isdigit() or int(width) < 1:
            raise ValueError(f"the property '{name}' has '{width}' columns")
        if any(column.name == name for column in columns):
            raise ValueError(f"the property '{name}' stands twice")
        columns.append(Column(name, kind, start, start + int(width)))
        start += int(width)
    return tuple(columns)


def plain_columns(rows: list[list[str]]) -> tuple[Column, ...]:
    """The columns of a file without `Properties`: element, position and, where there are more, `extra`."""
    columns = (Column("species", "S", 0, 1), Column("pos", "R", 1, 4))
    return (*columns, Column("extra", "R", 4, len(rows[0]))) if len(rows[0]) > 4 else columns


def convert_column(words: Sequence[Sequence[str]], column: Column) -> NDArray[Any]:
    """`[N]` for one column of words, else `[N, columns]`. Raises ValueError at a word of the wrong kind."""
    if column.kind == "R":
        values = np.array([_floats(w) for w in words]).T
    elif column.kind == "I":
        values = np.array([list(map(int, w)) for w in words], dtype=np.int64).T
    elif column.kind == "L":
        values = np.array([[_truth(x) for x in w] for w in words], dtype=bool).T
    else:
        values = np.array([["" if x == EMPTY else x for x in w] for w in words]).T
    return np.ascontiguousarray(values[:, 0] if len(words) == 1 else values)


def _floats(words: Sequence[str]) -> list[float]:
    try:
        return list(map(float, words))
    except ValueError:
        # Fortran writes exponents with D, Mathematica with *^.
        return [float(w.replace("*^", "e").replace("D", "e").replace("d", "e")) for w in words]


def _truth(word: str) -> bool:
    if word in ("0", "1"):
        return word == "1"
    if word not in TRUTH:
        raise ValueError(word)
    return TRUTH[word]
