"""A request from its inputs to its output."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import eqcli
from eqcli.engine.read_ahead import read_ahead
from eqcli.errors import InputError, Where
from eqcli.files import refuse_existing
from eqcli.io.formats import FORMATS, writable_format
from eqcli.locks import FolderLock
from eqcli.progress import Reporter
from eqcli.tasks.stream.chunk_file import ChunkFiles
from eqcli.tasks.stream.dividing import ChunksAhead, Pilot, settle
from eqcli.tasks.stream.division import Division, Workers
from eqcli.tasks.stream.heartbeat import read_beats
from eqcli.tasks.stream.item import Item
from eqcli.tasks.stream.items import Chunk, readable
from eqcli.tasks.stream.merge import failed_table, merge, merge_trajectory
from eqcli.tasks.stream.processor import Processor
from eqcli.tasks.stream.result import StreamResult
from eqcli.tasks.stream.run_chunk import Worker
from eqcli.tasks.stream.share import items_for_all, share
from eqcli.tasks.stream.threads import threads_of_this_process
from eqcli.tasks.stream.work_folder import WorkFolder

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe
    from eqcli.tasks.stream.request import StreamRequest


@dataclass
class Stream:
    """How a request is carried out, beside what it asks for.

    Attributes
    ----------
    output
        Of any format that io writes.
    provenance
        What the output says of where it comes from; workers are added.
    processor
        Opened in this process; None where others do all the work.
    trajectory
        Where the frames go that the task gives; None for nowhere.
    workers
        Processes; `auto` as the cluster says, or else as suits the work. With 1 and no `cluster` the work is done in
        this one.
    cluster
        What brings workers up on other machines; None for processes of this one.
    pilot
        Tells how much work there is, for `auto`; without it one process does it.
    label
        What the reporter calls the work.
    """

    output: Path
    provenance: dict[str, Any]
    processor: Processor | None = None
    trajectory: Path | None = None
    workers: Workers = 1
    cluster: ClusterRecipe | None = None
    pilot: Pilot | None = None
    resume: bool = False
    overwrite: bool = False
    label: str = "work"


def run_stream(request: StreamRequest, stream: Stream, report: Reporter) -> StreamResult:
    """Does all items of a request that an earlier call has not done, and writes the output.

    Killed at any moment, the same call with `resume` goes on: results are the same to the last bit, nothing that
    was committed is done again. What is interrupted leaves its work folder, `<output>.work`, or nothing where no
    result had been committed.

    Raises
    ------
    InputError
        The output exists, unfinished work is there and neither `resume` nor `overwrite` is given, the
        unfinished work was asked for differently, or another process is at it.
    """
    folder = WorkFolder.of(stream.output)
    if not (stream.resume and folder.exists):
        refuse_existing(stream.output, stream.overwrite)
    if folder.exists and not (stream.resume or stream.overwrite):
        raise InputError(
            "unfinished work is here",
            Where(folder.path),
            "Add --resume to go on with it, or --overwrite to start again.",
        )
    with _locked(folder):
        request = _prepared(folder, request, stream, report)
        result = StreamResult()
        begin = time.perf_counter()
        try:
            chunks = _work(folder, request, stream, result, report)
        finally:
            report.finish()
        if not result.items:
            raise InputError("there are no structures in " + ", ".join(str(path) for path in request.inputs))
        _end(folder, stream, chunks, result, report)
        result.seconds = time.perf_counter() - begin
        return result


@contextmanager
def _locked(folder: WorkFolder) -> Iterator[None]:
    """The folder for this process alone; it goes where nothing in it is worth keeping."""
    lock = FolderLock(folder.path)
    lock.take()
    try:
        yield
    finally:
        with suppress(OSError, InputError):
            if folder.is_empty:
                folder.clear()
        lock.release()
        folder.remove_empty()


def _prepared(folder: WorkFolder, request: StreamRequest, stream: Stream, report: Reporter) -> StreamRequest:
    """The request as it is in the folder, which is made where it is not there."""
    if folder.exists and stream.resume:
        request = folder.begun(request)
        if (before := folder.version) != eqcli.__version__:
            report.warning(f"this work was begun by eqcli {before}; later results may differ in their last digits")
        report.message(f"going on with the work in {folder.path}")
        return request
    folder.clear()
    asked = {"task": request.task, "settings": dict(request.settings), "inputs": [path.name for path in request.inputs]}
    folder.create(request, {**stream.provenance, "request": asked})
    return request


def _work(
    folder: WorkFolder, request: StreamRequest, stream: Stream, result: StreamResult, report: Reporter
) -> list[ChunkFiles]:
    """Does what is not done, here or by workers; all chunks are done then."""
    ahead = ChunksAhead(request)
    division = settle(folder, request, stream, ahead, report)
    if division.workers == 1 and stream.cluster is None:
        report.start(stream.label, ahead.total, "structures")
        with threads_of_this_process(division.threads):
            numbers = list(_alone(folder, request, stream, ahead.chunks(), result, report))
    else:
        numbers = list(_shared(folder, request, stream, division, result, report))
    for number in numbers:
        ended = folder.ended(number)
        result.items += ended["items"]
        result.failed += ended["failed"]
        result.figures.append(ended["figures"])
    return [ChunkFiles(folder.path, number) for number in numbers]


def _shared(
    folder: WorkFolder,
    request: StreamRequest,
    stream: Stream,
    division: Division,
    result: StreamResult,
    report: Reporter,
) -> range:
    """Has all chunks be done by workers; gives their numbers."""
    items = items_for_all(folder, request, report)
    report.start(stream.label, items.total, "structures")
    if not FORMATS[writable_format(stream.output)].many and len(items):
        _refuse_several(stream.output, items.chunk(0).load(), len(items) - 1)
    for number in range(len(items)):
        if folder.is_done(number):
            _skip(folder, number, result, report)
    share(folder, request, items, division=division, cluster=stream.cluster, processor=stream.processor, report=report)
    return range(len(items))


def _alone(
    folder: WorkFolder,
    request: StreamRequest,
    stream: Stream,
    waiting: Iterator[Chunk],
    result: StreamResult,
    report: Reporter,
) -> Iterator[int]:
    """Does chunk after chunk in this process; gives the numbers of all."""
    from eqcli.tasks.stream.processor import open_processor

    worker = Worker(folder, stream.processor or open_processor(request))
    single = not FORMATS[writable_format(stream.output)].many
    with closing(read_ahead(_loaded(folder, waiting), depth=1)) as chunks:
        for number, items in chunks:
            if items is None:
                _skip(folder, number, result, report)
            else:
                if single:
                    _refuse_several(stream.output, items, number)
                done = worker.do(number, items, report)
                result.earlier += done.items - done.new
            yield number


def _loaded(folder: WorkFolder, chunks: Iterator[Chunk]) -> Iterator[tuple[int, list[Item] | None]]:
    """The items of each chunk; None of one that is done."""
    for chunk in chunks:
        yield chunk.number, None if folder.is_done(chunk.number) else chunk.load()


def _skip(folder: WorkFolder, number: int, result: StreamResult, report: Reporter) -> None:
    """Counts a chunk that an earlier call has done."""
    ended = folder.ended(number)
    result.earlier += ended["items"]
    report.advance(ended["items"] - ended["failed"])


def _refuse_several(output: Path, items: list[Item], number: int) -> None:
    if number or len(readable(items)) > 1:
        raise InputError(
            f"a {writable_format(output)} file holds one structure and there are several",
            Where(output),
            "Write an .extxyz or .h5 file, or choose one frame.",
        )


def _end(folder: WorkFolder, stream: Stream, chunks: list[ChunkFiles], result: StreamResult, report: Reporter) -> None:
    """The files of the result, then the end of the work folder."""
    result.workers = read_beats(folder.path)
    provenance = {**folder.provenance(), "workers": [_who(beat) for beat in result.workers]}
    if stream.trajectory is not None and merge_trajectory(chunks, stream.trajectory, provenance):
        result.trajectory = stream.trajectory
    merge(chunks, stream.output, provenance, result, report)
    if result.table is None:  # that of an earlier call, whose output has gone or was replaced
        failed_table(stream.output).unlink(missing_ok=True)
    folder.clear()


def _who(beat: Any) -> dict[str, Any]:
    return {"host": beat.host, "device": beat.device, "precision": beat.precision, "threads": beat.threads}
