"""The division of a request: as it was asked for, as it was begun with, or as suits the work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from eqcli.engine.cluster.workers import threads_each
from eqcli.engine.usable_cores import usable_cores
from eqcli.tasks.stream.division import AUTO, WORTH_SECONDS, Division, Load, Place, divide, taken_up
from eqcli.tasks.stream.items import indexed_items, is_random_access, open_items, readable
from eqcli.tasks.stream.share import items_for_all

if TYPE_CHECKING:
    from eqcli.io.structure import Structure
    from eqcli.progress import Reporter
    from eqcli.tasks.stream.items import Chunk
    from eqcli.tasks.stream.request import StreamRequest
    from eqcli.tasks.stream.run import Stream
    from eqcli.tasks.stream.work_folder import WorkFolder

SEEN_CHUNKS = 64
"""Chunks of inputs that can only be read in order which are held in memory at most, to see how much there is to do."""

BEYOND = 4
"""Inputs that go on after these count as so many times what was seen."""


class Pace(Protocol):
    """How fast work goes on, and what it takes."""

    @property
    def seconds(self) -> float:
        """For each atom, all steps together, of one process with one thread."""
        ...

    def worker_bytes(self, largest: int) -> int:
        """Memory that a worker needs, its largest structure having so many atoms."""
        ...


class Pilot(Protocol):
    """Measures the pace of a task on a few structures."""

    def __call__(self, structures: Sequence[Structure]) -> Pace | None:
        """The pace; None where it cannot be told."""
        ...


class ChunksAhead:
    """The chunks of a request, of which the first can be looked at before they are worked on, without reading twice."""

    def __init__(self, request: StreamRequest) -> None:
        source = open_items(request)
        self.total = source.total
        self.seen: list[Chunk] = []
        self._rest = iter(source.chunks())

    def look(self, count: int) -> bool:
        """Sees to it that so many chunks are in `seen`; whether there are."""
        while len(self.seen) < count and (chunk := next(self._rest, None)) is not None:
            self.seen.append(chunk)
        return len(self.seen) >= count

    def chunks(self) -> Iterator[Chunk]:
        """All, in order; to be asked for once."""
        while self.seen:
            yield self.seen.pop(0)
        yield from self._rest


def settle(
    folder: WorkFolder, request: StreamRequest, stream: Stream, ahead: ChunksAhead, report: Reporter
) -> Division:
    """The division of a request, which is written down before anything is done."""
    before = folder.division()
    if stream.cluster is not None or stream.workers != AUTO:
        now = _asked(stream)
    else:
        place = place_of(stream, request)
        if before is not None and before.device == place.device:
            now = taken_up(before, place)
        else:
            now = _chosen(folder, request, stream, ahead, place, report)
        if now.workers > 1:
            report.message(str(now))
    if before is not None and before.threads != now.threads:
        report.warning(
            f"processes have {now.threads} threads each, and this work was begun with {before.threads}: "
            "later results may differ in their last digits"
        )
    folder.keep_division(now)
    return now


def place_of(stream: Stream, request: StreamRequest) -> Place:
    """What this machine and the job leave a request."""
    import torch

    from eqcli.engine.memory_limit import memory_limit

    cores = min(usable_cores(), torch.get_num_threads())
    kind, gpus = _kind(stream), 0
    if kind == "cuda" and request.device in ("auto", "cuda"):
        from eqcli.engine.cluster.local_processes import visible_gpus

        gpus = len(visible_gpus())
    return Place(kind, cores, gpus, memory_limit(torch.device("cpu")).bytes)


def _asked(stream: Stream) -> Division:
    """What was asked for in so many words."""
    given = None if stream.workers == AUTO else stream.workers
    if given == 1 and stream.cluster is None:
        import torch

        return Division(1, torch.get_num_threads(), _kind(stream))
    count = given or (stream.cluster.workers if stream.cluster is not None else 1)
    return Division(count, threads_each(count, stream.cluster), _kind(stream))


def _kind(stream: Stream) -> str:
    on_gpu = stream.processor is not None and stream.processor.device.startswith("cuda")
    return "cuda" if on_gpu else "cpu"


def _chosen(
    folder: WorkFolder, request: StreamRequest, stream: Stream, ahead: ChunksAhead, place: Place, report: Reporter
) -> Division:
    """What suits the work; nothing is computed for work that one process does in any case."""
    alone = Division(1, place.cores, place.device)
    if stream.pilot is None or place.most() < 2 or not ahead.look(2):
        return alone
    first = [item.structure for item in readable(ahead.seen[0].load())]
    pace = stream.pilot([one for one in first if not isinstance(one, Exception)])
    if pace is None or not _worth(request, ahead, pace.seconds, place):
        return alone
    if find_spec("distributed") is None:
        report.message("several processes would take less time: pip install 'eqcli[cluster]'")
        return alone
    items = items_for_all(folder, request, report)
    waiting = sum(not folder.is_done(number) for number in range(len(items)))
    seconds = pace.seconds * float(items.sizes.sum())
    return divide(Load(waiting, seconds, pace.worker_bytes(int(items.sizes.max()))), place)


def _worth(request: StreamRequest, ahead: ChunksAhead, seconds: float, place: Place) -> bool:
    """Whether there is enough to do, at so many seconds for an atom."""
    if not is_random_access(request):
        return _looks_worth(ahead, seconds, place)
    return seconds * float(indexed_items(request).sizes.sum()) >= WORTH_SECONDS[place.device]


def _looks_worth(ahead: ChunksAhead, seconds: float, place: Place) -> bool:
    """Whether inputs that are read in order hold enough work, as far as can be seen from their first chunks."""
    wanted, atoms, count = WORTH_SECONDS[place.device], 0, 0
    while ahead.look(count + 1) and count < SEEN_CHUNKS:
        atoms += sum(item.size for item in ahead.seen[count].load())
        count += 1
        if atoms * seconds >= wanted:
            return True
    return ahead.look(count + 1) and BEYOND * atoms * seconds >= wanted
