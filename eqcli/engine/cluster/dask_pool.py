"""Workers under a scheduler of Dask that runs in this process."""

from __future__ import annotations

import logging
import queue
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from eqcli.engine.cluster.credentials import have_openssl, make_credentials
from eqcli.engine.cluster.dask_settings import COORDINATOR
from eqcli.engine.cluster.local_processes import NO_PAGES, LocalProcesses
from eqcli.engine.cluster.workers import Lost, threads_each

if TYPE_CHECKING:
    from distributed import Client, Future

    from eqcli.progress import Reporter
    from eqcli.recipe.cluster import ClusterRecipe

DEATHS = 3
"""Workers that die over a chunk, without any progress in it, before it is given up."""

TEND_SECONDS = 0.5
AHEAD = 2
"""Chunks that are handed over for each worker, so that none waits for the coordinator."""


class Processes(Protocol):
    """What brings workers up and keeps them up."""

    def start(self) -> None: ...

    def tend(self, present: set[str], seen: set[str]) -> int: ...

    def stop(self) -> None: ...


_AGAIN = object()
"""Stands for the outcome of a chunk that is to be done once more."""


def _noting(names: set[str]) -> Any:
    """What makes the scheduler note the name of every worker that reports, however short its life."""
    from distributed import SchedulerPlugin

    class Noting(SchedulerPlugin):
        def add_worker(self, scheduler: Any, worker: str) -> None:
            names.add(str(scheduler.workers[worker].name))

    return Noting()


@dataclass
class _Handed:
    """A chunk that is with the workers."""

    deaths: int = 0
    mark: Any = None
    future: Future[Any] | None = field(default=None, repr=False)


class DaskPool:
    """See :func:`eqcli.engine.cluster.workers.open_workers`."""

    def __init__(self, count: int, cluster: ClusterRecipe | None, folder: Path | None, report: Reporter) -> None:
        self.count = count
        self.cluster = cluster
        self.report = report
        self._given = folder
        self._stack = ExitStack()
        self._seen: set[str] = set()
        self._tended = 0.0

    def __enter__(self) -> DaskPool:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _open(self) -> None:
        import dask
        import distributed  # noqa: F401  # Before its settings are changed: they would go with the changes otherwise.

        for name in ("distributed", "dask_jobqueue", "tornado", "asyncio"):
            self._silence(name)
        self._stack.enter_context(dask.config.set(COORDINATOR | self._patience()))
        batch = self.cluster is not None and self.cluster.is_batch
        self.folder = self._folder(batch)
        secure = self.cluster is None or self.cluster.security == "tls"
        private = self.folder / "credentials"
        security = make_credentials(private) if secure and (batch or have_openssl()) else None
        self._stack.callback(shutil.rmtree, private, ignore_errors=True)
        if batch:
            from eqcli.engine.cluster.batch_workers import close_batch, open_batch

            assert self.cluster is not None
            self.processes: Processes
            dask_cluster, self.processes = open_batch(self.count, self.cluster, self.folder, security, self.report)
            self._stack.callback(close_batch, dask_cluster)
        else:
            from distributed import LocalCluster

            dask_cluster = self._stack.enter_context(
                LocalCluster(
                    n_workers=0, host="127.0.0.1", dashboard_address=NO_PAGES, security=security,
                    silence_logs=logging.CRITICAL, protocol="tls" if security is not None else "tcp",
                )
            )  # fmt: skip
            threads = threads_each(self.count, self.cluster)
            address = dask_cluster.scheduler_address
            scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="eqcli-scratch-")))
            self.processes = LocalProcesses(self.count, threads, address, security, self.folder, scratch)
        assert dask_cluster.scheduler is not None
        self._scheduler: Any = dask_cluster.scheduler
        self._scheduler.add_plugin(_noting(self._seen))
        self.client: Client = self._stack.enter_context(dask_cluster.get_client())
        self._stack.callback(self.processes.stop)
        self.processes.start()

    def _patience(self) -> dict[str, Any]:
        if self.cluster is None:
            return {}
        return {"distributed.scheduler.worker-ttl": f"{self.cluster.heartbeat_timeout}s"}

    def _folder(self, batch: bool) -> Path:
        named = self.cluster.logs if self.cluster is not None else None
        chosen = Path(named) if named else self._given
        if chosen is None and not batch:
            return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="eqcli-workers-")))
        folder = (chosen or Path("logs")).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _silence(self, name: str) -> None:
        """Dask tells its log of every worker that goes; what matters is reported."""
        logger = logging.getLogger(name)
        before = logger.level
        logger.setLevel(logging.CRITICAL)
        self._stack.callback(logger.setLevel, before)

    def map(
        self,
        function: Callable[..., Any],
        numbers: Iterable[int],
        *arguments: Any,
        content: Callable[[int], Any] | None = None,
        progress: Callable[[int], Any] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """See :meth:`eqcli.engine.cluster.workers.Workers.map`."""
        waiting = iter(numbers)
        handed: dict[int, _Handed] = {}
        ended: queue.SimpleQueue[tuple[int, Future[Any]]] = queue.SimpleQueue()

        def hand(number: int) -> None:
            chunk = handed.setdefault(number, _Handed())
            further = () if content is None else (content(number),)
            future = self.client.submit(function, *arguments, number, *further, pure=False, retries=0)
            chunk.future = future
            future.add_done_callback(lambda done: ended.put((number, done)))

        def fill() -> None:
            while len(handed) < AHEAD * self.count and (number := next(waiting, None)) is not None:
                hand(number)

        try:
            fill()
            while handed:
                self._tend()
                try:
                    number, future = ended.get(timeout=TEND_SECONDS)
                except queue.Empty:
                    continue
                outcome = self._outcome(number, future, handed[number], progress)
                if outcome is _AGAIN:
                    hand(number)
                    continue
                del handed[number]
                fill()
                yield number, outcome
        finally:
            for chunk in handed.values():
                if chunk.future is not None:
                    with suppress(Exception):
                        chunk.future.cancel()

    def _outcome(self, number: int, future: Future[Any], chunk: _Handed, progress: Callable[[int], Any] | None) -> Any:
        """What a chunk gave; `_AGAIN` where it is to be done once more, for its worker died."""
        from distributed import CancelledError, KilledWorker

        while True:
            try:
                return future.result(timeout=TEND_SECONDS)
            except TimeoutError:
                if future.status == "error":
                    raise
                self._tend()  # The worker died with what came out; another one has to do it again.
            except CancelledError:
                return _AGAIN
            except KilledWorker:
                break
        mark = progress(number) if progress is not None else None
        chunk.deaths = chunk.deaths + 1 if mark == chunk.mark else 1
        chunk.mark = mark
        if chunk.deaths >= DEATHS:
            return Lost(f"{chunk.deaths} workers died over it one after the other (out of memory, or killed)")
        self.report.warning(f"a worker died; what it had not finished of chunk {number} is done by another one")
        return _AGAIN

    def _tend(self) -> None:
        if time.monotonic() - self._tended < TEND_SECONDS:
            return
        self._tended = time.monotonic()
        workers = self._scheduler.workers.copy().values()
        self.processes.tend({str(worker.name) for worker in workers}, self._seen)
