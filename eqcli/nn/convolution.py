"""Sum over neighbours of a tensor product of their features with spherical harmonics."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.constants import ConstantModule
from eqcli.graph.layout import Layout, NeighbourBlock
from eqcli.nn.piecewise import Piecewise, centres_at_once


class Path(NamedTuple):
    """A coupling of features of degree `l1` with harmonics of degree `l2` to messages of degree `l3`."""

    l1: int
    l2: int
    l3: int


def natural_paths(l_in: int, l_edge: int, l_out: int) -> list[Path]:
    """All couplings among tensors of natural parity (-1)^l, ordered by (l3, l1, l2)."""
    return [
        Path(l1, l2, l3)
        for l3 in range(l_out + 1)
        for l1 in range(l_in + 1)
        for l2 in range(abs(l1 - l3), min(l1 + l3, l_edge) + 1)
        if (l1 + l2 + l3) % 2 == 0
    ]


class Convolution(ConstantModule):
    """A_i = sum_j W [ R(r_ij) (h_j x Y(r_ij)) ], one radial weight per path and channel ("uvu").

    The product with Clebsch-Gordan coefficients is never formed per edge and channel:
    coupling coefficients and harmonics are contracted first, and the sum over
    neighbours is a batched matrix product over the neighbours of each atom. For
    path p: `A_i[m3, c] = sum_(j, m1) G_p[(j, m1), m3] R_p[j, c] h_j[m1, c]`.

    Parameters
    ----------
    channels
        C.
    l_in, l_edge, l_out
        Largest degrees of the features, the harmonics and the messages.
    radial_width
        Width of the last hidden layer of the radial network.
    """

    coupling: Tensor

    def __init__(self, channels: int, l_in: int, l_edge: int, l_out: int, radial_width: int) -> None:
        super().__init__()
        self.channels = channels
        self.l_in, self.l_out = l_in, l_out
        self.paths = natural_paths(l_in, l_edge, l_out)
        self.radial_weight = nn.Parameter(torch.randn(radial_width, len(self.paths) * channels))
        per_degree = [sum(p.l3 == l3 for p in self.paths) for l3 in range(l_out + 1)]
        self.mixing = nn.ParameterList(nn.Parameter(torch.randn(n * channels, channels)) for n in per_degree)
        self.register_constant("coupling", _edge_couplings(self.paths, l_edge))
        self._columns = [(2 * p.l1 + 1) * (2 * p.l3 + 1) for p in self.paths]

    def forward(self, features: Tensor, radial: Tensor, harmonics: Tensor, layout: Layout) -> Tensor:
        """`[N, (l_in+1)^2, C]`, `[E, radial_width]`, `[E, (l_edge+1)^2]` -> `[N, (l_out+1)^2, C]`, in layout order."""
        parts = [self._block(features, radial, harmonics, layout.sender, block) for block in layout.blocks]
        messages = [torch.cat(degree) if len(parts) > 1 else degree[0] for degree in zip(*parts, strict=True)]
        mixed = [m @ (w * w.shape[0] ** -0.5) for m, w in zip(messages, self.mixing, strict=True)]
        out = torch.cat(mixed, dim=1)
        return out if layout.block_inverse is None else out.index_select(0, layout.block_inverse)

    def _block(
        self, features: Tensor, radial: Tensor, harmonics: Tensor, sender: Tensor, block: NeighbourBlock
    ) -> tuple[Tensor, ...]:
        """Messages of one block before mixing: per l3, `[n, 2 l3 + 1, paths * C]`."""
        if block.edges is not None:
            radial, sender = radial.index_select(0, block.edges), sender.index_select(0, block.edges)
            harmonics = harmonics.index_select(0, block.edges)
            if block.mask is not None:
                harmonics = harmonics * block.mask
        step = centres_at_once(block.width)
        # Training keeps what it needs again; a GPU wants all its work at once.
        if self.radial_weight.requires_grad or features.is_cuda or block.n <= step:
            return self.messages(features.index_select(0, sender), radial, harmonics, block.n)
        found: tuple[Tensor, ...] = Piecewise.apply(self.messages, step, block, features, radial, harmonics, sender)
        return found

    def messages(self, neighbours: Tensor, radial: Tensor, harmonics: Tensor, n: int) -> tuple[Tensor, ...]:
        """Messages to n centres with equally many neighbours, whose features are `[E, (l_in+1)^2, C]`."""
        weight = self.radial_weight * self.radial_weight.shape[0] ** -0.5
        radial_parts = (radial @ weight).unsqueeze(1).split(self.channels, dim=2)  # [E, 1, C] each
        couplings = (harmonics @ self.coupling).split(self._columns, dim=1)
        by_degree = neighbours.split([2 * l1 + 1 for l1 in range(self.l_in + 1)], dim=1)
        found: list[list[Tensor]] = [[] for _ in range(self.l_out + 1)]
        for path, r, g in zip(self.paths, radial_parts, couplings, strict=True):
            weighted = (r * by_degree[path.l1]).reshape(n, -1, self.channels)  # [n, width (2 l1 + 1), C]
            table = g.reshape(n, weighted.shape[1], 2 * path.l3 + 1)
            found[path.l3].append(torch.bmm(table.transpose(1, 2), weighted))
        return tuple(torch.cat(parts, dim=2) if len(parts) > 1 else parts[0] for parts in found)


def _edge_couplings(paths: list[Path], l_edge: int) -> Tensor:
    """`[(l_edge+1)^2, columns]`: from harmonics to G_p[m1, m3] of every path, side by side."""
    tables = []
    for l1, l2, l3 in paths:
        table = torch.zeros((l_edge + 1) ** 2, (2 * l1 + 1) * (2 * l3 + 1), dtype=torch.float64)
        coupling = sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3)
        table[l2 * l2 : (l2 + 1) ** 2] = coupling.transpose(0, 1).reshape(2 * l2 + 1, -1)
        tables.append(table)
    return torch.cat(tables, dim=1)
