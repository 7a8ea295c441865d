"""Pairs listed in a table.

The columns are `source` and `target`, and perhaps `name`, `transform`, `overlap`, `scene`, `symmetry`,
`information` and `voxel`; others are ignored. Files are relative to the table. A transform is a text file of a
4 x 4 matrix, or its 16 numbers, row by row; so are symmetries, one matrix after another. Information is a 6 x 6 matrix.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eqcli.data.listed import Columns, listed
from eqcli.data.pair_files import CloudPair, Floats, Found, read_motions, read_numbers, rigid
from eqcli.errors import InputError, Where
from eqcli.io.text import read_text

COLUMNS = Columns(
    required=("source", "target"),
    optional=("name", "transform", "overlap", "scene", "symmetry", "information", "voxel"),
    text=True,
)


def pairs_of_table(path: Path) -> Found:
    """A pair or a failure per row.

    Raises InputError where the table is damaged, is not UTF-8 or lacks a column.
    """
    return listed(path, COLUMNS, _pair)


def _pair(path: Path, row: dict[str, str], where: Where) -> CloudPair:
    source, target = (_cloud(path, row[name], name, where) for name in COLUMNS.required)
    truth = _motions(path, row["transform"], "transform", where)
    if truth is not None and len(truth) != 1:
        raise InputError(f"the transform is one motion, and here are {len(truth)}", where)
    overlap, voxel = (_number(row[name], name, where) for name in ("overlap", "voxel"))
    if overlap is not None and not 0 <= overlap <= 1:
        raise InputError(f"the overlap {overlap} is no share between 0 and 1", where)
    if voxel is not None and voxel <= 0:
        raise InputError(f"the voxel {voxel} is not above 0", where)
    return CloudPair(
        name=row["name"] or f"{_stem(source)}-{_stem(target)}",
        source=source,
        target=target,
        truth=None if truth is None else truth[0],
        overlap=overlap,
        information=_information(path, row["information"], where),
        scene=row["scene"],
        symmetries=_motions(path, row["symmetry"], "symmetry", where),
        voxel=voxel,
    )


def _number(text: str, column: str, where: Where) -> float | None:
    values = read_numbers(text, where)
    if len(values) > 1:
        raise InputError(f"'{text[:40]}' in the column '{column}' is more than one number", where)
    return values[0] if values else None


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _cloud(path: Path, text: str, column: str, where: Where) -> Path:
    if not text:
        raise InputError(f"the row names no {column}", where)
    return _file(path, text, column, where)


def _file(path: Path, text: str, column: str, where: Where) -> Path:
    target = path.parent / text
    try:
        if target.is_file():
            return target
    except (OSError, ValueError):  # No name that a file could have.
        pass
    raise InputError(f"the {column} file '{text[:200]}' does not exist", where, "Names are relative to the table.")


def _motions(path: Path, text: str, column: str, where: Where) -> Floats | None:
    """Motions [S, 4, 4] of a file or of the cell itself."""
    if not text:
        return None
    if not _begins_with_number(text):
        return read_motions(_file(path, text, column, where))
    values = read_numbers(text, where)
    if len(values) % 16:
        raise InputError(f"a motion has 16 numbers, and the column '{column}' has {len(values)}", where)
    return np.stack([rigid(motion, where) for motion in np.array(values).reshape(-1, 4, 4)])


def _information(path: Path, text: str, where: Where) -> Floats | None:
    if not text:
        return None
    place = where
    if not _begins_with_number(text):
        file = _file(path, text, "information", where)
        text, place = read_text(file), Where(file)
    values = read_numbers(text, place)
    if len(values) != 36:
        raise InputError(f"an information matrix has 36 numbers, and here are {len(values)}", place)
    return np.array(values).reshape(6, 6)


def _begins_with_number(text: str) -> bool:
    words = text.replace(",", " ").split()
    try:
        return len(words) > 1 and np.isfinite(float(words[0])).item()
    except ValueError:
        return False
