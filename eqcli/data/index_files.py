"""Lists of row numbers that say which frames are for training, validation and test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from eqcli.data.split import Indices
from eqcli.errors import InputError, Where
from eqcli.files import require_file
from eqcli.io.npz_stream import NpzStream
from eqcli.io.text import read_text

KEYS = {"train": ("train_idx", "idx_train", "train"), "valid": ("val_idx", "valid_idx", "idx_valid", "valid", "val"),
        "test": ("test_idx", "idx_test", "test")}  # fmt: skip
"""Names of the arrays where one `.npz` file has several lists."""


def read_indices(path: str | Path, part: str) -> Indices:
    """Row numbers from 0, in ascending order.

    Parameters
    ----------
    path
        Text with numbers divided by commas, spaces or lines (`index_train_01.csv` of rMD17), perhaps under a line of
        names; an array in an `.npy` file; or in an `.npz` file one array, or one named as in SchNetPack's `split.npz`.
    part
        `train`, `valid` or `test`.

    Raises
    ------
    InputError
        The file holds no list of row numbers, or a number twice.
    """
    source = require_file(path)
    values = _array(source, part) if source.suffix.lower() in (".npy", ".npz") else _text(source)
    if values.size == 0:
        raise InputError("the list of rows is empty", Where(path))
    if values.ndim != 1 or values.dtype.kind not in "iuf" or not (values == np.rint(values)).all() or values.min() < 0:
        raise InputError("this is no list of row numbers, which count from 0", Where(path))
    rows, counts = np.unique(values.astype(np.int64), return_counts=True)
    if len(rows) < len(values):
        raise InputError(f"row {rows[counts > 1][0]} stands in the list more than once", Where(path))
    return rows


def _text(path: Path) -> Any:
    numbers: list[float] = []
    for line, text in enumerate(read_text(path).splitlines(), 1):
        try:
            numbers += [float(word) for word in text.replace(",", " ").split()]
        except ValueError:
            if line > 1:
                raise InputError(f"'{text.strip()[:40]}' is no row number", Where(path, line=line)) from None
    return np.array(numbers)


def _array(path: Path, part: str) -> Any:
    if path.suffix.lower() == ".npz":
        with NpzStream(path) as arrays:
            known = arrays.shapes
            key = next(iter(known)) if len(known) == 1 else next((k for k in KEYS[part] if k in arrays), None)
            if key is None:
                message = f"none of the arrays {', '.join(known)} is called {' or '.join(KEYS[part])}"
                raise InputError(message, Where(path))
            return arrays.whole(key)
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"this is not an .npy file, or it is damaged: {error}", Where(path)) from error


def check_indices(given: dict[str, Indices], usable: Indices, total: int) -> None:
    """Raises InputError where a row does not exist, is an isolated atom, or is in two parts."""
    for part, rows in given.items():
        key = f"data.split.{part}_indices"
        if rows[-1] >= total:
            raise InputError(f"row {rows[-1]} is named, and there are {total} structures", Where(key=key))
        apart = np.setdiff1d(rows, usable)
        if apart.size:
            raise InputError(f"row {apart[0]} is an isolated atom, which belongs to no part", Where(key=key))
    parts = list(given)
    for i, first in enumerate(parts):
        for second in parts[i + 1 :]:
            both = np.intersect1d(given[first], given[second])
            if both.size:
                raise InputError(f"row {both[0]} is named for {first} and for {second}", Where(key="data.split"))
