"""One chunk from its items to its file: what a worker runs."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.errors import Failure, InputError
from eqcli.io.formats import Format, writable_format
from eqcli.progress import Reporter, Silent
from eqcli.tasks.stream.chunk_file import ChunkFile
from eqcli.tasks.stream.heartbeat import Heartbeat
from eqcli.tasks.stream.item import Item
from eqcli.tasks.stream.items import IndexedItems
from eqcli.tasks.stream.processor import Processor, open_processor
from eqcli.tasks.stream.work_folder import REQUEST, WorkFolder

if TYPE_CHECKING:
    from eqcli.tasks.stream.request import StreamRequest


@dataclass(frozen=True)
class ChunkResult:
    """What became of a chunk.

    Attributes
    ----------
    number
        Of the chunk.
    items, failed
        How many it has, and how many of them failed.
    new
        Items that this call did.
    seconds
        That it took.
    worker
        Host and process.
    """

    number: int
    items: int
    failed: int
    new: int
    seconds: float
    worker: str


class Worker:
    """A processor at work in a folder, with its signs of life."""

    def __init__(self, folder: WorkFolder, processor: Processor) -> None:
        self.folder = folder
        self.processor = processor
        self.heart = Heartbeat(folder.path, processor.device, processor.precision)
        self._kind = kind_of(processor.device)
        fits = folder.request().fits
        self._keep_places = fits is not None and writable_format(fits) is Format.CSV
        self._budget = folder.budget(self._kind)
        if self._budget is not None:
            processor.budget = self._budget
        self._keep_budget()

    def do(self, number: int, items: Sequence[Item], report: Reporter) -> ChunkResult:
        """All items of a chunk that are not done, and the file that says so."""
        begin, beat = time.monotonic(), self.heart.beat
        beat.chunk = number
        self.heart.say(at_once=True)
        with ChunkFile(self.folder.path, number) as chunk:
            chunk.on_commit, chunk.keep_places = self._keep_budget, self._keep_places
            before = len(chunk.done)
            if before:
                report.advance(before - chunk.failed)
            waiting = [item for item in items if item.number not in chunk.done]
            for item in waiting:
                if isinstance(item.structure, InputError):
                    chunk.fail(item, Failure.of(item.name, item.structure).reason)
            readable = [item for item in waiting if not isinstance(item.structure, InputError)]
            self.processor.process(readable, chunk, _Beating(self.heart, chunk, report))
            if left := [item.number for item in items if item.number not in chunk.done]:
                raise RuntimeError(f"items {left[:5]} of chunk {number} have neither result nor failure")
            chunk.finish()
            new = len(chunk.done) - before
        beat.chunk, beat.chunks = None, beat.chunks + 1
        beat.seconds += time.monotonic() - begin
        self.heart.say(at_once=True)
        return ChunkResult(number, len(items), chunk.failed, new, time.monotonic() - begin, beat.name)

    def _keep_budget(self) -> None:
        """Writes down what a batch may hold where this process has learned it."""
        found = self.processor.budget
        if found is not None and found != self._budget:
            self.folder.keep_budget(self._kind, found)
            self._budget = found


def kind_of(device: str) -> str:
    """What devices that hold equally much have in common: the model of a GPU, or that it is none."""
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(torch.device(device))


class _Beating:
    """Passes on what a processor reports, with a sign of life each time."""

    def __init__(self, heart: Heartbeat, chunk: ChunkFile, report: Reporter) -> None:
        self.heart = heart
        self.chunk = chunk
        self.report = report
        self._items, self._failed = heart.beat.items - len(chunk.done), heart.beat.failed - chunk.failed

    def message(self, text: str) -> None:
        self.report.message(text)

    def warning(self, text: str) -> None:
        self.report.warning(text)

    def start(self, label: str, total: int | None, unit: str = "it") -> None:
        self.report.start(label, total, unit)

    def advance(self, n: int = 1, **figures: float) -> None:
        beat = self.heart.beat
        beat.items, beat.failed = self._items + len(self.chunk.done), self._failed + self.chunk.failed
        self.heart.say()
        self.report.advance(n, **figures)

    def finish(self) -> None:
        self.report.finish()


def run_chunk(folder: Path, number: int) -> ChunkResult:
    """Does a chunk of the request in a work folder, in any process that sees the folder.

    The model and the inputs are opened once per process. A chunk that is done already is left as it is.
    """
    work = WorkFolder(Path(folder))
    if work.is_done(number):
        ended = work.ended(number)
        return ChunkResult(number, ended["items"], ended["failed"], 0, 0.0, "")
    worker, items = _opened(work)
    return worker.do(number, items.chunk(number).load(), Silent())


_OPENED: dict[str, tuple[Worker, IndexedItems]] = {}
"""What this process has open: one request at a time."""


def _opened(work: WorkFolder) -> tuple[Worker, IndexedItems]:
    key = hashlib.sha256(str(work.path.resolve()).encode() + (work.path / REQUEST).read_bytes()).hexdigest()
    if key not in _OPENED:
        _OPENED.clear()
        request = work.request()
        _OPENED[key] = Worker(work, open_processor(request)), stored_items(work, request)
    return _OPENED[key]


def stored_items(work: WorkFolder, request: StreamRequest) -> IndexedItems:
    """The items of a request for random access: from its own files, or from where they were spooled."""
    from eqcli.tasks.stream.items import indexed_items, is_random_access
    from eqcli.tasks.stream.spool import SpooledItems

    return indexed_items(request) if is_random_access(request) else SpooledItems(request, work.path)
