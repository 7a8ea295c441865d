"""Clouds thinned to ever wider voxels, with the neighbours that a network passes features along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eqcli.graph.moved import moved
from eqcli.graph.points.principal import principal_frame
from eqcli.graph.points.search import nearest
from eqcli.graph.points.voxels import voxel_means


@dataclass(frozen=True)
class Level:
    """The points of C clouds at one width of voxels.

    Attributes
    ----------
    points
        Voxels, `[N, 3]`.
    counts
        Points of each cloud, `[C]` int64.
    neighbours
        `[N, k]`, points of this level, the nearest (the point itself) first. Where a cloud has fewer than k points
        they come again in turn.
    finer
        `[N, k]`, points of the level before around each; None at the finest level. Two may be the nearest alike.
    coarser
        `[N]`, the point of the next level that each was thinned to; None at the coarsest level.
    histograms
        `[N, H]`, what is known of each point besides and no motion changes; None where nothing is.
    """

    points: Tensor
    counts: Tensor
    neighbours: Tensor
    finer: Tensor | None
    coarser: Tensor | None
    histograms: Tensor | None = None

    @property
    def starts(self) -> Tensor:
        """First point of each cloud, `[C]`."""
        return self.counts.cumsum(0) - self.counts

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> Level:
        """Moved; `dtype` is that of the points."""
        return moved(self, device, dtype)


@dataclass(frozen=True)
class Pyramid:
    """The levels of C clouds, the finest first.

    Attributes
    ----------
    levels
        Level l has voxels of width 2^l.
    patch
        `[n]`: for each point of the fine level the point of the last level (the superpoint) that it belongs to.
    fine_level
        The level whose points belong to patches.
    """

    levels: tuple[Level, ...]
    patch: Tensor
    fine_level: int

    def __len__(self) -> int:
        return len(self.levels[0].counts)

    @property
    def fine(self) -> Level:
        return self.levels[self.fine_level]

    @property
    def coarse(self) -> Level:
        return self.levels[-1]

    def with_histograms(self, histograms: Tensor) -> Pyramid:
        """With numbers `[N, H]` of the points of the finest level; wider levels get their means."""
        levels = [replace(self.levels[0], histograms=histograms)]
        for level in self.levels[1:]:
            below = levels[-1].coarser
            assert below is not None
            sums = histograms.new_zeros(len(level.points), histograms.shape[1]).index_add(0, below, histograms)
            histograms = sums / torch.bincount(below, minlength=len(level.points)).unsqueeze(1)
            levels.append(replace(level, histograms=histograms))
        return replace(self, levels=tuple(levels))

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> Pyramid:
        levels = tuple(level.to(device, dtype) for level in self.levels)
        return Pyramid(levels, self.patch.to(device), self.fine_level)


def pyramid(points: Tensor, *, levels: int, fine_level: int, neighbours: int) -> Pyramid:
    """The pyramid of one cloud, `[N, 3]` in units of the finest voxel.

    The grids lie in the cloud's principal frame: a rotated cloud has the same pyramid, rotated.

    Parameters
    ----------
    levels
        How many; the voxels of each are twice as wide as those of the one before.
    fine_level
        The level whose points are gathered to patches around the points of the last.
    neighbours
        k, see :class:`Level`.
    """
    frame = principal_frame(points)
    thinned, members = [voxel_means(points, 1.0, frame=frame).points], []
    for level in range(1, levels):
        wider = voxel_means(thinned[-1], 2.0**level, frame=frame)
        thinned.append(wider.points)
        members.append(wider.member)
    made = []
    for number, own in enumerate(thinned):
        made.append(
            Level(
                own,
                torch.tensor([len(own)]),
                _around(own, own, neighbours),
                _around(own, thinned[number - 1], neighbours) if number else None,
                members[number] if number + 1 < levels else None,
            )
        )
    return Pyramid(tuple(made), nearest(thinned[fine_level], thinned[-1], 1)[1][:, 0], fine_level)


def _around(queries: Tensor, points: Tensor, count: int) -> Tensor:
    index = nearest(queries, points, count)[1]
    return index[:, torch.arange(count) % index.shape[1]]


def joined_pyramids(parts: Sequence[Pyramid]) -> Pyramid:
    """Several clouds, or batches of them, in one."""
    levels = []
    for number in range(len(parts[0].levels)):
        own = [part.levels[number] for part in parts]
        finer = [part.levels[number - 1] for part in parts] if number else None
        coarser = [part.levels[number + 1] for part in parts] if number + 1 < len(parts[0].levels) else None
        levels.append(
            Level(
                torch.cat([level.points for level in own]),
                torch.cat([level.counts for level in own]),
                _shifted([level.neighbours for level in own], own),
                _shifted([level.finer for level in own], finer) if finer is not None else None,
                _shifted([level.coarser for level in own], coarser) if coarser is not None else None,
                _joined([level.histograms for level in own]),
            )
        )
    patch = _shifted([part.patch for part in parts], [part.coarse for part in parts])
    return Pyramid(tuple(levels), patch, parts[0].fine_level)


def _joined(tensors: Sequence[Tensor | None]) -> Tensor | None:
    given = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(given) if given else None


def _shifted(indices: Sequence[Tensor | None], meant: Sequence[Level]) -> Tensor:
    """Indices into each of the levels as indices into all of them together."""
    start, moved = 0, []
    for index, level in zip(indices, meant, strict=True):
        assert index is not None
        moved.append(index + start)
        start += len(level.points)
    return torch.cat(moved)
