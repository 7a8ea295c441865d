"""Batches of particles, as tensors that lie ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

from eqcli.data.particles import ParticleSet
from eqcli.models.dynamics.base import ParticleGraph


def pairs_of(particles: int) -> tuple[Tensor, Tensor]:
    """Sender and receiver of every ordered pair, `[N (N - 1)]` each, sorted by receiver."""
    receiver, sender = np.nonzero(~np.eye(particles, dtype=bool))
    return torch.from_numpy(sender), torch.from_numpy(receiver)


class ParticleLoader:
    """Batches in the order of `indices`, as often as it is iterated over.

    All systems have the same particles, each of which interacts with all others,
    so that a batch is a few selections from tensors made once.

    Parameters
    ----------
    systems
        The data.
    indices
        The systems of each batch.
    dtype
        Precision of the tensors.
    """

    def __init__(self, systems: ParticleSet, indices: Iterable[list[int]], dtype: torch.dtype) -> None:
        self.indices = indices
        self.positions, self.velocities, self.target, self.features = (
            torch.from_numpy(array).to(dtype)
            for array in (systems.positions, systems.velocities, systems.target, systems.features)
        )
        self.sender, self.receiver = pairs_of(systems.particles)
        self.edge_features = self.positions.new_zeros(len(systems), len(self.sender), 0)
        if systems.charges is not None:
            charges = torch.from_numpy(systems.charges).to(dtype)
            self.edge_features = (charges[:, self.sender] * charges[:, self.receiver]).unsqueeze(2)
        self._topology = cache(self._make_topology)

    def __iter__(self) -> Iterator[ParticleGraph]:
        return (self.batch(torch.tensor(batch)) for batch in self.indices)

    def batch(self, systems: Tensor) -> ParticleGraph:
        """These systems in one graph."""
        edge_index, member = self._topology(len(systems))
        taken = (
            tensor.index_select(0, systems).flatten(0, 1)
            for tensor in (self.positions, self.velocities, self.target, self.features, self.edge_features)
        )
        positions, velocities, target, features, edge_features = taken
        return ParticleGraph(positions, velocities, features, edge_index, edge_features, member, target)

    def _make_topology(self, systems: int) -> tuple[Tensor, Tensor]:
        """Edges `[2, E]` and the system of each particle of a batch of that many systems."""
        particles = self.positions.shape[1]
        first = (torch.arange(systems) * particles).unsqueeze(1)
        ends = [(end + first).flatten() for end in (self.sender, self.receiver)]
        return torch.stack(ends), torch.arange(systems).repeat_interleave(particles)
