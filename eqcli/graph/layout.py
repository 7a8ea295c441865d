"""An order of atoms and edges in which dense kernels can work.

Atoms are grouped by element, so that what depends on the element is one matrix
product per element; edges are grouped by centre and the centres by their number
of neighbours, so that a sum over neighbours is one batched matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.geometry.tracing import traced_counts, tracing

BLOCK_OVERHEAD = 1024
"""Padded edges that cost about as much as working on one more block."""
WASTE = 0.1
"""Share of padded edges that a block may have whatever its size."""


@dataclass(frozen=True)
class NeighbourBlock:
    """Centres with at most `width` neighbours each.

    `edges` is `[n * width]`, an edge index for each slot, or None when the slots are the
    edges themselves in order; `mask` is `[n * width, 1]` (1 for a real edge, 0 for padding),
    or None when there is no padding.
    """

    n: int
    width: int
    edges: Tensor | None
    mask: Tensor | None


@dataclass(frozen=True)
class Layout:
    """The graph in kernel order.

    Attributes
    ----------
    order
        `[N]` atom of the graph at each place of the layout, or None when they agree.
    inverse
        `[N]` place of each atom, or None.
    edge_order
        `[E]` edge of the graph at each place, or None.
    sender, receiver
        `[E]` places of the two atoms of each edge, sorted by receiver.
    elements
        For each element present: its index and the range of places its atoms have.
    blocks
        Neighbour blocks; they cover all centres.
    block_inverse
        `[N]` row of each place in the concatenated blocks, or None when they agree.
    """

    order: Tensor | None
    inverse: Tensor | None
    edge_order: Tensor | None
    sender: Tensor
    receiver: Tensor
    elements: list[tuple[int, int, int]]
    blocks: list[NeighbourBlock]
    block_inverse: Tensor | None

    @property
    def element_counts(self) -> list[int]:
        """Number of atoms of each element present."""
        return [stop - start for _, start, stop in self.elements]


def make_layout(species: Tensor, edge_index: Tensor) -> Layout:
    """The layout of a graph whose edges are sorted by receiver; `species` is the element index of each atom."""
    sender, receiver = edge_index[0], edge_index[1]
    if tracing():
        return Layout(None, None, None, sender, receiver, _ranges(traced_counts()), [], None)
    order = inverse = edge_order = None
    if species.numel() and bool((species[1:] < species[:-1]).any()):
        order = torch.argsort(species, stable=True)
        inverse = torch.empty_like(order)
        inverse[order] = torch.arange(len(order), device=order.device)
        edge_order = torch.argsort(inverse[receiver], stable=True)
        sender, receiver = inverse[sender[edge_order]], inverse[receiver[edge_order]]
    blocks, block_inverse = neighbour_blocks(receiver, species.numel())
    return Layout(order, inverse, edge_order, sender, receiver, _element_ranges(species), blocks, block_inverse)


def _element_ranges(species: Tensor) -> list[tuple[int, int, int]]:
    return [found for found in _ranges(torch.bincount(species).tolist()) if found[1] < found[2]]


def _ranges(counts: Sequence[int]) -> list[tuple[int, int, int]]:
    """Index, start and stop of each element."""
    ranges, start = [], 0
    for element, count in enumerate(counts):
        ranges.append((element, start, start + count))
        start += count
    return ranges


def neighbour_blocks(receiver: Tensor, n_atoms: int) -> tuple[list[NeighbourBlock], Tensor | None]:
    """The `blocks` and `block_inverse` of edges sorted by `receiver`."""
    degree = torch.bincount(receiver, minlength=n_atoms)
    widths = degree.unique(sorted=True)
    if widths.numel() <= 1:
        width = int(widths[0]) if widths.numel() else 0
        return [NeighbourBlock(n_atoms, width, None, None)], None
    first = torch.cumsum(degree, 0) - degree
    by_degree = torch.argsort(degree, descending=True, stable=True)
    blocks, start = [], 0
    for stop in _cuts(degree[by_degree].tolist()):
        atoms = by_degree[start:stop]
        blocks.append(_padded_block(degree[atoms], first[atoms]))
        start = stop
    block_inverse = torch.empty_like(by_degree)
    block_inverse[by_degree] = torch.arange(n_atoms, device=by_degree.device)
    return blocks, block_inverse


def _cuts(degrees: list[int]) -> list[int]:
    """Ends of the blocks of a descending list of degrees, weighing padding against the number of blocks."""
    cuts, start, waste = [], 0, 0
    for i, d in enumerate(degrees):
        width = degrees[start]
        waste += width - d
        alone = d == 0 and width > 0
        if alone or waste > max(BLOCK_OVERHEAD, WASTE * width * (i + 1 - start)):
            cuts.append(i)
            start, waste = i, 0
    return [*cuts, len(degrees)]


def _padded_block(degree: Tensor, first: Tensor) -> NeighbourBlock:
    width = int(degree[0])
    slot = torch.arange(width, device=degree.device)
    real = slot < degree.unsqueeze(1)  # [n, width]
    edges = torch.where(real, first.unsqueeze(1) + slot, torch.zeros_like(first).unsqueeze(1))
    mask = None if bool(real.all()) else real.reshape(-1, 1)
    return NeighbourBlock(len(degree), width, edges.reshape(-1), mask)
