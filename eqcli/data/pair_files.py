"""A pair of clouds as files, and the matrices that files of pairs state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import Failure, InputError, Where

Floats = NDArray[np.float64]

RIGID = 1e-2
"""How far R^T R may be from the identity in a file that was rounded."""


@dataclass(frozen=True)
class CloudPair:
    """Two clouds, and perhaps the motion between them.

    Attributes
    ----------
    truth
        [4, 4]: y = R x + t brings the source onto the target; None where it is unknown.
    overlap
        Share of the clouds that lies on the other one, as stated; None where nothing is stated.
    information
        [6, 6] of the translation and the vector part of the quaternion of an error, as in `gt.info` of 3DMatch.
    symmetries
        [S, 4, 4]: motions in the target's frame that leave the complete object as it is.
    adjacent
        Whether the clouds follow one another in their scene: the published recall of 3DMatch leaves such pairs out.
    voxel
        Edge of the voxel in the unit of the clouds, which thresholds are multiples of; None where nothing is stated.
    """

    name: str
    source: Path
    target: Path
    truth: Floats | None = None
    overlap: float | None = None
    information: Floats | None = None
    scene: str = ""
    symmetries: Floats | None = None
    adjacent: bool = False
    voxel: float | None = None


Found = Iterator[CloudPair | Failure]
"""Pairs as they are found, and a failure for each that cannot be used."""


def files_in(paths: Iterable[str | Path]) -> list[Path]:
    """Clouds and meshes: files as they are, those directly in folders in the order of their names, hidden ones not.

    Raises InputError for a folder without files.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        if not inside:
            raise InputError("this folder has no files in it", Where(path), "Name one of clouds and meshes.")
        found += inside
    return found


def read_numbers(text: str, where: Where) -> list[float]:
    """The finite numbers of a text, between blanks or commas. Raises InputError for anything else."""
    values = []
    for word in text.replace(",", " ").split():
        try:
            values.append(float(word))
        except ValueError as error:
            raise InputError(f"'{word[:40]}' is no number", where) from error
    if not np.isfinite(values).all():
        raise InputError("a number here is not finite", where)
    return values


def read_motions(path: Path) -> Floats:
    """Motions [S, 4, 4] of a text file: rows of four numbers, four rows each; lines that begin with # are comments.

    Raises InputError where it is damaged, or one of them is not rigid.
    """
    from eqcli.io.text import read_text

    rows: list[list[float]] = []
    lines: list[int] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        rows.append(read_numbers(line, Where(path, line=number)))
        lines.append(number)
        if len(rows[-1]) != 4:
            message = f"a row of a motion has 4 numbers, and here are {len(rows[-1])}"
            raise InputError(message, Where(path, line=number))
    if not rows or len(rows) % 4:
        raise InputError(f"a motion is 4 rows of 4 numbers, and here are {len(rows)} rows", Where(path))
    motions = np.array(rows).reshape(-1, 4, 4)
    return np.stack([rigid(motion, Where(path, line=lines[4 * k])) for k, motion in enumerate(motions)])


def rigid(motion: Floats, where: Where) -> Floats:
    """The matrix [4, 4] itself. Raises InputError unless it is a rotation with a translation."""
    turn = motion[:3, :3]
    if not np.allclose(motion[3], (0, 0, 0, 1), atol=1e-6):
        raise InputError("the last row of a motion is 0 0 0 1", where)
    if not np.allclose(turn.T @ turn, np.eye(3), atol=RIGID) or np.linalg.det(turn) < 0:
        hint = "Its first three columns must be orthogonal, of length 1, and no mirror image."
        raise InputError("this matrix is no rigid motion", where, hint)
    return motion
