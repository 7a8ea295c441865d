"""EGNN with velocities (Satorras, Hoogeboom and Welling, ICML 2021, section 5.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.models.dynamics.base import DynamicsModel, ParticleGraph
from eqcli.models.dynamics.config import EGNNDynamicsConfig
from eqcli.nn.egnn import EGNNLayer


class EGNNDynamics(DynamicsModel):
    """Layers that update invariant features and positions together.

    Features start from the speed of each point, beside those that are given. The
    squared distances at the start are features of the edges in every layer,
    beside those of the present positions. The last layer moves points alone.
    """

    def __init__(self, config: EGNNDynamicsConfig, *, node_features: int, edge_features: int) -> None:
        super().__init__(config, node_features=node_features, edge_features=edge_features)
        self.embedding = nn.Linear(1 + node_features, config.channels)
        self.layers = nn.ModuleList(
            EGNNLayer(
                config.channels,
                1 + edge_features,
                update_positions=True,
                velocity=config.velocity,
                attention=config.attention,
                residual=config.residual,
                mean=config.mean,
                tanh=config.tanh,
                update_features=layer + 1 < config.num_layers,
            )
            for layer in range(config.num_layers)
        )

    def forward(self, graph: ParticleGraph) -> Tensor:
        x, velocities = graph.positions.to(self.dtype), graph.velocities.to(self.dtype)
        sender, receiver = graph.edge_index[0], graph.edge_index[1]
        separation = x.index_select(0, receiver) - x.index_select(0, sender)
        distances = (separation * separation).sum(1, keepdim=True)
        edges = torch.cat([graph.edge_features.to(self.dtype), distances], dim=1)
        speed = velocities.norm(dim=1, keepdim=True)
        h = self.embedding(torch.cat([speed, graph.features.to(self.dtype)], dim=1))
        for layer in self.layers:
            h, x = layer(h, x, graph.edge_index, edges, velocities)
        return x
