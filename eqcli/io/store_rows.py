"""Rows of a dataset file, taken and put together without being made into structures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqcli.io.store import DatasetFile
from eqcli.io.store_layout import BLOB, BLOB_OFFSET, KEY, OFFSET, Rows, encode
from eqcli.io.structure import Structure

Frames = NDArray[np.int64]


def take(file: DatasetFile, frames: Frames) -> Rows:
    """The rows of some frames in the order given, as `store_layout.encode` makes them of structures; without keys."""
    if not len(frames):
        return encode_none()
    first, last = int(frames.min()), int(frames.max()) + 1
    rows = file.raw(first, last)
    rows.pop(KEY.name, None)
    if len(frames) == last - first and (np.diff(frames) == 1).all():
        counted = {name: rows[name] - _before(file, name, first) for name in (OFFSET.name, BLOB_OFFSET.name)}
        return rows | counted
    return _gather(rows, file, first, frames - first)


def keyed(structures: list[Structure], keys: list[int]) -> Rows:
    """The rows of structures with a number for each."""
    return {KEY.name: np.array(keys, dtype=np.int64), **encode(structures)}


def encode_none() -> Rows:
    """The rows of no frames that a writer needs to see that there are none."""
    return {OFFSET.name: np.zeros(0, dtype=np.int64)}


def _gather(rows: Rows, file: DatasetFile, first: int, frames: Frames) -> Rows:
    atoms = _starts(rows[OFFSET.name] - _before(file, OFFSET.name, first))
    blobs = _starts(rows[BLOB_OFFSET.name] - _before(file, BLOB_OFFSET.name, first))
    of_atoms, of_blobs = _pieces(atoms, frames), _pieces(blobs, frames)
    found: Rows = {}
    for name, values in rows.items():
        if name == OFFSET.name:
            found[name] = np.cumsum(np.diff(atoms)[frames])
        elif name == BLOB_OFFSET.name:
            found[name] = np.cumsum(np.diff(blobs)[frames])
        elif name == BLOB.name:
            found[name] = values[of_blobs]
        else:
            found[name] = values[of_atoms if name.startswith("atoms/") else frames]
    return found


def _before(file: DatasetFile, name: str, frame: int) -> int:
    """The offset at which `frame` begins."""
    return int(file.column(name, frame - 1, frame)[0]) if frame else 0


def _starts(ends: Frames) -> Frames:
    return np.concatenate([[0], ends])


def _pieces(starts: Frames, frames: Frames) -> Frames:
    """The numbers of all rows that belong to `frames`, in their order."""
    counts = np.diff(starts)[frames]
    shift = np.repeat(starts[frames] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    return np.arange(int(counts.sum())) + shift
