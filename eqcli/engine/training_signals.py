"""Signals that ask a training to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP, REQUEUE = 1, 2
"""What a signal asks for: a checkpoint and the end, or that and to be put back into the queue."""

NUMBERS = {signal.SIGTERM: STOP, signal.SIGINT: STOP}
if hasattr(signal, "SIGUSR1"):
    NUMBERS[signal.SIGUSR1] = REQUEUE
"""Batch systems send SIGUSR1 some time before they end a job, where they are asked to."""


class Interrupted(Exception):
    """Training stopped on a signal, with a checkpoint written.

    Attributes
    ----------
    requeue
        Whether it was the one that batch systems send before a job's time is over.
    together
        Whether all processes stop at this place.
    """

    def __init__(self, requeue: bool = False, *, together: bool = False) -> None:
        super().__init__("interrupted")
        self.requeue = requeue
        self.together = together


class Stopped(KeyboardInterrupt):
    """A signal before or after the steps of a training; `requeue` as of `Interrupted`."""

    def __init__(self, requeue: bool = False) -> None:
        super().__init__()
        self.requeue = requeue


@contextmanager
def early_signals() -> Iterator[None]:
    """SIGUSR1 stops what is not a step of training as Ctrl-C does; it would end the process without a word."""

    def received(number: int, frame: FrameType | None) -> None:
        raise Stopped(requeue=True)

    try:
        before = signal.signal(signal.SIGUSR1, received)
    except (ValueError, AttributeError):  # another thread, or a system without it
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


class Signals:
    """Keeps signals until the end of a step.

    Attributes
    ----------
    asked
        0, `STOP` or `REQUEUE`.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._handlers: dict[int, Any] = {}

    def install(self) -> None:
        """From now on signals are kept; outside the main thread the caller handles them."""
        for number in NUMBERS:
            try:
                self._handlers[number] = signal.signal(number, self._received)
            except ValueError:
                return

    def restore(self) -> None:
        """Signals do again what they did before."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise Interrupted  # asked twice: do not wait for the end of the step
        self.asked = max(self.asked, NUMBERS[signal.Signals(number)])
