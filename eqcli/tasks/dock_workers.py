"""Pairs of a screen docked by several workers: batches go out and come back as files in the folder of the screen.

The rows of the screen remain what it goes on from. What workers had done beyond them is done again after a kill.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterable, Iterator
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqcli.engine.cluster.workers import Lost, open_workers
from eqcli.errors import Failure
from eqcli.files import atomic_path
from eqcli.progress import Reporter
from eqcli.tasks.dock_pair import Pair
from eqcli.tasks.dock_request import DockRequest, make_docker
from eqcli.tasks.dock_work import DockedPair, PairDocker
from eqcli.tasks.stream.heartbeat import Heartbeat

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe

WORK = "work"
REQUEST, LOGS = "request.pickle", "logs"
PAIRS, DOCKED = "pairs", "docked"


@dataclass(frozen=True)
class DockedBatch:
    """What became of pairs, and what was said about them and their receptor."""

    docked: list[DockedPair]
    log: list[str]


def dock_by_workers(
    request: DockRequest,
    folder: Path,
    batches: Iterable[list[Pair]],
    workers: int,
    cluster: ClusterRecipe | None,
    report: Reporter,
) -> Iterator[DockedBatch]:
    """What becomes of batches, in their order, whichever ends first. Pairs that workers die over are failures."""
    work = folder / WORK
    shutil.rmtree(work, ignore_errors=True)
    _write(work / REQUEST, (request, Path.cwd()))
    ended: dict[int, Lost | None] = {}
    following = 0
    try:
        with open_workers(workers, cluster, folder=work / LOGS, report=report) as pool:
            for number, outcome in pool.map(dock_batch, _handed_out(work, batches), work.resolve()):
                ended[number] = outcome
                while following in ended:
                    yield _come_back(work, following, ended.pop(following))
                    following += 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


def dock_batch(work: Path, number: int) -> None:
    """Docks the pairs of a batch, in any process that sees the folder; the docker is made once in each."""
    opened = _opened(work)
    with chdir(opened.home):
        docked = opened.docker.dock(_read(_file(work, number, PAIRS)))
    # Receptors are large and known to who asks.
    found = DockedBatch([replace(one, receptor=None) for one in docked], list(opened.log))
    opened.log.clear()
    _write(_file(work, number, DOCKED), found)
    opened.tell(number, docked)


@dataclass
class _Opened:
    """What a worker has made of a request."""

    key: bytes
    docker: PairDocker
    home: Path
    log: list[str]
    heart: Heartbeat

    def tell(self, number: int, docked: list[DockedPair]) -> None:
        """A sign of life."""
        beat = self.heart.beat
        beat.chunk, beat.items = number, beat.items + len(docked)
        beat.failed += sum(one.failure is not None for one in docked)
        self.heart.say(at_once=True)


_OPENED: list[_Opened] = []
"""One request at a time."""


def _opened(work: Path) -> _Opened:
    key = str(work).encode() + (work / REQUEST).read_bytes()
    if not _OPENED or _OPENED[0].key != key:
        _OPENED.clear()
        request, home = _read(work / REQUEST)
        log: list[str] = []
        with chdir(home):
            docker, _, device = make_docker(request)
        heart = Heartbeat(work, device, "")
        heart.say(at_once=True)
        _OPENED.append(_Opened(key, PairDocker(docker, request, log.append), home, log, heart))
    return _OPENED[0]


def _handed_out(work: Path, batches: Iterable[list[Pair]]) -> Iterator[int]:
    """Numbers of batches whose pairs are where workers find them."""
    for number, batch in enumerate(batches):
        _write(_file(work, number, PAIRS), batch)
        yield number


def _come_back(work: Path, number: int, lost: Lost | None) -> DockedBatch:
    pairs, docked = _file(work, number, PAIRS), _file(work, number, DOCKED)
    if lost is not None:
        reason = f"it was given up: {lost.reason}"
        given_up = [DockedPair(pair, failure=Failure(pair.name, reason)) for pair in _read(pairs)]
        found = DockedBatch(given_up, [f"failed: {one.pair.name}: {reason}" for one in given_up])
    else:
        found = _read(docked)
    for path in (pairs, docked):
        path.unlink(missing_ok=True)
    return found


def _file(work: Path, number: int, kind: str) -> Path:
    return work / f"batch-{number:06d}.{kind}.pickle"


def _write(path: Path, content: Any) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(pickle.dumps(content))


def _read(path: Path) -> Any:
    return pickle.loads(path.read_bytes())
