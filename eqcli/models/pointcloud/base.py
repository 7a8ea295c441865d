"""The contract of a network of registration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from eqcli.graph.pair_batch import PairBatch


@dataclass(frozen=True)
class Described:
    """Features of the points of one cloud that are matched.

    Attributes
    ----------
    points
        Voxels, `[n, 3]`.
    features
        `[n, F]`, which no rigid motion of the cloud changes.
    vectors
        `[n, 3, V]`, which turn with the cloud.
    """

    points: Tensor
    features: Tensor
    vectors: Tensor


@dataclass(frozen=True)
class MatchedPoints:
    """Matches of one pair of clouds.

    Attributes
    ----------
    source, target
        The clouds as described.
    index
        `[M, 2]`: the point of the source and of the target.
    confidence
        `[M]`, in (0, 1), the largest first.
    rotations
        `[M, 3, 3]`: the rotation of the motion as each match alone says.
    superpoints
        `[S, 2]`, the pairs of superpoints that were looked at, the most likely first.
    """

    source: Described
    target: Described
    index: Tensor
    confidence: Tensor
    rotations: Tensor
    superpoints: Tensor


class RegistrationNetwork(nn.Module, ABC):
    """Says which points of two clouds belong together, and how one is turned against the other.

    What must hold, in exact arithmetic: features do not change in any rigid motion of either cloud, vectors and
    rotations turn with it; the order of points does not matter; the pairs of a batch do not depend on each other.

    Parameters
    ----------
    config
        Hyper-parameters, one of the classes in `configs/`.
    """

    family: ClassVar[str] = "pointcloud"

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return next(self.parameters()).dtype

    @abstractmethod
    def losses(self, batch: PairBatch) -> dict[str, Tensor]:
        """Terms of the loss by name, means over the batch; `loss` is what is minimised. Needs `truth`."""

    @abstractmethod
    def matches(self, batch: PairBatch) -> list[MatchedPoints]:
        """The matches of each pair."""
