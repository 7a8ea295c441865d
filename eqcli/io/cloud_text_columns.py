"""What columns without names mean, told by their values: colours, normals, intensities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.io.cloud_source import Source

UNIT_LENGTH = 0.02
"""How far the length of a written normal may be from one."""
MOST = 0.98
"""Share of the rows that must have such a length; a few normals may be zero."""


def named_by_values(values: NDArray[np.float64], source: Source) -> dict[str, NDArray[Any]]:
    """Columns x, y, z and what follows: three numbers of unit length are normals, three of whole numbers from 0 to
    255 or of fractions from 0 to 1 a colour (with a fourth that is 255 or 1 throughout: opacity), a single one an
    intensity; all else is kept as `column_4` and so on. What was guessed is noted.

    Raises InputError for fewer than three columns.
    """
    width = values.shape[1]
    if width < 3:
        raise source.wrong(f"three coordinates are needed per point, and there are {width} columns", line=1)
    names = ["x", "y", "z"]
    if width == 4:
        names += ["intensity"]
    while len(names) < width:
        names += _next(values, len(names), source.suffix)
    guessed = [f"{name} ({i + 1})" for i, name in enumerate(names) if i > 2 and not name.startswith("column_")]
    if guessed:
        source.notes.append(f"columns without names, told by their values: {', '.join(guessed)}")
    unique: dict[str, NDArray[Any]] = {}
    for i, name in enumerate(names):
        unique[name if name not in unique else f"column_{i + 1}"] = values[:, i]
    return unique


def _next(values: NDArray[np.float64], at: int, suffix: str) -> list[str]:
    """Names of the columns from `at` on that belong together."""
    left = values.shape[1] - at
    three = values[:, at : at + 3]
    if left >= 3 and is_normal(three):
        return ["nx", "ny", "nz"]
    if suffix == ".pts" and at == 3 and left in (4, 7):
        return ["intensity"]
    if left >= 3 and is_colour(three):
        opaque = left in (4, 7) and len(np.unique(values[:, at + 3])) == 1 and values[0, at + 3] in (1, 255)
        return ["red", "green", "blue", *(["alpha"] if opaque else [])]
    if left in (1, 4, 7) and at == 3 and left > 1 and is_colour(values[:, at + 1 : at + 4]):
        return ["intensity"]
    return [f"column_{at + 1}"]


def is_normal(values: NDArray[np.float64]) -> bool:
    """Whether nearly all rows `[N, 3]` have unit length, and not all are along an axis of colours 0 and 1."""
    lengths = np.linalg.norm(values, axis=1)
    return bool(np.mean(np.abs(lengths - 1) < UNIT_LENGTH) >= MOST)


def is_colour(values: NDArray[np.float64]) -> bool:
    """Whether all numbers `[N, 3]` can be a colour: whole from 0 to 255, or from 0 to 1."""
    if not np.isfinite(values).all() or values.min() < 0:
        return False
    if values.max() <= 1:
        return True
    return bool(values.max() <= 255 and (values == np.round(values)).all())
