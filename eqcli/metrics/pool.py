"""Processes that measure: each is told a function once per measurement, and the death of one costs one item."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from eqcli.metrics.work import Outcome, alarms, attempt, environment, quiet, too_long
from eqcli.progress import Reporter

T = TypeVar("T")
R = TypeVar("R")

LARGEST_CHUNK = 32
"""Items that a process is given at once."""
CHUNKS_PER_WORKER = 8
"""At least so many chunks for each process, so that none has long to wait at the end."""
GRACE = 5.0
"""Seconds beyond its limit after which a process that does not answer is killed."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""A process has one thread for linear algebra: there is one per core already."""
_IDLE: ContextVar[list[_Worker] | None] = ContextVar("idle processes", default=None)


def measure_in_processes(
    function: Callable[[T], R], items: Sequence[T], workers: int, timeout: float | None, report: Reporter
) -> list[Outcome[R]]:
    """See `work.measure`; `workers` processes are started, and one in place of each that dies."""
    pool: _Pool[R] = _Pool(function, items, workers, timeout, report)
    idle = _IDLE.get()
    try:
        return pool.run()
    finally:
        for worker in pool.workers:
            if idle is not None and worker.rest():
                idle.append(worker)
            else:
                worker.stop()


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes that start inside do not hear Ctrl-C, which a terminal sends to all: the parent ends them.

    They ignore it once they serve, but loading libraries before that takes seconds.
    """
    resource_tracker.ensure_running()  # Starting it would let the signal through again.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def kept_processes() -> Iterator[None]:
    """Measurements inside use the same processes, which else start anew, and load their libraries, for each."""
    if _IDLE.get() is not None:
        yield
        return
    idle: list[_Worker] = []
    token = _IDLE.set(idle)
    try:
        yield
    finally:
        _IDLE.reset(token)
        for worker in idle:
            worker.stop()


class _Worker:
    """One process, the connection to it, and what it has been given and has not answered."""

    def __init__(self) -> None:
        # A fresh interpreter: a fork of a process with threads (torch, OpenMP) may hang.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.pending: deque[int] = deque()
        self.awake = False  # It runs.
        self.ready = False  # It knows the function.
        self.heard = time.monotonic()
        with environment(ONE_THREAD), _deaf():
            self.process.start()
        theirs.close()

    def wake(self, function: Callable[[Any], Any], timeout: float | None) -> None:
        """What a sign of life without an outcome means: first that it runs, then that it knows the function."""
        self.awake, self.ready = True, self.awake
        if not self.ready:
            self._send((function, timeout))

    def rest(self) -> bool:
        """Lets it forget the function: it gives the sign of life of one that begins. False where it is at work."""
        if self.pending or self.awake != self.ready:
            return False
        if self.awake:
            self.awake = self.ready = False
            self._send(None)
        return True

    def give(self, chunk: list[tuple[int, Any]]) -> None:
        self.pending.extend(index for index, _ in chunk)
        self.heard = time.monotonic()
        self._send(chunk)

    def _send(self, message: object) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # It has died: the next receive says so.
            self.connection.send(message)

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()

    def death(self) -> str:
        """Why the process is gone."""
        self.process.join(1.0)
        code = self.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"the process that measured it died ({how})"


class _Pool(Generic[R]):
    """The items that wait, the processes, and the outcomes so far."""

    def __init__(
        self, function: Callable[[T], R], items: Sequence[T], workers: int, timeout: float | None, report: Reporter
    ) -> None:
        self.items, self.timeout, self.report = items, timeout, report
        self.function = function
        self.waiting = deque(range(len(items)))
        self.outcomes: dict[int, Outcome[R]] = {}
        self.chunk = max(1, min(LARGEST_CHUNK, len(items) // (workers * CHUNKS_PER_WORKER)))
        self.false_starts = 2 * workers
        self.workers = [self._worker() for _ in range(workers)]

    def run(self) -> list[Outcome[R]]:
        while len(self.outcomes) < len(self.items):
            if not self.workers:
                self._finish_here()
                break
            for worker in self.workers:
                if worker.ready and not worker.pending and self.waiting:
                    worker.give(self._next_chunk())
            heard = set(wait([worker.connection for worker in self.workers], timeout=1.0))
            for worker in list(self.workers):
                if worker.connection in heard:
                    self._hear(worker)
                elif self._overdue(worker):
                    self._replace(worker, too_long(self.timeout or 0.0))
        return [self.outcomes[index] for index in range(len(self.items))]

    def _worker(self) -> _Worker:
        """An idle process that was kept, or a new one."""
        idle = _IDLE.get()
        while idle:
            worker = idle.pop()
            if worker.process.is_alive():
                return worker
            worker.stop()
        return _Worker()

    def _next_chunk(self) -> list[tuple[int, Any]]:
        indices = [self.waiting.popleft() for _ in range(min(self.chunk, len(self.waiting)))]
        return [(index, self.items[index]) for index in indices]

    def _hear(self, worker: _Worker) -> None:
        try:
            index, outcome = worker.connection.recv()
        except (EOFError, OSError):
            self._replace(worker, worker.death())
            return
        worker.heard = time.monotonic()
        if index is None:
            worker.wake(self.function, self.timeout)
            return
        worker.pending.popleft()
        self._settle(index, outcome)

    def _overdue(self, worker: _Worker) -> bool:
        if self.timeout is None or not worker.pending:
            return False
        return time.monotonic() - worker.heard > self.timeout + GRACE and not worker.connection.poll()

    def _replace(self, worker: _Worker, reason: str) -> None:
        """Charges the item in work with what happened, and gives the others to a new process."""
        worker.stop()
        self.workers.remove(worker)
        if worker.pending:
            self._settle(worker.pending.popleft(), Outcome(None, reason))
        elif not worker.ready:
            self.false_starts -= 1
        self.waiting.extendleft(reversed(worker.pending))
        if self.waiting and self.false_starts > 0:
            self.workers.append(self._worker())

    def _settle(self, index: int, outcome: Outcome[R]) -> None:
        self.outcomes[index] = outcome
        self.report.advance()

    def _finish_here(self) -> None:
        """No process starts (a script without `if __name__ == "__main__"`, no memory): the work is done here."""
        self.report.warning("no process could be started; measuring in this one")
        with quiet(), alarms():
            for index in self.waiting:
                self._settle(index, attempt(self.function, self.items[index], self.timeout))


def _nothing(item: object) -> None:
    """The function of a process that rests."""


def _serve(connection: Connection) -> None:
    """What a process does: it answers items, of the last function it was told, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent is interrupted, and ends its processes.
    with suppress(EOFError, OSError), quiet(), alarms():
        connection.send((None, None))
        function, timeout = connection.recv()
        connection.send((None, None))
        while True:
            message = connection.recv()
            if not isinstance(message, list):
                function, timeout = message or (_nothing, None)
                connection.send((None, None))
                continue
            for index, item in message:
                outcome: Outcome[Any] = attempt(function, item, timeout)
                try:
                    connection.send((index, outcome))
                except OSError:
                    return
                except Exception as error:
                    connection.send((index, Outcome(None, f"its result cannot be sent: {error}")))
