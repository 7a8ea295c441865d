"""The chunks of a request done by several workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.cluster.workers import Lost, open_workers
from eqcli.errors import Failure, InputError
from eqcli.progress import Reporter, Silent
from eqcli.tasks.stream.chunk_file import ChunkFile, ChunkFiles
from eqcli.tasks.stream.heartbeat import read_beats
from eqcli.tasks.stream.items import IndexedItems, is_random_access
from eqcli.tasks.stream.processor import Processor, open_processor
from eqcli.tasks.stream.run_chunk import ChunkResult, run_chunk, stored_items
from eqcli.tasks.stream.spool import spool
from eqcli.tasks.stream.threads import set_threads
from eqcli.tasks.stream.work_folder import LOGS, WorkFolder

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe
    from eqcli.tasks.stream.division import Division
    from eqcli.tasks.stream.request import StreamRequest

LOOK_SECONDS = 1.0
"""Between two looks at the signs of life of the workers."""


def share(
    folder: WorkFolder,
    request: StreamRequest,
    items: IndexedItems,
    *,
    division: Division,
    cluster: ClusterRecipe | None,
    processor: Processor | None,
    report: Reporter,
) -> None:
    """Has every chunk that is not done be done by workers; those that they die over are failures that say so."""
    waiting = [number for number in range(len(items)) if not folder.is_done(number)]
    if not waiting:
        return
    count = min(division.workers, len(waiting))
    with (
        open_workers(count, cluster, folder=folder.path / LOGS, report=report) as pool,
        _watched(folder.path, report),
    ):
        given = division.threads, folder.path.resolve()
        ended = pool.map(run_with_threads, waiting, *given, progress=_Progress(folder.path))
        for number, outcome in ended:
            if isinstance(outcome, Lost):
                opened = processor or open_processor(request)
                _give_up(folder, items, number, outcome, opened)


def run_with_threads(threads: int, folder: Path, number: int) -> ChunkResult:
    """See `run_chunk`. Whatever brought this process up, it has the threads that the work was begun with."""
    set_threads(threads)
    return run_chunk(folder, number)


def items_for_all(folder: WorkFolder, request: StreamRequest, report: Reporter) -> IndexedItems:
    """The items where every worker can reach them; inputs that are read in order alone are copied into the folder."""
    if not is_random_access(request):
        report.message("reading the inputs for the workers")
        spool(request, folder.path)
    return stored_items(folder, request)


def _give_up(folder: WorkFolder, items: IndexedItems, number: int, lost: Lost, processor: Processor) -> None:
    """Ends a chunk with what it has."""
    with ChunkFile(folder.path, number) as chunk:
        for item in items.chunk(number).load():
            if item.number in chunk.done:
                continue
            if isinstance(item.structure, InputError):
                chunk.fail(item, Failure.of("", item.structure).reason)
            else:
                chunk.fail(item, f"it was given up: {lost.reason}")
        processor.process([], chunk, Silent())
        chunk.finish()


class _Progress:
    """What tells whether a chunk went on before a worker died over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, number: int) -> Any:
        files = ChunkFiles(self.folder, number)
        return [_changed(path) for path in (files.results, files.state)]


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns if path.suffix == ".safetensors" else path.stat().st_size
    except OSError:
        return 0


@contextmanager
def _watched(folder: Path, report: Reporter) -> Iterator[None]:
    """Reports what the workers say of themselves while the block runs, and once more at its end."""
    before = _counts(folder)
    told = 0
    stop = threading.Event()

    def look() -> None:
        nonlocal told
        now = sum(max(0, done - before.get(name, 0)) for name, done in _counts(folder).items())
        if now > told:
            report.advance(now - told)
            told = now

    def watch() -> None:
        while not stop.wait(LOOK_SECONDS):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        look()


def _counts(folder: Path) -> dict[str, int]:
    """Results that each process gave."""
    return {f"{beat.name} {beat.started}": beat.items - beat.failed for beat in read_beats(folder)}
