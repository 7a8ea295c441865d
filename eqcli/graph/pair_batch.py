"""Pairs of clouds that overlap: what a network of registration is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqcli.graph.moved import moved
from eqcli.graph.points.pyramid import Pyramid, joined_pyramids


@dataclass(frozen=True)
class PairTruth:
    """What is known of B pairs.

    Attributes
    ----------
    rotation, translation
        Of the motion that lays the source on the target, `[B, 3, 3]` and voxels `[B, 3]`.
    matches
        `[2, M]`, fine points of the source and of the target (numbered through the batch) that lie together.
    match_counts
        Matches of each pair, `[B]`.
    superpoints
        `[2, S]`, superpoints of source and target whose patches overlap.
    overlaps
        `[S]`, how much: the share of the two patches' points that lie together.
    superpoint_counts
        Pairs of superpoints of each pair, `[B]`.
    """

    rotation: Tensor
    translation: Tensor
    matches: Tensor
    match_counts: Tensor
    superpoints: Tensor
    overlaps: Tensor
    superpoint_counts: Tensor

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> PairTruth:
        return moved(self, device, dtype)


@dataclass(frozen=True)
class PairBatch:
    """B pairs.

    Attributes
    ----------
    source, target
        Of B clouds each.
    truth
        None where the motions are to be found.
    """

    source: Pyramid
    target: Pyramid
    truth: PairTruth | None = None

    def __len__(self) -> int:
        return len(self.source)

    def to(self, device: Any = None, dtype: torch.dtype | None = None) -> PairBatch:
        """Moved; `dtype` is that of the numbers which are not whole."""
        return moved(self, device, dtype)


def joined_pairs(pairs: Sequence[PairBatch]) -> PairBatch:
    """Several batches in one; all have truths, or none."""
    source, target = (joined_pyramids([getattr(pair, side) for pair in pairs]) for side in ("source", "target"))
    truths = [pair.truth for pair in pairs if pair.truth is not None]
    return PairBatch(source, target, _joined_truths(truths, pairs) if len(truths) == len(pairs) else None)


def _joined_truths(truths: Sequence[PairTruth], pairs: Sequence[PairBatch]) -> PairTruth:
    fine = [[len(getattr(pair, side).fine.points) for pair in pairs] for side in ("source", "target")]
    coarse = [[len(getattr(pair, side).coarse.points) for pair in pairs] for side in ("source", "target")]
    return PairTruth(
        torch.cat([truth.rotation for truth in truths]),
        torch.cat([truth.translation for truth in truths]),
        _joined([truth.matches for truth in truths], fine),
        torch.cat([truth.match_counts for truth in truths]),
        _joined([truth.superpoints for truth in truths], coarse),
        torch.cat([truth.overlaps for truth in truths]),
        torch.cat([truth.superpoint_counts for truth in truths]),
    )


def _joined(indices: Sequence[Tensor], lengths: Sequence[Sequence[int]]) -> Tensor:
    starts = torch.tensor(lengths).cumsum(1) - torch.tensor(lengths)
    return torch.cat([index + start.unsqueeze(1) for index, start in zip(indices, starts.T, strict=True)], dim=1)
