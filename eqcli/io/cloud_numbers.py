"""Rows of numbers in text, many at once; the first bad row is named."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_source import Source

_ODD = re.compile(r"[-+]?(?:1\.#(?:QNAN|IND|INF|SNAN)\w*|nan\([^)]*\))", re.IGNORECASE)
"""How Windows writes numbers that are none."""


def number_rows(
    lines: Sequence[str], columns: int, source: Source, first: int, delimiter: str | None = None
) -> NDArray[np.float64]:
    """`[lines, columns]` from lines of which each is a row; `first` is the number of the first line in the file.

    Raises InputError that names the first line with another number of columns or with something else.
    """
    if not lines:
        return np.zeros((0, columns))
    try:
        rows = np.loadtxt(lines, dtype=np.float64, delimiter=delimiter, comments=None, ndmin=2)
        if rows.shape == (len(lines), columns):
            return rows
    except ValueError:
        pass
    return _one_by_one(lines, columns, source, first, delimiter)


def _one_by_one(
    lines: Sequence[str], columns: int, source: Source, first: int, delimiter: str | None
) -> NDArray[np.float64]:
    rows = np.empty((len(lines), columns))
    for i, line in enumerate(lines):
        words = line.split(delimiter)
        if len(words) != columns:
            message = f"{columns} numbers were expected in this line, and there are {len(words)}"
            raise source.wrong(message, line=first + i)
        try:
            rows[i] = [_number(word) for word in words]
        except ValueError as error:
            raise source.wrong(str(error), line=first + i) from None
    return rows


def _number(word: str) -> float:
    try:
        return float(word.replace("_", "?"))
    except ValueError:
        if _ODD.fullmatch(word.strip()):
            return float("nan")
        raise ValueError(f"'{word.strip()[:40]}' is no number") from None


def is_number(word: str) -> bool:
    """Whether `number_rows` takes this word."""
    try:
        _number(word)
    except ValueError:
        return False
    return True
