"""The pairs of one part of a training: those of files, and those that are made while it goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from eqcli.data.batches import BatchStream
from eqcli.data.cloud_pairs import CloudPair
from eqcli.data.pair_batches import PyramidSettings, drawn_batch, pair_batch
from eqcli.data.pair_generation import PairSource
from eqcli.graph.pair_batch import PairBatch, joined_pairs
from eqcli.graph.points.spacing import automatic_voxel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


T = TypeVar("T")


@dataclass(frozen=True)
class PairSet:
    """Pairs by number: first those of files, then generated ones.

    Attributes
    ----------
    pairs
        Of files; all have a truth.
    source
        Draws the generated ones; None where there are none.
    generated
        How many of them an epoch has.
    voxel
        Of the clouds of files, in their unit; None takes what their list states, or else their spacing.
    max_points
        Clouds of files with more voxels are cut down to the neighbourhood of one of their points.
    seed
        Of everything random in this part.
    """

    pairs: tuple[CloudPair, ...]
    source: PairSource | None
    generated: int
    voxel: float | None
    max_points: int
    seed: int

    def __len__(self) -> int:
        return len(self.pairs) + self.generated

    def batch(self, row: int, epoch: int, settings: PyramidSettings) -> PairBatch:
        """One pair; a generated one differs from epoch to epoch, and does not depend on what was drawn before."""
        random = np.random.default_rng([self.seed, epoch, row])
        if row < len(self.pairs):
            return self._of_files(self.pairs[row], settings, random)
        assert self.source is not None
        # Complete shapes are replaced between epochs alone: which there are does not depend on the order of pairs.
        return drawn_batch(self.source.draw(random, epoch * self.generated), settings)

    def _of_files(self, pair: CloudPair, settings: PyramidSettings, random: np.random.Generator) -> PairBatch:
        from eqcli.io.point_cloud import cleaned, read_cloud

        source, target = (cleaned(read_cloud(path)).points for path in (pair.source, pair.target))
        assert pair.truth is not None
        voxel = self.voxel or pair.voxel or automatic_voxel(torch.from_numpy(source), torch.from_numpy(target))
        source, target = (self._cut(points, voxel, random) for points in (source, target))
        return pair_batch(source, target, voxel, settings, pair.truth)

    def _cut(self, points: Floats, voxel: float, random: np.random.Generator) -> Floats:
        """Without the points farthest from one of them, where too many voxels are filled."""
        filled = len(np.unique(np.floor(points / voxel).astype(np.int64), axis=0))
        if filled <= self.max_points:
            return points
        distance = np.linalg.norm(points - points[random.integers(len(points))], axis=1)
        return points[distance <= np.quantile(distance, self.max_points / filled)]


AHEAD = 4
"""Batches that a thread makes before they are asked for."""


class PairLoader:
    """Batches of pairs in the order of `indices`, as often as it is iterated over.

    A pair is drawn from the seed, the epoch and its number: a resumed run sees the same, and a held-out part the same
    every time.

    Parameters
    ----------
    pairs
        The data.
    indices
        The pairs of each batch.
    settings
        Of the pyramids.
    dtype
        Precision of the tensors.
    workers
        Above 0, a thread makes the next batches while one is used; the batches are the same.
    """

    def __init__(
        self,
        pairs: PairSet,
        indices: Iterable[Sequence[int]],
        settings: PyramidSettings,
        dtype: torch.dtype,
        *,
        workers: int = 0,
    ) -> None:
        self.pairs = pairs
        self.indices = indices
        self.settings = settings
        self.dtype = dtype
        self.workers = workers

    def __iter__(self) -> Iterator[PairBatch]:
        made = (self._batch(epoch, rows) for epoch, rows in self._with_epochs())
        return ahead(made, AHEAD) if self.workers else made

    def _batch(self, epoch: int, rows: Sequence[int]) -> PairBatch:
        return joined_pairs([self.pairs.batch(row, epoch, self.settings) for row in rows]).to(dtype=self.dtype)

    def _with_epochs(self) -> Iterator[tuple[int, Sequence[int]]]:
        batches = self.indices
        return batches.with_epochs() if isinstance(batches, BatchStream) else ((0, rows) for rows in batches)


def ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """The same items, up to `count` of them made by a thread before they are asked for."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        end = object()
        waiting = deque(thread.submit(next, items, end) for _ in range(count))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, items, end))
            yield item  # type: ignore[misc]
