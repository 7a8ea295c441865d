"""Messages of packed Cartesian tensors whose weights are those of pairs of atoms.

`M(f) h = sum_(j of i) f_ij h_j` with a weight for each part of the tensors and channel. As f_ij = f_ji, M is its own
transpose: the derivative by h is M again, and no derivative has to be scattered to the senders.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.nn.cartesian_tensors import DIMS
from eqcli.nn.edge_pieces import Piece, Scratch, edge_pieces, numbers_at_once
from eqcli.nn.message_maps import MessageEdges
from eqcli.nn.multilinear import multilinear

ROWS = sum(DIMS)
SHARE = 4
"""Rows of a tensor that count when edges are cut into pieces for the cache."""


class PairedEdges:
    """Directed edges of which each has its opposite.

    Parameters
    ----------
    edges
        The edges, sorted by receiver.
    pair
        `[E]`, the pair of each edge.
    edge
        `[P]`, an edge of each pair.
    """

    def __init__(self, edges: MessageEdges, pair: Tensor, edge: Tensor) -> None:
        self.edges, self.pair = edges, pair
        self.first, self.second = edges.receiver.index_select(0, edge), edges.sender.index_select(0, edge)


def pair_messages(features: Tensor, weights: Tensor, edges: PairedEdges) -> Tensor:
    """`sum_(j of i) f_ij h_j`: features `[N, 9, C]` and weights of the pairs `[P, 3 C]` `-> [N, 9, C]`.

    Has derivatives of any order.
    """
    return multilinear(_PairMaps(), edges, features, weights)


class _PairMaps:
    """The form `T(g, h, f) = <g, M(f) h>`, symmetric in g and h."""

    def forward(self, h: Tensor, f: Tensor, edges: PairedEdges) -> Tensor:
        return _messages([(h, f)], edges)

    def backward(self, g: Tensor, h: Tensor, f: Tensor, edges: PairedEdges) -> tuple[Tensor, Tensor]:
        return _messages([(g, f)], edges), _products(g, h, edges)

    def double_backward(
        self, g: Tensor, h: Tensor, f: Tensor, of_h: Tensor, of_f: Tensor, edges: PairedEdges
    ) -> tuple[Tensor, Tensor, Tensor]:
        by_g = _messages([(of_h, f), (h, of_f)], edges)
        return by_g, _messages([(g, of_f)], edges), _products(g, of_h, edges)


def _messages(terms: list[tuple[Tensor, Tensor]], edges: PairedEdges) -> Tensor:
    """The sum of `M(f) h` over the terms (h, f)."""
    h = terms[0][0]
    channels = h.shape[2]
    out, scratch = torch.zeros_like(h), Scratch(h)
    for piece in edge_pieces(edges.edges, SHARE * channels):
        pairs = piece.take_edges(edges.pair)
        rows = [_weighted(x, f, piece, pairs, scratch, k) for k, (x, f) in enumerate(terms)]
        total = rows[0] if len(rows) == 1 else rows[0].add_(rows[1])
        summed = total.view(piece.n, piece.width, ROWS * channels).sum(1).view(piece.n, ROWS, channels)
        out[piece.atoms] = summed
    return out


def _weighted(h: Tensor, f: Tensor, piece: Piece, pairs: Tensor, scratch: Scratch, k: int) -> Tensor:
    """f_e h_j for the slots of a piece, `[slots, 9, C]`; zero where a slot is empty."""
    channels = h.shape[2]
    rows = torch.index_select(h, 0, piece.sender, out=scratch(f"rows {k}", piece.n_edges, ROWS, channels))
    weights = torch.index_select(f, 0, pairs, out=scratch(f"weights {k}", piece.n_edges, len(DIMS) * channels))
    if piece.mask is not None:
        weights.mul_(piece.mask)
    each = weights.view(piece.n_edges, len(DIMS), channels)
    for part, row in enumerate(rows.split(DIMS, dim=1)):
        row.mul_(each.narrow(1, part, 1))
    return rows


def _products(g: Tensor, h: Tensor, edges: PairedEdges) -> Tensor:
    """`sum_m g_i[m] h_j[m] + g_j[m] h_i[m]` over each part, `[P, 3 C]`."""
    channels = h.shape[2]
    out = h.new_empty(len(edges.first), len(DIMS), channels)
    scratch, step = Scratch(h), max(1, numbers_at_once(h.device) // (SHARE * channels))
    for start in range(0, len(out), step):
        piece = slice(start, start + step)
        first, second = edges.first[piece], edges.second[piece]
        shape = (len(first), ROWS, channels)
        both = torch.index_select(g, 0, first, out=scratch("g_i", *shape))
        both.mul_(torch.index_select(h, 0, second, out=scratch("h_j", *shape)))
        other = torch.index_select(g, 0, second, out=scratch("g_j", *shape))
        both.addcmul_(other, torch.index_select(h, 0, first, out=scratch("h_i", *shape)))
        for part, rows in enumerate(both.split(DIMS, dim=1)):
            torch.sum(rows, dim=1, out=out[piece, part])
    return out.flatten(1)
