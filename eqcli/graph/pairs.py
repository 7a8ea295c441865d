"""Pairs of atoms: the two directed edges of a pair have one distance, and what depends on it need be made once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from eqcli.geometry.tracing import tracing

MATCHED = 1e-6
"""Å: two edges whose vectors are opposite to within this are the two directions of one pair."""


class Pairs(NamedTuple):
    """P pairs of E directed edges.

    Attributes
    ----------
    edge
        `[P]`, an edge of each pair.
    pair
        `[E]`, the pair of each edge.
    """

    edge: Tensor
    pair: Tensor


def edge_pairs(edge_index: Tensor, shift: Tensor, vectors: Tensor) -> Pairs | None:
    """The pairs of directed edges; an edge without its opposite is a pair of its own.

    Parameters
    ----------
    edge_index, shift, vectors
        As an AtomGraph has them: `[2, E]`, `[E, 3]` (cells), and r_ij `[E, 3]` in Å.

    Returns
    -------
    Pairs or None
        None where the shifts do not tell the images apart, so that edges of different vectors seem to be one.
    """
    if tracing():
        return None
    sender, receiver = edge_index
    if not sender.numel():
        return Pairs(sender, sender)
    shift = shift.to(torch.int64)
    turned = _is_turned(sender, receiver, shift)
    shift = torch.where(turned.unsqueeze(1), -shift, shift)
    low, high = torch.minimum(sender, receiver), torch.maximum(sender, receiver)
    lowest = shift.amin(0)
    span = (shift.amax(0) - lowest + 1).unbind()
    key = low * (high.max() + 1) + high
    for size, column in zip(span, (shift - lowest).unbind(1), strict=True):
        key = key * size + column
    unique, pair = torch.unique(key, return_inverse=True)
    places = torch.arange(len(pair), device=pair.device)
    edge = torch.zeros_like(unique).scatter_reduce_(0, pair, places, "amin", include_self=False)
    towards = torch.where(turned.unsqueeze(1), -vectors, vectors).detach()
    difference = towards - towards.index_select(0, edge).index_select(0, pair)
    return Pairs(edge, pair) if bool((difference.abs() < MATCHED).all()) else None


def _is_turned(sender: Tensor, receiver: Tensor, shift: Tensor) -> Tensor:
    """Which of the two directions an edge is: from the higher atom, or from an atom to an image of lower shift."""
    x, y, z = shift.unbind(1)
    lower = (x < 0) | ((x == 0) & ((y < 0) | ((y == 0) & (z < 0))))
    return (receiver > sender) | ((receiver == sender) & lower)
