"""The batches of optimisation steps: loaded in micro-batches, and loaded again where these were too large."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from eqcli.data.batch_shares import Division, Parts, Step, StepStream
from eqcli.data.batches import BatchStream

Load = Callable[[BatchStream], Iterable[Any]]
"""Gives the batches that a stream names, as often as they are iterated over."""


@dataclass(frozen=True)
class StepBatch:
    """What one process does of a step.

    Attributes
    ----------
    step
        Its frames.
    batches
        Those of each part, on the CPU.
    """

    step: Step
    batches: list[Any]


class StepLoader:
    """The steps of a stream with their batches, in order, whatever loads them and however far ahead."""

    def __init__(self, stream: StepStream, load: Load) -> None:
        self.stream = stream
        self.batches = load(stream)

    def __iter__(self) -> Iterator[StepBatch]:
        loaded, ready = iter(self.batches), deque[Any]()
        while True:
            # A step is announced before its first batch; one without a batch of this process, before the next one's.
            if not self.stream.steps:
                ready.extend(_next(loaded))
                if not self.stream.steps:
                    return
            step = self.stream.steps.popleft()
            while len(ready) < len(step.parts):
                ready.extend(_next(loaded))
            yield StepBatch(step, [ready.popleft() for _ in step.parts])


class Reloader:
    """Loads a step once more, in smaller parts."""

    def __init__(self, division: Division, load: Load) -> None:
        self.division = division
        self._load = load
        self._parts: Parts | None = None
        self._batches: Iterable[Any] = ()

    def __call__(self, step: Step) -> StepBatch:
        """The step as its division is now."""
        if self._parts is None:
            self._parts = Parts()
            self._batches = self._load(self._parts)
        again = self.division.step(step.epoch, step.frames)
        self._parts.epoch, self._parts.parts = again.epoch, again.parts
        return StepBatch(again, list(self._batches))


def _next(loaded: Iterator[Any]) -> list[Any]:
    """The next one, if there is one."""
    return [batch for batch in [next(loaded, None)] if batch is not None]
