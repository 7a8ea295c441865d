"""Writing a dataset file such that killing the writer loses no committed frame.

The file is written in HDF5's single-writer, multiple-reader mode, in which it is consistent
on disk after every flush. Data are flushed first, then the offsets that make them count.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqcli.errors import InputError, Where
from eqcli.files import atomic_path, refuse_existing, require_file
from eqcli.interrupts import uninterrupted
from eqcli.io.store import DatasetFile
from eqcli.io.store_layout import BLOB, BLOB_OFFSET, OFFSET, Rows, check, columns_of, create, encode
from eqcli.io.structure import Structure

COMMIT_FRAMES = 1024
COMMIT_ATOMS = 100_000
COMMIT_SECONDS = 2.0
"""A commit happens when as many frames or atoms wait, or the last is as long ago."""

COPY_FRAMES = 4096


class DatasetWriter:
    """Appends structures to a dataset file, new or existing.

    Frames wait in memory until a commit, which comes by itself every few seconds, with
    `commit` and on closing. Committed frames survive a kill at any moment.

    Parameters
    ----------
    path
        The file.
    overwrite
        Replace an existing file.
    append
        Add to an existing file, where there is one; one whose writer was killed is mended first.
    provenance
        Stored in a new file.
    keyed
        A new file has a number for each frame; such files are written by `append_rows` alone.

    Raises
    ------
    InputError
        The file exists and neither `overwrite` nor `append` is given; it is no dataset; or another
        process is writing it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        overwrite: bool = False,
        append: bool = False,
        provenance: dict[str, Any] | None = None,
        keyed: bool = False,
    ) -> None:
        self.path = Path(path)
        self._waiting: list[Structure] = []
        self._waiting_atoms = 0
        continues = append and self.path.exists()
        if not continues:
            refuse_existing(path, overwrite)
        self._lock = _lock(self.path) if self.path.exists() else None
        if continues:
            _mend(require_file(path))
        else:
            with atomic_path(path) as temporary:
                create(temporary, provenance, keyed)
        self._relock()
        self._open()

    def _open(self) -> None:
        self._file = _open_for_writing(self.path)
        self._columns = columns_of(self._file)
        self._datasets = {column.name: self._file[column.name] for column in self._columns}
        self.committed = int(self._datasets[OFFSET.name].shape[0])
        self._atoms = int(self._datasets["atoms/numbers"].shape[0])
        self._blob = int(self._datasets["blob/data"].shape[0])
        self._last = time.monotonic()

    def append(self, structure: Structure) -> None:
        """Adds one structure. Raises InputError where its labels are not finite."""
        check(structure)
        self._waiting.append(structure)
        self._waiting_atoms += len(structure)
        full = len(self._waiting) >= COMMIT_FRAMES or self._waiting_atoms >= COMMIT_ATOMS
        if full or time.monotonic() - self._last > COMMIT_SECONDS:
            self.commit()

    def append_many(
        self,
        n_atoms: ArrayLike,
        numbers: ArrayLike,
        positions: ArrayLike,
        *,
        cell: ArrayLike | None = None,
        pbc: ArrayLike | None = None,
        energy: ArrayLike | None = None,
        forces: ArrayLike | None = None,
        stress: ArrayLike | None = None,
    ) -> None:
        """Adds and commits many structures given as flat arrays.

        `n_atoms [F]` divides `numbers [A]`, `positions [A, 3]` and `forces [A, 3]`; `cell [F, 3, 3]`,
        `pbc [F, 3]`, `energy [F]` and `stress [F, 6]` (xx yy zz yz xz xy) have a row per structure.
        What is not given is absent.
        """
        counts = np.asarray(n_atoms, dtype=np.int64)
        frames, atoms = len(counts), int(counts.sum())
        nan = np.nan
        rows: Rows = {
            "atoms/numbers": np.asarray(numbers, dtype=np.uint8),
            "atoms/positions": np.asarray(positions, dtype=np.float64),
            "atoms/forces": _given(forces, nan, (atoms, 3)),
            "atoms/fixed": np.full(atoms, -1, dtype=np.int8),
            "frames/cell": _given(cell, 0.0, (frames, 3, 3)),
            "frames/pbc": _given(pbc, 0.0, (frames, 3)).astype(np.uint8),
            "frames/energy": _given(energy, nan, (frames,)),
            "frames/stress": _given(stress, nan, (frames, 6)),
            "frames/charge": np.full(frames, nan),
            "blob/data": np.zeros(0, dtype=np.uint8),
            "frames/blob_offset": np.zeros(frames, dtype=np.int64),
            "frames/offset": np.cumsum(counts),
        }
        lengths = {name: len(values) for name, values in rows.items() if name.startswith("atoms/")}
        if any(length != atoms for length in lengths.values()) or not np.isfinite(rows["atoms/positions"]).all():
            raise ValueError(f"expected finite rows for {atoms} atoms, got {lengths}")
        self.commit()
        self._write(rows)

    def append_rows(self, rows: Rows) -> None:
        """Adds and commits rows of every dataset; offsets count from the first of them, as `encode` gives them."""
        self.commit()
        if len(rows[OFFSET.name]):
            self._write(dict(rows))

    def truncate(self, frames: int) -> None:
        """Leaves the first `frames` committed frames alone in the file; what was not committed is dropped."""
        self._waiting, self._waiting_atoms = [], 0
        if frames >= self.committed:
            return
        with uninterrupted():
            self._file.close()
            pack(self.path, frames)
            self._relock()
            self._open()

    def commit(self) -> None:
        """Makes all frames added so far part of the file, whatever happens next."""
        if self._waiting:
            self._write(encode(self._waiting))
            self._waiting = []
            self._waiting_atoms = 0
        self._last = time.monotonic()

    def close(self) -> None:
        """Commits and closes; a file with much unused space from small commits is packed."""
        if not self._file:
            return
        with uninterrupted():
            self._close()

    def _close(self) -> None:
        try:
            self.commit()
            used = sum(dataset.id.get_storage_size() for dataset in self._datasets.values())
        finally:
            self._file.close()
        if self.path.stat().st_size > 2 * used + (1 << 20):
            pack(self.path)
        self._release()

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, rows: Rows) -> None:
        with uninterrupted():
            self._extend(rows)

    def _extend(self, rows: Rows) -> None:
        rows["frames/offset"] = rows["frames/offset"] + self._atoms
        rows["frames/blob_offset"] = rows["frames/blob_offset"] + self._blob
        for column in self._columns[:-1]:
            _extend(self._datasets[column.name], rows[column.name])
        self._file.flush()
        _extend(self._datasets[OFFSET.name], rows[OFFSET.name])
        self._file.flush()
        self._atoms += len(rows["atoms/numbers"])
        self._blob += len(rows["blob/data"])
        self.committed += len(rows["frames/offset"])

    def _relock(self) -> None:
        """Moves the lock to the file that now has the name."""
        old, self._lock = self._lock, None
        if old is not None:
            old.close()
        self._lock = _lock(self.path)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def write_whole(path: Path, blocks: Iterable[Rows], provenance: dict[str, Any] | None = None) -> None:
    """A new file of rows in blocks, in each of which offsets count from its first frame, as `encode` gives them.

    It is there when it is complete. Nothing is flushed on the way, so that each piece of a column is packed once.
    """
    atoms = blob = 0
    with atomic_path(path) as temporary:
        create(temporary, provenance)
        with h5py.File(temporary, "r+", libver="latest", locking=False) as file:
            datasets = {column.name: file[column.name] for column in columns_of(file)}
            for rows in blocks:
                shifted = {OFFSET.name: rows[OFFSET.name] + atoms, BLOB_OFFSET.name: rows[BLOB_OFFSET.name] + blob}
                for name, values in (rows | shifted).items():
                    _extend(datasets[name], values)
                atoms, blob = atoms + len(rows["atoms/numbers"]), blob + len(rows[BLOB.name])


def pack(path: Path, frames: int | None = None) -> None:
    """Copies the committed frames, or the first of them, to a new file that takes the name.

    It has no unused space and no mark of a killed writer.
    """
    with DatasetFile(path) as source, atomic_path(path) as temporary:
        create(temporary, source.provenance, source.keyed)
        last = len(source) if frames is None else min(frames, len(source))
        with h5py.File(temporary, "r+", libver="latest", locking=False) as file:
            for start in range(0, last, COPY_FRAMES):
                stop = min(start + COPY_FRAMES, last)
                for name, values in source.raw(start, stop).items():
                    _extend(file[name], values)


def _mend(path: Path) -> None:
    """Brings an existing file to a state that can be appended to: its committed frames and nothing else.

    What needs it is copied; the file itself is not touched, so that a kill on the way does no harm.
    """
    with DatasetFile(path) as source:
        lengths = source.lengths()
    try:
        with h5py.File(path, "r", libver="latest", locking=False) as file:
            whole = all(file[name].shape[0] == length for name, length in lengths.items())
    except OSError:  # it bears the mark of a writer that was killed
        whole = False
    if not whole:
        pack(path)


def _open_for_writing(path: Path) -> h5py.File:
    """The file in the mode for one writer from the first moment; opened otherwise, a kill would leave it unreadable."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    access.set_file_locking(False, True)
    mode = h5py.h5f.ACC_RDWR | h5py.h5f.ACC_SWMR_WRITE
    return h5py.File(h5py.h5f.open(os.fsencode(path), mode, fapl=access))


def _extend(dataset: h5py.Dataset, rows: NDArray[Any]) -> None:
    if len(rows):
        before = dataset.shape[0]
        dataset.resize(before + len(rows), axis=0)
        dataset[before:] = rows


def _given(values: ArrayLike | None, otherwise: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    if values is None:
        return np.full(shape, otherwise)
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"expected shape {shape}, got {array.shape}")
    return array


def _lock(path: Path) -> IO[bytes] | None:
    """A lock on the file that ends with this process, however that ends. None where locks are not supported."""
    try:
        import fcntl
    except ImportError:
        return None
    file = path.open("rb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise InputError("another process is writing this dataset", Where(path), "Wait for it, or stop it.") from None
    except OSError:
        file.close()
        return None
    return file
