"""One function over many items: on all cores, with a limit of time each, and with a failure in place of a crash."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Generic, TypeVar

from eqcli.errors import Failure
from eqcli.progress import Reporter, Silent

T = TypeVar("T")
R = TypeVar("R")
LONGEST_REASON = 200


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What became of one item: its value, or the reason why it has none."""

    value: R | None
    failure: str | None = None


class OutOfTime(BaseException):
    """Raised by the alarm; no Exception, so that no `except Exception` of a library swallows it."""


def measure(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int | None = None,
    timeout: float | None = None,
    label: str = "measure",
    report: Reporter | None = None,
) -> list[Outcome[R]]:
    """`function` of every item, in the order of the items.

    Parameters
    ----------
    function
        Picklable, and a pure function of its argument: a module's function, a `partial` of one, or an
        object with `__call__`. It is sent once to each process, so data that all items need belongs to it.
    workers
        Processes; None for one per core that this process may use. With 1, no process is started.
    timeout
        Seconds that one item may take. Python code is interrupted; a process that does not answer is killed.
    label
        What the reporter calls the work.

    Returns
    -------
    list
        One outcome per item. An item that raises, takes too long or kills its process is a failure, and the
        others go on.
    """
    speaker = report or Silent()
    count = min(workers or available_cores(), len(items))
    speaker.start(label, len(items), "structures")
    try:
        if count <= 1 and can_interrupt(timeout):
            return _here(function, items, timeout, speaker)
        from eqcli.metrics.pool import measure_in_processes

        return measure_in_processes(function, items, count, timeout, speaker)
    finally:
        speaker.finish()


def available_cores() -> int:
    """Cores that this process may run on, which a batch system or a container may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def can_interrupt(timeout: float | None) -> bool:
    """Whether a limit of time can be kept in this thread; signals reach the main thread alone."""
    return timeout is None or (hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread())


def _here(function: Callable[[T], R], items: Sequence[T], timeout: float | None, report: Reporter) -> list[Outcome[R]]:
    outcomes = []
    with quiet(), alarms():
        for item in items:
            outcomes.append(attempt(function, item, timeout))
            report.advance()
    return outcomes


def attempt(function: Callable[[T], R], item: T, timeout: float | None) -> Outcome[R]:
    """The outcome of one item; `alarms` must be in force where there is a limit."""
    limited = timeout is not None and can_interrupt(timeout)
    try:
        if not limited or timeout is None:
            return Outcome(function(item))
        # It rings again, in case the first alarm fell into a callback that cannot raise.
        signal.setitimer(signal.ITIMER_REAL, timeout, timeout)
        try:
            return Outcome(function(item))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except OutOfTime:
        signal.setitimer(signal.ITIMER_REAL, 0)
        return Outcome(None, too_long(timeout or 0.0))
    except Exception as error:
        return Outcome(None, Failure.of("", error).reason[:LONGEST_REASON])


def too_long(timeout: float) -> str:
    """The reason of an item that was stopped."""
    return f"took longer than {timeout:g} s"


@contextmanager
def alarms() -> Iterator[None]:
    """Lets SIGALRM raise `OutOfTime` inside, and gives handler and timer back as they were."""
    if not (hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()):
        yield
        return
    handler = signal.signal(signal.SIGALRM, _ring)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    began = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(remaining - time.monotonic() + began, 1e-3), interval)


def _ring(_signal: int, _frame: FrameType | None) -> None:
    raise OutOfTime


@contextmanager
def quiet() -> Iterator[None]:
    """Libraries warn about every odd structure; here odd structures are what is measured."""
    with warnings.catch_warnings(), environment({"SPGLIB_WARNING": "OFF"}):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Environment variables that hold inside."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
