"""All ordered pairs of the atoms of each crystal, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PairBlock:
    """Pairs of some of the atoms with all atoms of their crystals.

    Attributes
    ----------
    first, last
        The receivers are the atoms from `first` to before `last`.
    receiver, sender
        `[E]`, sorted by receiver; an atom is among its own senders.
    """

    first: int
    last: int
    receiver: Tensor
    sender: Tensor


def pair_count(counts: Tensor) -> int:
    """Ordered pairs of crystals with these numbers of atoms, those of an atom with itself included."""
    return int((counts * counts).sum())


def pair_blocks(counts: Tensor, limit: int | None = None) -> Iterator[PairBlock]:
    """Blocks of whole receivers with at most `limit` pairs each; at least one receiver; one block where None.

    What a block needs is linear in its pairs, so that a crystal of hundreds of atoms, whose pairs are many, costs
    memory for its atoms and for one block.
    """
    crystal = torch.repeat_interleave(counts)
    senders = counts[crystal]
    offset = (counts.cumsum(0) - counts)[crystal]
    total = len(crystal)
    ends = senders.cumsum(0).tolist() if limit is not None else []
    first = 0
    while first < total:
        last = total if limit is None else max(first + 1, _upto(ends, (ends[first - 1] if first else 0) + limit, first))
        yield _block(first, last, senders[first:last], offset[first:last])
        first = last


def _upto(ends: list[int], budget: int, first: int) -> int:
    from bisect import bisect_right

    return bisect_right(ends, budget, lo=first)


def _block(first: int, last: int, senders: Tensor, offset: Tensor) -> PairBlock:
    row = torch.repeat_interleave(senders)
    within = torch.arange(len(row), device=row.device) - (senders.cumsum(0) - senders)[row]
    return PairBlock(first, last, row + first, offset[row] + within)
