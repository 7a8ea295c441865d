"""Which frames go into which optimisation step: a pure function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.data.frames import FrameTable


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
    rank, world
        With several processes, the batches of an epoch are dealt out in turn; the
        first ones are repeated so that every process has the same number.
    """

    def __init__(
        self, sizes: NDArray[np.int64], budget: Budget, *, seed: int | None, rank: int = 0, world: int = 1
    ) -> None:
        self.sizes = np.asarray(sizes, dtype=np.int64)
        self.budget = budget
        self.seed = seed
        self.rank = rank
        self.world = world
        self._last: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None

    def count(self, epoch: int) -> int:
        """Batches of this process in an epoch."""
        return -(-(len(self._layout(epoch)[1]) - 1) // self.world)

    def batch(self, epoch: int, index: int) -> list[int]:
        """Frames of one batch of this process."""
        order, bounds = self._layout(epoch)
        number = (index * self.world + self.rank) % (len(bounds) - 1)
        return [int(i) for i in order[bounds[number] : bounds[number + 1]]]

    def _layout(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The order of the frames in an epoch and where its batches begin and end in it."""
        if self._last is None or self._last[0] != epoch:
            n = len(self.sizes)
            order = np.arange(n) if self.seed is None else np.random.default_rng([self.seed, epoch]).permutation(n)
            self._last = (epoch, order, _bounds(self.sizes[order], self.budget.limit))
        return self._last[1:]


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
        first, skip = self.start
        for epoch in range(first, self.epochs):
            for index in range(skip if epoch == first else 0, self.plan.count(epoch)):
                yield self.plan.batch(epoch, index)


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
