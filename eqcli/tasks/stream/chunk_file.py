"""The results of one chunk, as they come, in files that a kill at any moment leaves whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.errors import Failure, InputError, Where
from eqcli.files import write_json
from eqcli.io.store import DatasetFile
from eqcli.io.store_rows import keyed
from eqcli.io.store_writer import DatasetWriter
from eqcli.io.structure import Structure
from eqcli.tasks.stream.item import Item, no_structure, with_place
from eqcli.tasks.stream.snapshot import Restored, read_snapshot, write_snapshot

if TYPE_CHECKING:
    from torch import Tensor

WAIT = 60.0
"""Seconds to wait for a worker that lost its coordinator and still writes this chunk."""

COMMIT_SECONDS = 1.0
"""Results wait for so long, together: a commit costs as much as the structures of a small batch."""

FRAMES_WAITING = 256
"""Frames of trajectories that wait in memory."""

FAILURE = "failure"
"""Key of `info` of a frame without atoms that stands for an item that failed."""


@dataclass(frozen=True)
class ChunkFiles:
    """The names of the files of a chunk."""

    folder: Path
    number: int

    @property
    def results(self) -> Path:
        return self._named(".h5")

    @property
    def frames(self) -> Path:
        return self._named(".frames.h5")

    @property
    def state(self) -> Path:
        return self._named(".state.safetensors")

    @property
    def done(self) -> Path:
        return self._named(".done")

    def _named(self, ending: str) -> Path:
        return self.folder / f"chunk-{self.number:06d}{ending}"


class ChunkFile:
    """What is known of the items of a chunk. One process at a time has it open.

    A task either commits whenever results may count, or takes snapshots: what was added after
    the last of either is gone after a kill. It never does both, since a snapshot goes on from
    exactly the results that were there when it was taken.

    Attributes
    ----------
    done
        Numbers of the items that are finished, failed ones among them.
    restored
        Tensors and facts of the last snapshot; None where there is none.
    on_commit
        Called after each commit that added results.
    figures
        What the result of the request tells of this chunk, as plain data; the task sets it before it ends.
    keep_places
        Whether results say where their structures were read from.

    Raises
    ------
    InputError
        Another process has it open.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.files = ChunkFiles(folder, number)
        self.figures: dict[str, Any] = {}
        self.keep_places = False
        self.on_commit: Callable[[], None] | None = None
        self.failed = 0
        self._structures: list[Structure] = []
        self._keys: list[int] = []
        self._frames: list[Structure] = []
        self._frame_keys: list[int] = []
        self._frame_writer: DatasetWriter | None = None
        # Who comes after one that died commits all that it can: if it dies too, what it did is not in question.
        begun = self.files.results.exists()
        self._patience = 0.0 if begun else COMMIT_SECONDS
        self._writer = _open_writer(self.files.results)
        self._committed = time.monotonic()
        try:
            self.done: set[int]
            self.done, self.restored = self._recover() if begun else (set(), None)
        except BaseException:
            self._close()
            raise

    def add(self, item: int, structure: Structure) -> None:
        """The result of an item. Raises InputError where it cannot be stored (labels that are not finite)."""
        from eqcli.io.store_layout import check

        check(structure)
        self._put(item, with_place(structure) if self.keep_places else structure, item)

    def fail(self, item: int | Item, reason: str, where: Where | None = None, name: str = "") -> None:
        """An item that gives no result, and why."""
        if isinstance(item, Item):
            where, name, item = where or item.where, name or item.name, item.number
        place = where or Where()
        info = {
            FAILURE: reason,
            "name": name or str(place),
            "file": None if place.file is None else str(place.file),
            "frame": place.frame,
            "line": place.line,
        }
        self._put(item, no_structure(info), -1 - item)
        self.failed += 1

    def frame(self, item: int, step: int, structure: Structure) -> None:
        """A step on the way of an item, for the trajectory; `info` gains `item` and `step`."""
        info = {**structure.info, "item": item, "step": step}
        self._frames.append(replace(structure, info=info))
        self._frame_keys.append(item)
        if len(self._frames) >= FRAMES_WAITING:
            self._write_frames()

    def commit(self) -> None:
        """Everything added so far counts from now on, whatever happens next."""
        self._write_frames()
        if self._structures:
            self._writer.append_rows(keyed(self._structures, self._keys))
            self._structures, self._keys = [], []
            if self.on_commit is not None:
                self.on_commit()
        self._committed = time.monotonic()

    def commit_in_time(self) -> None:
        """Commits where the last commit is long enough ago, for tasks that could do it often."""
        if time.monotonic() - self._committed >= self._patience:
            self.commit()

    def snapshot(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Commits, and makes this the state to go on from: what comes after it is dropped by the next to open this.

        Names of tensors are free; `facts` are JSON-able.
        """
        self.commit()
        counts = {"results": self._writer.committed, "frames": self._frame_count()}
        write_snapshot(self.files.state, tensors, facts, counts)

    def results(self) -> Iterator[tuple[int, Structure]]:
        """The committed results with their numbers, failed items left out."""
        with DatasetFile(self.files.results) as file:
            keys = file.keys
            assert keys is not None
            for number in np.flatnonzero(keys >= 0):
                yield int(keys[number]), file[int(number)]

    def failures(self) -> Iterator[tuple[int, Failure]]:
        """The committed failures with the numbers of their items."""
        yield from failures_of(self.files.results)

    def finish(self) -> None:
        """Commits the last results and says that all items are done."""
        self.commit()
        self.close()
        write_json(self.files.done, {"figures": self.figures, "items": len(self.done), "failed": self.failed})
        self.files.state.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the files; what was not committed is dropped."""
        self._structures, self._keys, self._frames, self._frame_keys = [], [], [], []
        self._close()

    def __enter__(self) -> ChunkFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, item: int, structure: Structure, key: int) -> None:
        if item in self.done:
            raise ValueError(f"item {item} is done already")
        self._structures.append(structure)
        self._keys.append(key)
        self.done.add(item)

    def _close(self) -> None:
        try:
            self._writer.close()
        finally:
            if self._frame_writer is not None:
                self._frame_writer.close()
                self._frame_writer = None

    def _recover(self) -> tuple[set[int], Restored | None]:
        """What is done, after dropping what the last snapshot does not know."""
        restored, counts = read_snapshot(self.files.state)
        if counts is not None:
            self._writer.truncate(counts["results"])
        with DatasetFile(self.files.results) as file:
            keys = file.keys
        assert keys is not None
        self.failed = int((keys < 0).sum())
        done = {int(key) if key >= 0 else -1 - int(key) for key in keys}
        if self.files.frames.exists():
            self._recover_frames(done, None if counts is None else counts["frames"])
        return done, restored

    def _recover_frames(self, done: set[int], count: int | None) -> None:
        """Frames of the snapshot; without one, those of items that are done."""
        writer = self._frame_writer = _open_writer(self.files.frames)
        if count is not None:
            writer.truncate(count)
            return
        with DatasetFile(self.files.frames) as file:
            keys = file.keys
            assert keys is not None
            bad = ~np.isin(keys, list(done))
            kept = [(int(keys[k]), file[int(k)]) for k in np.flatnonzero(~bad)] if bad.any() else []
        if bad.any():
            writer.truncate(0)
            self._frames, self._frame_keys = [s for _, s in kept], [key for key, _ in kept]
            self._write_frames()

    def _write_frames(self) -> None:
        if self._frames:
            if self._frame_writer is None:
                self._frame_writer = _open_writer(self.files.frames)
            self._frame_writer.append_rows(keyed(self._frames, self._frame_keys))
            self._frames, self._frame_keys = [], []

    def _frame_count(self) -> int:
        return self._frame_writer.committed if self._frame_writer is not None else 0


def failures_of(path: Path) -> Iterator[tuple[int, Failure]]:
    """The failures among the committed results of a chunk, with the numbers of their items."""
    with DatasetFile(path) as file:
        keys = file.keys
        assert keys is not None
        for k in np.flatnonzero(keys < 0):
            info = file[int(k)].info
            where = Where(Path(info["file"]) if info["file"] else None, info["frame"], info["line"])
            yield -1 - int(keys[k]), Failure(info["name"], info[FAILURE], where)


def _open_writer(path: Path) -> DatasetWriter:
    """The file for appending; waits for a process that lost its coordinator and is about to end."""
    deadline = time.monotonic() + WAIT
    while True:
        try:
            return DatasetWriter(path, append=True, keyed=True)
        except InputError as error:
            if "another process" not in error.message or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
