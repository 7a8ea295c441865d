"""Reading a dataset file: any frame without the rest, from any number of processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from operator import index as as_index
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.files import require_file
from eqcli.io.store_layout import (
    ATOM_COLUMNS,
    BLOB,
    BLOB_OFFSET,
    FRAME_COLUMNS,
    KEY,
    OFFSET,
    Rows,
    columns_of,
    decode,
    read_header,
)
from eqcli.io.structure import Structure

BLOCK = 512
"""Frames read at once when going through a whole file."""


class DatasetFile:
    """The committed frames of a dataset file.

    Only the offsets are held in memory, 16 bytes per frame. The object can be pickled and
    survives a fork: each process opens the file for itself when it first reads. A file that
    another process is writing, or whose writer was killed, shows the frames committed when it was opened.

    Raises
    ------
    InputError
        The file is missing, no dataset, of a newer version, or damaged; names dataset and frame.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = require_file(path)
        self._pid = -1
        self._handle: h5py.File | None = None
        self._datasets: dict[str, h5py.Dataset] = {}
        self._open()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> Structure:
        """Frame `index`; negative counts from the end. Raises IndexError past the ends."""
        i = as_index(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        return self._block(i % len(self), i % len(self) + 1)[0]

    def __iter__(self) -> Iterator[Structure]:
        for start in range(0, len(self), BLOCK):
            yield from self._block(start, min(start + BLOCK, len(self)))

    def frames(self, start: int, stop: int) -> Iterator[Structure | InputError]:
        """The frames from `start` to `stop`; an error in place of one whose data are damaged."""
        for first in range(start, stop, BLOCK):
            last = min(first + BLOCK, stop)
            try:
                yield from self._block(first, last)
            except InputError:
                yield from map(self._or_error, range(first, last))

    def _or_error(self, index: int) -> Structure | InputError:
        try:
            return self[index]
        except InputError as error:
            return error

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Number of atoms of each frame, `[F]`."""
        return np.diff(self._ends)

    @property
    def keyed(self) -> bool:
        """Whether each frame was given a number."""
        return KEY in self._columns

    @property
    def keys(self) -> NDArray[np.int64] | None:
        """The number that each frame was given, `[F]`; None in a file without such numbers."""
        return self.column(KEY.name) if self.keyed else None

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the file comes from, as its writer stated it."""
        return dict(self.attrs["provenance"])

    def column(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Rows of one dataset for the frames from `start` to `stop`, e.g. `frames/energy` or `atoms/numbers`.

        Atoms of all those frames follow each other; NaN stands for an absent label.
        """
        first, last = start, len(self) if stop is None else stop
        if name.startswith("atoms/"):
            first, last = int(self._ends[first]), int(self._ends[last])
        return self._read(name, first, last, start)

    def lengths(self) -> dict[str, int]:
        """Rows of each dataset that belong to committed frames."""
        atoms, blob = int(self._ends[-1]), int(self._blob_ends[-1])
        lengths = {column.name: len(self) for column in self._columns}
        return lengths | {column.name: atoms for column in ATOM_COLUMNS} | {BLOB.name: blob}

    def raw(self, start: int, stop: int) -> Rows:
        """The rows of every dataset for the frames from `start` to `stop`."""
        blobs = int(self._blob_ends[start]), int(self._blob_ends[stop])
        rows = {column.name: self.column(column.name, start, stop) for column in self._columns if column is not BLOB}
        return {**rows, BLOB.name: self._read(BLOB.name, *blobs, start)}

    def close(self) -> None:
        """Closes the file; the next read opens it again."""
        if self._handle is not None and self._pid == os.getpid():
            self._handle.close()
        self._handle = None
        self._datasets = {}

    def __enter__(self) -> DatasetFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def _open(self) -> None:
        self._handle = open_for_reading(self.path)
        self._pid = os.getpid()
        self.attrs = read_header(self._handle, self.path)
        self._columns = columns_of(self._handle)
        self._datasets = {column.name: self._handle[column.name] for column in self._columns}
        if not hasattr(self, "_ends"):
            frames = self._datasets[OFFSET.name].shape[0]
            self._ends = np.concatenate([[0], self._read(OFFSET.name, 0, frames, 0)])
            self._blob_ends = np.concatenate([[0], self._read(BLOB_OFFSET.name, 0, frames, 0)])

    def _block(self, start: int, stop: int) -> list[Structure]:
        """The frames from `start` to `stop`, each dataset read once."""
        atoms = slice(int(self._ends[start]), int(self._ends[stop]))
        blobs = slice(int(self._blob_ends[start]), int(self._blob_ends[stop]))
        flat: Rows = {c.name: self._read(c.name, atoms.start, atoms.stop, start) for c in ATOM_COLUMNS}
        each: Rows = {c.name: self._read(c.name, start, stop, start) for c in FRAME_COLUMNS}
        blob = self._read(BLOB.name, blobs.start, blobs.stop, start) if blobs.stop > blobs.start else _NO_BLOB
        starts, pieces = self._ends[start : stop + 1] - atoms.start, self._blob_ends[start : stop + 1] - blobs.start
        return decode({**flat, **each, BLOB.name: blob}, starts, pieces, self.path, start)

    def _read(self, name: str, start: int, stop: int, frame: int) -> NDArray[Any]:
        if self._handle is None or self._pid != os.getpid():
            self._open()
        try:
            rows: NDArray[Any] = self._datasets[name][start:stop]
        except (OSError, RuntimeError, KeyError) as error:
            raise self._damaged(name, frame) from error
        if len(rows) != stop - start:
            raise self._damaged(name, frame)
        return rows

    def _damaged(self, name: str, frame: int) -> InputError:
        return InputError(
            f"the data of '{name}' are damaged (checksum or length)",
            Where(self.path, frame, key=name),
            "Copy the file again from its source, or make it anew.",
        )


_NO_BLOB: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)


def open_for_reading(path: Path) -> h5py.File:
    """The HDF5 file, also while another process writes it or after its writer was killed."""
    try:
        # Locks of the HDF5 library would keep readers and a writer apart that need not be.
        return h5py.File(path, "r", libver="latest", locking=False)
    except (OSError, ValueError) as plainly:
        # A writer, also a killed one, leaves a mark that only this mode passes over. It comes
        # second, since it waits for a writer to mend what is damaged.
        if "truncated" in str(plainly):
            raise InputError("this file is cut off", Where(path), "Copy it again from its source.") from plainly
        try:
            return h5py.File(path, "r", libver="latest", swmr=True, locking=False)
        except (OSError, ValueError) as error:
            raise InputError("this is not an HDF5 file, or it is damaged", Where(path)) from error
