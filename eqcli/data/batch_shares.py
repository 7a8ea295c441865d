"""How the batch of an optimisation step is divided: among processes, and into what fits into memory at once."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eqcli.data.batches import BatchPlan, BatchStream


@dataclass(frozen=True)
class Step:
    """The batch of one step as one process sees it.

    Attributes
    ----------
    epoch
        From 0.
    frames
        Those of the whole batch.
    parts
        The micro-batches of this process.
    real
        How many of the parts count; further ones only keep this process in step with the others.
    """

    epoch: int
    frames: list[int]
    parts: list[list[int]]
    real: int


@dataclass
class Division:
    """Who takes which frames of a batch: a function of the batch and the number of processes alone.

    Parameters
    ----------
    costs
        Work that each frame makes, `[n]`; processes get like amounts of it.
    sizes
        What each frame takes of a micro-batch, `[n]`.
    limit
        The size of a micro-batch; None takes the share of a process at once. It may be lowered at any time.
    rank, world
        Number of this process, and of all.
    in_step
        Whether all processes need the same number of micro-batches, and each at least one.
    """

    costs: NDArray[np.int64]
    sizes: NDArray[np.int64]
    limit: int | None = None
    rank: int = 0
    world: int = 1
    in_step: bool = False

    def step(self, epoch: int, frames: list[int]) -> Step:
        """What this process does of a batch."""
        if not self.in_step:
            parts = self._parts(shares(frames, self.costs[frames], self.world)[self.rank])
            return Step(epoch, frames, parts, len(parts))
        every = [self._parts(share) for share in shares(frames, self.costs[frames], self.world)]
        own, most = every[self.rank], max(map(len, every))
        return Step(epoch, frames, own + [frames[:1]] * (most - len(own)), len(own))

    def lower(self, part: Sequence[int]) -> int | None:
        """The limit under which a part that did not fit becomes two; None where it is a single frame."""
        return None if len(part) < 2 else max(1, int(self.sizes[list(part)].sum()) // 2)

    def _parts(self, share: list[int]) -> list[list[int]]:
        """A share in order, in as few parts as the limit allows and as even ones as these may be."""
        if self.limit is None or not share:
            return [share] if share else []
        fewest = -(-int(self.sizes[share].sum()) // self.limit)
        for count in range(fewest, len(share)):
            parts = [part for part in shares(share, self.sizes[share], count) if part]
            if all(len(part) == 1 or int(self.sizes[part].sum()) <= self.limit for part in parts):
                return parts
        return [[frame] for frame in share]


def shares(frames: list[int], costs: NDArray[np.int64], count: int) -> list[list[int]]:
    """The frames in `count` shares of like cost, each in the order of the batch; some are empty where frames are few.

    The costliest frame that is left goes to the share that has least (Graham, SIAM J. Appl. Math. 17, 416 (1969)).
    """
    if count == 1:
        return [list(frames)]
    loads = [(0, share) for share in range(count)]
    owner = np.empty(len(frames), dtype=np.int64)
    for place in np.argsort(-np.asarray(costs), kind="stable"):
        load, share = heapq.heappop(loads)
        owner[place] = share
        heapq.heappush(loads, (load + int(costs[place]), share))
    return [[frame for frame, own in zip(frames, owner, strict=True) if own == share] for share in range(count)]


class StepStream(BatchStream):
    """The micro-batches of one process from one position to the end of training, one after the other.

    Each step is put into `steps` just before its first micro-batch is handed out, so that who loads them need not
    know of steps.
    """

    def __init__(self, plan: BatchPlan, epochs: int, division: Division, *, start: tuple[int, int] = (0, 0)) -> None:
        super().__init__(plan, epochs, start=start)
        self.division = division
        self.steps: deque[Step] = deque()

    def with_epochs(self) -> Iterator[tuple[int, list[int]]]:
        for epoch, frames in super().with_epochs():
            step = self.division.step(epoch, frames)
            self.steps.append(step)
            for part in step.parts:
                yield epoch, part


@dataclass
class Parts(BatchStream):
    """Some micro-batches of one epoch, to be loaded once more."""

    epoch: int = 0
    parts: list[list[int]] = field(default_factory=list)

    def with_epochs(self) -> Iterator[tuple[int, list[int]]]:
        return ((self.epoch, part) for part in self.parts)
