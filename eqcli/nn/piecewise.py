"""A sum over neighbours taken in pieces that fit the cache of a processor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from eqcli.graph.layout import NeighbourBlock

EDGES_AT_ONCE = 2048
"""Neighbour pairs in a piece: enough to fill matrix products, few enough for their results to stay in the cache."""

Messages = Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, ...]]


def centres_at_once(width: int) -> int:
    """Centres in a piece when each has `width` neighbours."""
    return max(1, EDGES_AT_ONCE // max(width, 1))


class Piecewise(torch.autograd.Function):
    """`messages(features[sender], radial, harmonics, n)` of one block, piece by piece, for fixed weights.

    Nothing per edge is kept: the backward pass computes each piece again and
    differentiates it. Where derivatives of the gradient are wanted in turn, the
    gradient is formed in one piece with its graph.
    """

    @staticmethod
    def forward(
        ctx: Any,
        messages: Messages,
        step: int,
        block: NeighbourBlock,
        features: Tensor,
        radial: Tensor,
        harmonics: Tensor,
        sender: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(features, radial, harmonics, sender)
        ctx.messages, ctx.step, ctx.block = messages, step, block
        parts = [
            messages(features.index_select(0, sender[edges]), radial[edges], harmonics[edges], n)
            for _, edges, n in _pieces(block, step)
        ]
        return tuple(torch.cat(degree) for degree in zip(*parts, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        features, radial, harmonics, sender = ctx.saved_tensors
        if torch.is_grad_enabled():
            whole = ctx.messages(features.index_select(0, sender), radial, harmonics, ctx.block.n)
            inputs = [x for x in (features, radial, harmonics) if x.requires_grad]
            found = iter(torch.autograd.grad(whole, inputs, gradients, create_graph=True))
            of_inputs = (next(found) if x.requires_grad else None for x in (features, radial, harmonics))
            return None, None, None, *of_inputs, None
        of_features = torch.zeros_like(features)
        of_radial, of_harmonics = torch.empty_like(radial), torch.empty_like(harmonics)
        for centres, edges, n in _pieces(ctx.block, ctx.step):
            inputs = [features.index_select(0, sender[edges]), radial[edges], harmonics[edges]]
            inputs = [x.detach().requires_grad_(True) for x in inputs]
            with torch.enable_grad():
                piece = ctx.messages(*inputs, n)
            of_neighbours, of_radial[edges], of_harmonics[edges] = torch.autograd.grad(
                piece, inputs, [g[centres] for g in gradients]
            )
            of_features.index_add_(0, sender[edges], of_neighbours)
        return None, None, None, of_features, of_radial, of_harmonics, None


def _pieces(block: NeighbourBlock, step: int) -> Iterator[tuple[slice, slice, int]]:
    """Ranges of centres and of their edges, and the number of centres."""
    for start in range(0, block.n, step):
        stop = min(start + step, block.n)
        yield slice(start, stop), slice(start * block.width, stop * block.width), stop - start
