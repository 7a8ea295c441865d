"""Sums over edges of products of two vectors, in pieces that fit the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from eqcli.geometry.tracing import tracing
from eqcli.nn.edge_pieces import add_rows, numbers_at_once
from eqcli.nn.multilinear import multilinear


class _Segments(NamedTuple):
    """The segment of each edge, `[E]`, and how many segments there are."""

    of_edge: Tensor
    n: int


def outer_sum(a: Tensor, b: Tensor, segment: Tensor, n: int) -> Tensor:
    """`sum_(e of s) a_e b_e^T`, `[E, A]`, `[E, B]` and `[E]` (below `n`) `-> [n, A, B]`; zero for an empty segment.

    Has derivatives of any order; nothing of the size E A B is kept.
    """
    if tracing():
        return a.new_zeros(n, a.shape[1], b.shape[1]).index_add(0, segment, a.unsqueeze(2) * b.unsqueeze(1))
    return multilinear(_OuterSums(), _Segments(segment, n), a, b)


class _OuterSums:
    """The form `T(g, a, b) = sum_e a_e^T g_s(e) b_e`."""

    def forward(self, a: Tensor, b: Tensor, segments: _Segments) -> Tensor:
        total = a.new_zeros(segments.n, a.shape[1], b.shape[1])
        for piece in _pieces(a, b):
            add_rows(total, segments.of_edge[piece], a[piece].unsqueeze(2) * b[piece].unsqueeze(1))
        return total

    def backward(self, g: Tensor, a: Tensor, b: Tensor, segments: _Segments) -> tuple[Tensor, Tensor]:
        of_a, of_b = torch.empty_like(a), torch.empty_like(b)
        for piece in _pieces(a, b):
            each = g.index_select(0, segments.of_edge[piece])
            of_a[piece] = torch.bmm(each, b[piece].unsqueeze(2)).squeeze(2)
            of_b[piece] = torch.bmm(a[piece].unsqueeze(1), each).squeeze(1)
        return of_a, of_b

    def double_backward(
        self, g: Tensor, a: Tensor, b: Tensor, of_a: Tensor, of_b: Tensor, segments: _Segments
    ) -> tuple[Tensor, Tensor, Tensor]:
        found_a, found_b = torch.empty_like(a), torch.empty_like(b)
        total = torch.zeros_like(g)
        for piece in _pieces(a, b):
            each = g.index_select(0, segments.of_edge[piece])
            rows = of_a[piece].unsqueeze(2) * b[piece].unsqueeze(1)
            rows.addcmul_(a[piece].unsqueeze(2), of_b[piece].unsqueeze(1))
            add_rows(total, segments.of_edge[piece], rows)
            found_a[piece] = torch.bmm(each, of_b[piece].unsqueeze(2)).squeeze(2)
            found_b[piece] = torch.bmm(of_a[piece].unsqueeze(1), each).squeeze(1)
        return total, found_a, found_b


def _pieces(a: Tensor, b: Tensor) -> Iterator[slice]:
    step = max(1, numbers_at_once(a.device) // max(1, a.shape[1] * b.shape[1]))
    for start in range(0, len(a), step):
        yield slice(start, start + step)
