"""The contract of a model of motion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class ParticleGraph:
    """Points in n dimensions with their velocities; several systems in one where they are a batch.

    Attributes
    ----------
    positions, velocities
        `[N, n]`.
    features
        What does not change under motions, by point, `[N, F]`; F may be 0.
    edge_index
        Sender and receiver of each edge, `[2, E]`, sorted by receiver.
    edge_features
        What does not change under motions, by edge, `[E, A]`, e.g. products of charges.
    batch
        The system of each point, `[N]`, ascending.
    target
        Positions at the later time, `[N, n]`, where they are known.
    """

    positions: Tensor
    velocities: Tensor
    features: Tensor
    edge_index: Tensor
    edge_features: Tensor
    batch: Tensor
    target: Tensor | None = None

    def to(self, device: torch.device | str) -> ParticleGraph:
        """The same on a device."""
        tensors: dict[str, Tensor | None] = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: None if t is None else t.to(device) for name, t in tensors.items()}
        return ParticleGraph(**moved)


class DynamicsModel(nn.Module, ABC):
    """Maps positions and velocities of points to their positions after a fixed time.

    What must hold, in exact arithmetic: rotations and reflections of positions
    and velocities, and translations of the positions, do to the result what they
    do to the positions; permuted points give permuted results; a batch gives what
    its systems give. One model works in any number of dimensions.

    Attributes
    ----------
    config
        Hyper-parameters, one of the classes in `config.py`.
    node_features, edge_features
        Numbers of invariant features of the points and edges that it was made for.
    """

    family: ClassVar[str] = "dynamics"

    config: BaseModel

    def __init__(self, config: BaseModel, *, node_features: int, edge_features: int) -> None:
        super().__init__()
        self.config = config
        self.node_features = node_features
        self.edge_features = edge_features

    @abstractmethod
    def forward(self, graph: ParticleGraph) -> Tensor:
        """Positions after the time that the model was trained for, `[N, n]`, in the precision of the model."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return next(self.parameters()).dtype
