"""Pairs of a screen docked by several workers, which are handed batches and hand back what became of them.

The rows of the screen remain what it goes on from. What workers had done beyond them is done again after a kill.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eqcli.engine.cluster.workers import Lost, open_workers
from eqcli.errors import Failure
from eqcli.progress import Reporter
from eqcli.tasks.dock_pair import Pair
from eqcli.tasks.dock_request import DockRequest, make_docker
from eqcli.tasks.dock_work import DockedPair, PairDocker
from eqcli.tasks.stream.heartbeat import Heartbeat

if TYPE_CHECKING:
    from eqcli.recipe.cluster import ClusterRecipe

WORK = "work"
LOGS = "logs"


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
    job = DockJob(uuid.uuid4().hex, request, Path.cwd(), work.resolve())
    handed: dict[int, list[Pair]] = {}
    ended: dict[int, DockedBatch] = {}
    following = 0
    try:
        with open_workers(workers, cluster, folder=work / LOGS, report=report) as pool:
            for number, outcome in pool.map(dock_batch, _kept(handed, batches), job, content=handed.__getitem__):
                pairs = handed.pop(number)
                ended[number] = _given_up(pairs, outcome) if isinstance(outcome, Lost) else outcome
                while following in ended:
                    yield ended.pop(following)
                    following += 1
    finally:
        shutil.rmtree(work, ignore_errors=True)


@dataclass(frozen=True)
class DockJob:
    """What workers are told of a screen.

    Attributes
    ----------
    name
        Like no other's.
    request
        What is asked for.
    home
        The folder that relative names belong to.
    work
        Where signs of life go.
    """

    name: str
    request: DockRequest
    home: Path
    work: Path


def dock_batch(job: DockJob, number: int, pairs: list[Pair]) -> DockedBatch:
    """Docks the pairs of a batch, in any process that sees the same files; the docker is made once in each."""
    opened = _opened(job)
    with chdir(job.home):
        docked = opened.docker.dock(pairs)
    # Receptors are large and known to who asks.
    found = DockedBatch([replace(one, receptor=None) for one in docked], list(opened.log))
    opened.log.clear()
    opened.tell(number, docked)
    return found


@dataclass
class _Opened:
    """What a worker has made of a job."""

    job: str
    docker: PairDocker
    log: list[str]
    heart: Heartbeat

    def tell(self, number: int, docked: list[DockedPair]) -> None:
        """A sign of life."""
        beat = self.heart.beat
        beat.chunk, beat.items = number, beat.items + len(docked)
        beat.failed += sum(one.failure is not None for one in docked)
        self.heart.say(at_once=True)


_OPENED: list[_Opened] = []
"""One job at a time."""


def _opened(job: DockJob) -> _Opened:
    if not _OPENED or _OPENED[0].job != job.name:
        _OPENED.clear()
        log: list[str] = []
        with chdir(job.home):
            docker, _, device = make_docker(job.request)
        heart = Heartbeat(job.work, device, "")
        heart.say(at_once=True)
        _OPENED.append(_Opened(job.name, PairDocker(docker, job.request, log.append), log, heart))
    return _OPENED[0]


def _kept(handed: dict[int, list[Pair]], batches: Iterable[list[Pair]]) -> Iterator[int]:
    """Numbers of batches, whose pairs are in `handed` until they are docked."""
    for number, batch in enumerate(batches):
        handed[number] = batch
        yield number


def _given_up(pairs: list[Pair], lost: Lost) -> DockedBatch:
    reason = f"it was given up: {lost.reason}"
    docked = [DockedPair(pair, failure=Failure(pair.name, reason)) for pair in pairs]
    return DockedBatch(docked, [f"failed: {one.pair.name}: {reason}" for one in docked])
