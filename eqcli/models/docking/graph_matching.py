"""Independent E(3)-equivariant graph matching: two graphs exchange features, never positions.

Ganea et al., ICLR 2022, equations 4 to 9; Stärk et al., ICML 2022, equations 2 to 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from eqcli.graph.complex_batch import Side
from eqcli.graph.residue_graph import RADIAL
from eqcli.graph.segments import segment_mean, spread


@dataclass(frozen=True)
class Padding:
    """How the nodes of a batch lie in rows of equal length.

    Attributes
    ----------
    place
        Of each node among the B x W places, `[n]`.
    mask
        Whether a place is taken, `[B, W]`.
    """

    place: Tensor
    mask: Tensor

    @staticmethod
    def of(side: Side) -> Padding:
        counts, batch = side.counts, side.batch
        width = int(counts.max())
        within = torch.arange(len(batch), device=batch.device) - side.starts[batch]
        mask = torch.arange(width, device=batch.device) < counts.unsqueeze(1)
        return Padding(batch * width + within, mask)

    def padded(self, nodes: Tensor) -> Tensor:
        """`[n, C]` -> `[B, W, C]`, zero where no node is."""
        b, w = self.mask.shape
        return nodes.new_zeros(b * w, *nodes.shape[1:]).index_copy(0, self.place, nodes).unflatten(0, (b, w))

    def nodes(self, padded: Tensor) -> Tensor:
        """`[B, W, C]` -> `[n, C]`."""
        return padded.flatten(0, 1).index_select(0, self.place)


@dataclass(frozen=True)
class Known:
    """What stays the same through all layers, of one side: graph, first features and positions."""

    side: Side
    padding: Padding
    features: Tensor
    positions: Tensor


class SideLayer(nn.Module):
    """One layer of one side: messages along edges, new positions, new features.

    Parameters
    ----------
    config
        Hyper-parameters of EquiBind.
    edge_features
        Features of each edge.
    first
        Channels of the first features.
    scale
        Å²; squared distances are divided by it.
    """

    def __init__(self, config: Any, *, edge_features: int, first: int, scale: float) -> None:
        super().__init__()
        c = config.channels
        self.scale, self.farthest = scale, config.farthest
        self.keep_features, self.keep_positions = config.keep_features, config.keep_positions
        self.sender, self.receiver = nn.Linear(c, c, bias=False), nn.Linear(c, c)
        self.edge = nn.Linear(edge_features + RADIAL, c, bias=False)
        self.message = nn.Sequential(nn.LayerNorm(c), nn.SiLU(), nn.Dropout(config.dropout), nn.Linear(c, c))
        self.shift = nn.Sequential(nn.Linear(c, c // 4 + 1), nn.SiLU(), nn.Linear(c // 4 + 1, 1, bias=False))
        self.step = nn.Parameter(torch.tensor(0.01))
        self.query, self.key, self.value = (nn.Linear(c, c, bias=False) for _ in range(3))
        self.update = nn.Sequential(
            nn.Linear(3 * c + first, c), nn.LayerNorm(c), nn.SiLU(), nn.Dropout(config.dropout), nn.Linear(c, c)
        )
        self.register_buffer("widths", 1.5 ** torch.arange(RADIAL, dtype=torch.float64), False)

    widths: Tensor

    def forward(self, known: Known, h: Tensor, x: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """Features and positions after the layer; `heard` `[n, C]` is what the other side says."""
        sender, receiver = known.side.edges
        vectors = spread(x, receiver) - x.index_select(0, sender)
        square = vectors.square().sum(1, keepdim=True)
        near = torch.exp(-square / (self.scale * self.widths.to(x.dtype)))
        edges = self.edge(torch.cat([known.side.edge_features, near], dim=1))
        m = self.message(spread(self.receiver(h), receiver) + self.sender(h).index_select(0, sender) + edges)
        directions = vectors / torch.sqrt(square + 1e-6)
        # Unlike the published layer, bounded: features that training has not seen would throw atoms apart.
        along = self.farthest * torch.tanh(self.step * self.shift(m) / self.farthest)
        moved = segment_mean(directions * along, receiver, len(x))
        x = self.keep_positions * known.positions + (1 - self.keep_positions) * x + moved
        collected = segment_mean(m, receiver, len(h))
        new = self.update(torch.cat([h, collected, heard, known.features], dim=1))
        return x, (1 - self.keep_features) * new + self.keep_features * h


class GraphMatchingLayer(nn.Module):
    """One layer of both sides."""

    def __init__(self, ligand: SideLayer, receptor: SideLayer) -> None:
        super().__init__()
        self.ligand = ligand
        self.receptor = receptor

    def forward(
        self, known: tuple[Known, Known], h: tuple[Tensor, Tensor], x: tuple[Tensor, Tensor]
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Features and positions of ligand and receptor after the layer."""
        ligand, receptor = self.ligand, self.receptor
        to_ligand = attended(ligand.query(h[0]), receptor.key(h[1]), receptor.value(h[1]), known[0], known[1])
        to_receptor = attended(receptor.query(h[1]), ligand.key(h[0]), ligand.value(h[0]), known[1], known[0])
        x0, h0 = ligand(known[0], h[0], x[0], to_ligand)
        x1, h1 = receptor(known[1], h[1], x[1], to_receptor)
        return (h0, h1), (x0, x1)


def attended(query: Tensor, key: Tensor, value: Tensor, here: Known, there: Known) -> Tensor:
    """What each node hears of the other side of its own complex, `[n, C]`."""
    found = nn.functional.scaled_dot_product_attention(
        here.padding.padded(query),
        there.padding.padded(key),
        there.padding.padded(value),
        attn_mask=there.padding.mask.unsqueeze(1),
    )
    return here.padding.nodes(found)
