"""Which frames go into which optimisation step: a pure function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.data.frames import FrameTable

WINDOW = 16
"""Batches within which frames are sorted by length: more of them, and batches of one epoch would be those of the next.
"""


@dataclass(frozen=True)
class Budget:
    """The size of a batch: at most `limit` of `unit` (`structures`, `atoms` or `edges`)."""

    unit: str
    limit: int

    @classmethod
    def of(cls, section: Any) -> Budget:
        """What a recipe's `batch` section states; it has exactly one of the units."""
        units = ("structures", "atoms", "edges")
        return next(cls(unit, limit) for unit in units if (limit := getattr(section, unit)) is not None)


def batch_budget(section: Any, table: FrameTable, frames: NDArray[np.int64]) -> tuple[Budget, NDArray[np.int64]]:
    """The budget of a recipe's `batch` section, and what each frame takes of it."""
    budget = Budget.of(section)
    if budget.unit == "structures":
        return budget, np.ones(len(frames), dtype=np.int64)
    if budget.unit == "atoms":
        return budget, table.n_atoms[frames].astype(np.int64)
    # Atoms without neighbours cost something too.
    return budget, np.maximum(table.n_edges[frames], table.n_atoms[frames]).astype(np.int64)


def largest_batch(budget: Budget, table: FrameTable, frames: NDArray[np.int64]) -> tuple[int, int]:
    """Atoms and edges of the worst batch that a budget allows."""
    atoms, edges = table.n_atoms[frames].astype(np.int64), table.n_edges[frames].astype(np.int64)
    if budget.unit == "structures":
        return int(np.sort(atoms)[-budget.limit :].sum()), int(np.sort(edges)[-budget.limit :].sum())
    if budget.unit == "atoms":
        most = max(min(budget.limit, int(atoms.sum())), int(atoms.max()))
        return most, int(most * float((edges / atoms).max()))
    most = max(min(budget.limit, int(edges.sum())), int(edges.max()))
    return int(most / max(float((edges / atoms).min()), 1.0)), most


class BatchPlan:
    """Batches of every epoch, without any state: any position can be reached at once.

    Parameters
    ----------
    sizes
        What each frame takes of the budget, `[n]`; a frame larger than the budget is a batch of its own.
    budget
        The size of a batch.
    seed
        Seed of the order; None keeps the frames in order (validation).
    lengths
        A number of each frame, `[n]`. Within every `WINDOW` batches or so of an epoch, frames of like
        numbers come together, and the batches of the epoch in any order.
    """

    def __init__(
        self,
        sizes: NDArray[np.int64],
        budget: Budget,
        *,
        seed: int | None,
        lengths: NDArray[np.int64] | None = None,
    ) -> None:
        self.sizes = np.asarray(sizes, dtype=np.int64)
        self.budget = budget
        self.seed = seed
        self.lengths = lengths
        self._last: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None

    def count(self, epoch: int) -> int:
        """Batches of an epoch."""
        return len(self._layout(epoch)[1]) - 1

    def batch(self, epoch: int, index: int) -> list[int]:
        """Frames of one batch."""
        order, bounds = self._layout(epoch)
        return [int(i) for i in order[bounds[index] : bounds[index + 1]]]

    def _layout(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The order of the frames in an epoch and where its batches begin and end in it."""
        if self._last is None or self._last[0] != epoch:
            n = len(self.sizes)
            order = np.arange(n) if self.seed is None else np.random.default_rng([self.seed, epoch]).permutation(n)
            bounds = _bounds(self.sizes[order], self.budget.limit)
            if self.lengths is not None:
                order, bounds = self._alike(order, bounds, epoch)
            self._last = (epoch, order, bounds)
        return self._last[1:]

    def _alike(
        self, order: NDArray[np.int64], bounds: NDArray[np.int64], epoch: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The same frames with those of like length in one batch, and the batches in any order."""
        assert self.lengths is not None
        batches = []
        for first in range(0, len(bounds) - 1, WINDOW):
            window = order[bounds[first] : bounds[min(first + WINDOW, len(bounds) - 1)]]
            window = window[np.argsort(self.lengths[window], kind="stable")]
            ends = _bounds(self.sizes[window], self.budget.limit)
            batches += [window[i:j] for i, j in pairwise(ends)]
        if self.seed is not None:
            turns = np.random.default_rng([self.seed, epoch, 1]).permutation(len(batches))
            batches = [batches[int(i)] for i in turns]
        return np.concatenate(batches), np.cumsum([0, *map(len, batches)])


class BatchStream:
    """The batches from one position to the end of training, one after the other.

    Epochs follow each other without a gap, so that loading goes on across their
    ends. It has no length: the number of batches may differ from epoch to epoch.
    """

    def __init__(self, plan: BatchPlan, epochs: int, *, start: tuple[int, int] = (0, 0)) -> None:
        self.plan = plan
        self.epochs = epochs
        self.start = start

    def __iter__(self) -> Iterator[list[int]]:
        return (batch for _, batch in self.with_epochs())

    def with_epochs(self) -> Iterator[tuple[int, list[int]]]:
        """The epoch of each batch, from 0, and the batch."""
        first, skip = self.start
        for epoch in range(first, self.epochs):
            for index in range(skip if epoch == first else 0, self.plan.count(epoch)):
                yield epoch, self.plan.batch(epoch, index)


def _bounds(sizes: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Where batches begin when frames are taken in order for as long as they fit; ends with the number of frames."""
    if (sizes == 1).all():
        return np.append(np.arange(0, len(sizes), limit), len(sizes))
    starts, filled = [], limit
    for i, size in enumerate(map(int, sizes)):
        filled += size
        if filled > limit or i == 0:
            starts.append(i)
            filled = size
    return np.array([*starts, len(sizes)], dtype=np.int64)
