"""An order of atoms and edges in which dense kernels can work.

Atoms are grouped by element, so that what depends on the element is one matrix
product per element; edges are grouped by centre and the centres by their number
of neighbours, so that a sum over neighbours is one batched matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqcli.geometry.tracing import traced_counts, tracing
from eqcli.graph.segments import segment_counts

BLOCK_OVERHEAD = 1024
"""Padded edges that cost about as much as working on one more block."""
WASTE = 0.1
"""Share of padded edges that a block may have whatever its size."""


@dataclass(frozen=True)
class NeighbourBlock:
    """Centres with at most `width` neighbours each.

    `edges` is `[n * width]`, an edge index for each slot, or None when the slots are the
    edges themselves in order; `mask` is `[n * width, 1]` (1 for a real edge, 0 for padding),
    or None when there is no padding. `degrees` are the neighbours of each centre, descending, where there is padding.
    """

    n: int
    width: int
    edges: Tensor | None
    mask: Tensor | None
    degrees: list[int] | None = None


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
    # All that the host has to know of a device, in one go.
    known = torch.stack([species, segment_counts(receiver, len(species))]).cpu().numpy()
    kinds, degrees = known[0], known[1]
    order = inverse = edge_order = None
    if bool((kinds[1:] < kinds[:-1]).any()):
        order = torch.argsort(species, stable=True)
        inverse = torch.empty_like(order)
        inverse[order] = torch.arange(len(order), device=order.device)
        edge_order = torch.argsort(inverse[receiver], stable=True)
        sender, receiver = inverse[sender[edge_order]], inverse[receiver[edge_order]]
        degrees = degrees[np.argsort(kinds, kind="stable")]
    blocks, block_inverse = neighbour_blocks(receiver, len(species), degrees)
    ranges = [found for found in _ranges(np.bincount(kinds).tolist()) if found[1] < found[2]]
    return Layout(order, inverse, edge_order, sender, receiver, ranges, blocks, block_inverse)


def _ranges(counts: Sequence[int]) -> list[tuple[int, int, int]]:
    """Index, start and stop of each element."""
    ranges, start = [], 0
    for element, count in enumerate(counts):
        ranges.append((element, start, start + count))
        start += count
    return ranges


def neighbour_blocks(
    receiver: Tensor, n_atoms: int, degrees: NDArray[np.int64] | None = None
) -> tuple[list[NeighbourBlock], Tensor | None]:
    """The `blocks` and `block_inverse` of edges sorted by `receiver`.

    `degrees` are the neighbours of each atom, where the caller knows them: a device has to be waited for otherwise.
    """
    degree = segment_counts(receiver, n_atoms)
    degrees = degree.cpu().numpy() if degrees is None else degrees
    if n_atoms == 0 or degrees.min() == degrees.max():
        return [NeighbourBlock(n_atoms, int(degrees[0]) if n_atoms else 0, None, None)], None
    first = torch.cumsum(degree, 0) - degree
    by_degree = torch.argsort(degree, descending=True, stable=True)
    descending: list[int] = np.sort(degrees)[::-1].tolist()
    blocks, start = [], 0
    for stop in _cuts(descending):
        atoms = by_degree[start:stop]
        blocks.append(_padded_block(degree[atoms], first[atoms], descending[start:stop]))
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


def _padded_block(degree: Tensor, first: Tensor, degrees: list[int]) -> NeighbourBlock:
    """The block of centres with these degrees, which descend; `degrees` are known to the host."""
    width = degrees[0]
    slot = torch.arange(width, device=degree.device)
    real = slot < degree.unsqueeze(1)  # [n, width]
    edges = torch.where(real, first.unsqueeze(1) + slot, torch.zeros_like(first).unsqueeze(1))
    if degrees[-1] == width:
        return NeighbourBlock(len(degrees), width, edges.reshape(-1), None)
    return NeighbourBlock(len(degrees), width, edges.reshape(-1), real.reshape(-1, 1), degrees)
