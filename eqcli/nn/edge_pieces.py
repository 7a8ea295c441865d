"""Neighbour pairs in pieces that fit the cache of a processor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.graph.layout import NeighbourBlock
from eqcli.nn.message_maps import MessageEdges

NUMBERS_AT_ONCE = 2**16
"""Edges times channels in a piece for each thread: enough to fill matrix products, few enough for its cache."""

NUMBERS_AT_ONCE_CUDA = 2**24
"""Edges times channels in a piece on a GPU, which wants much work at once."""


@dataclass(frozen=True)
class Piece:
    """`n` receivers with `width` slots for edges each.

    Attributes
    ----------
    atoms
        The receivers: a range, or their places.
    edges
        The edge in each slot: a range, or places; a slot that stays empty names any edge.
    real
        The slots that hold an edge, or None when all do.
    mask
        `[n * width, 1]`, 1 where a slot holds an edge, or None when all do.
    sender
        `[n * width]`, the atom that sends the edge of each slot.
    """

    n: int
    width: int
    atoms: slice | Tensor
    edges: slice | Tensor
    real: Tensor | None
    mask: Tensor | None
    sender: Tensor

    @property
    def n_edges(self) -> int:
        return self.n * self.width

    def take_edges(self, x: Tensor) -> Tensor:
        """Rows of `[E, ...]` for the slots; a view where they are a range."""
        return x.index_select(0, self.edges) if isinstance(self.edges, Tensor) else x[self.edges]

    def take_masked(self, x: Tensor) -> Tensor:
        """Rows of `[E, k]` for the slots, zero where a slot is empty."""
        rows = self.take_edges(x)
        return rows if self.mask is None else rows * self.mask

    def take_atoms(self, x: Tensor) -> Tensor:
        """Rows of `[N, ...]` for the receivers."""
        return x.index_select(0, self.atoms) if isinstance(self.atoms, Tensor) else x[self.atoms]

    def put_edges(self, out: Tensor, rows: Tensor) -> None:
        """Writes the rows of the slots that hold an edge."""
        if self.real is not None and isinstance(self.edges, Tensor):
            out[self.edges[self.real]] = rows.index_select(0, self.real)
        else:
            out[self.edges] = rows


def edge_pieces(edges: MessageEdges, channels: int) -> list[Piece]:
    """The edges in pieces; atoms without neighbours are in none."""
    step = max(1, numbers_at_once(edges.sender.device) // channels)
    if step not in edges.pieces:
        edges.pieces[step] = list(_pieces(edges, step))
    return edges.pieces[step]


def numbers_at_once(device: torch.device) -> int:
    """Edges times channels in a piece."""
    return NUMBERS_AT_ONCE_CUDA if device.type == "cuda" else NUMBERS_AT_ONCE * torch.get_num_threads()


def _pieces(edges: MessageEdges, step: int) -> Iterator[Piece]:
    blocks, inverse = edges.blocks
    order = None if inverse is None else torch.argsort(inverse)
    first = 0
    for block in blocks:
        if block.width:
            size = max(1, step // block.width)
            for start in range(0, block.n, size):
                stop = min(start + size, block.n)
                atoms = slice(first + start, first + stop)
                yield _piece(edges, block, start, stop, atoms if order is None else order[atoms])
        first += block.n


def _piece(edges: MessageEdges, block: NeighbourBlock, start: int, stop: int, atoms: slice | Tensor) -> Piece:
    slots = slice(start * block.width, stop * block.width)
    if block.edges is None:
        return Piece(stop - start, block.width, atoms, slots, None, None, edges.sender[slots])
    held = block.edges[slots]
    real = mask = None
    if block.mask is not None and block.degrees is not None and block.degrees[stop - 1] < block.width:
        mask, real = block.mask[slots], _real_slots(block, start, stop)
    return Piece(stop - start, block.width, atoms, held, real, mask, edges.sender[held])


def _real_slots(block: NeighbourBlock, start: int, stop: int) -> Tensor:
    """The slots of the rows `start` to `stop` that hold an edge."""
    assert block.mask is not None
    assert block.degrees is not None
    mask = block.mask[start * block.width : stop * block.width]
    # Their number is known: the device need not be waited for.
    return torch.nonzero_static(mask.flatten(), size=sum(block.degrees[start:stop])).flatten()


def add_rows(total: Tensor, places: Tensor, rows: Tensor) -> None:
    """`total[places] += rows`, always in the same order: no two calls differ in their rounding."""
    if total.is_cuda:
        total.index_put_((places,), rows, accumulate=True)  # sorts, where other ways add in any order
        return
    # On a processor scattering sorts too, where index_add takes the rows singly.
    flat = rows.flatten(1)
    total.flatten(1).scatter_add_(0, places.unsqueeze(1).expand_as(flat), flat)


class Scratch:
    """Buffers that every piece uses anew, so that they stay in the cache."""

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        """An uninitialised contiguous tensor; it is the same memory whenever `name` is."""
        numel = 1
        for n in shape:
            numel *= n
        buffer = self.buffers.get(name)
        if buffer is None or buffer.numel() < numel:
            buffer = self.buffers[name] = self.like.new_empty(numel)
        return buffer[:numel].view(shape)
