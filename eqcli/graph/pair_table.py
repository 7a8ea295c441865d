"""Pairs of neighbours of several structures, in the order of every neighbour list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eqcli.graph.segments import segment_counts

KEY_BITS = 62
"""Bits of the number that a pair is sorted by."""


@dataclass(frozen=True)
class PairTable:
    """E ordered pairs of B structures, sorted by structure, centre, neighbour, shift.

    Attributes
    ----------
    sender, receiver
        Neighbour j and centre i, numbers within their structure, `[E]` int64.
    shift
        Integer cell shifts S, `[E, 3]` float64: `r_ij = positions[j] - positions[i] + S @ cell`.
    counts
        Pairs of each structure, `[B]` int64.
    """

    sender: Tensor
    receiver: Tensor
    shift: Tensor
    counts: Tensor

    @property
    def owner(self) -> Tensor:
        """The structure of each pair, `[E]`."""
        return torch.repeat_interleave(self.counts, output_size=len(self.sender))

    def edge_index(self, atoms: Tensor) -> Tensor:
        """`[2, E]`, numbers among all atoms of structures that have `atoms`, `[B]`, each."""
        starts = torch.repeat_interleave(atoms.cumsum(0) - atoms, self.counts, output_size=len(self.sender))
        return torch.stack([self.sender + starts, self.receiver + starts])

    def select(self, index: Tensor) -> PairTable:
        """The pairs of the structures `index`, `[K]` int64, in that order."""
        rows, counts = selected_rows(self.counts, index)
        return PairTable(self.sender[rows], self.receiver[rows], self.shift[rows], counts)

    def within(self, near: Tensor) -> PairTable:
        """The pairs where `near`, `[E]` bool, is true."""
        ends = torch.cat([near.new_zeros(1, dtype=torch.int64), near.cumsum(0)])
        last = self.counts.cumsum(0)
        rows = near.nonzero().squeeze(1)
        counts = ends[last] - ends[last - self.counts]
        return PairTable(self.sender[rows], self.receiver[rows], self.shift[rows], counts)

    def split(self) -> list[PairTable]:
        """The table of each structure, in the memory of this one."""
        counts = self.counts.tolist()
        parts = (self.sender.split(counts), self.receiver.split(counts), self.shift.split(counts), self.counts.split(1))
        return [PairTable(*part) for part in zip(*parts, strict=True)]

    def to(self, device: torch.device | str) -> PairTable:
        """The same on a device."""
        return PairTable(
            self.sender.to(device), self.receiver.to(device), self.shift.to(device), self.counts.to(device)
        )


def join_tables(tables: Sequence[PairTable]) -> PairTable:
    """The pairs of all structures of several tables, in order."""
    if len(tables) == 1:
        return tables[0]
    return PairTable(
        torch.cat([table.sender for table in tables]),
        torch.cat([table.receiver for table in tables]),
        torch.cat([table.shift for table in tables]),
        torch.cat([table.counts for table in tables]),
    )


def selected_rows(counts: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the members `index`, `[K]`, where member b has `counts[b]` rows in turn; and how many each has."""
    chosen = counts[index]
    starts = (counts.cumsum(0) - counts)[index] - (chosen.cumsum(0) - chosen)
    shifted = torch.repeat_interleave(starts, chosen)
    return shifted + torch.arange(len(shifted), device=counts.device), chosen


def sorted_table(atoms: Tensor, owner: Tensor, receiver: Tensor, sender: Tensor, shift: Tensor) -> PairTable:
    """A table of pairs that come in any order.

    Parameters
    ----------
    atoms
        Atoms of each structure, `[B]` int64.
    owner
        The structure of each pair, `[E]` int64.
    receiver, sender
        Centre and neighbour within their structure, `[E]` int64.
    shift
        Integers, `[E, 3]` int64.
    """
    counts = segment_counts(owner, len(atoms))
    if len(owner) == 0:
        return PairTable(sender, receiver, shift.double(), counts)
    turns = shift.unbind(1)
    bounds = [turn.aminmax() for turn in turns]
    lowest = [int(bound.min) for bound in bounds]
    spans = [int(atoms.sum()), int(atoms.max()), *(int(b.max) - low + 1 for b, low in zip(bounds, lowest, strict=True))]
    bits = [max(1, (span - 1).bit_length()) for span in spans]
    starts = atoms.cumsum(0) - atoms
    fields = [receiver + starts[owner], sender, *(turn - low for turn, low in zip(turns, lowest, strict=True))]
    if sum(bits) > KEY_BITS:
        order = _lexical_order(fields)
        return PairTable(sender[order], receiver[order], shift[order].double(), counts)
    centre, sender, *fields = _unpacked(_sorted(_packed(fields, bits)), bits)
    sorted_shift = torch.empty(len(owner), 3, dtype=torch.float64, device=owner.device)
    for k in range(3):
        sorted_shift[:, k] = fields[k] + lowest[k]
    first = torch.repeat_interleave(starts, counts, output_size=len(owner))
    return PairTable(sender, centre - first, sorted_shift, counts)


def _packed(fields: Sequence[Tensor], bits: Sequence[int]) -> Tensor:
    """All fields of a pair in one number, the first one highest. Sorting these needs no index and no gathering."""
    key = fields[0]
    for field, width in zip(fields[1:], bits[1:], strict=True):
        key = (key << width) | field
    return key


def _unpacked(key: Tensor, bits: Sequence[int]) -> list[Tensor]:
    fields = []
    for width in reversed(bits[1:]):
        fields.append(key & ((1 << width) - 1))
        key = key >> width
    return [key, *reversed(fields)]


def _sorted(key: Tensor) -> Tensor:
    # On the CPU numpy sorts several times faster, since torch gives the order too.
    return key.sort().values if key.is_cuda else torch.from_numpy(np.sort(key.numpy()))


def _lexical_order(fields: Sequence[Tensor]) -> Tensor:
    order = torch.arange(len(fields[0]), device=fields[0].device)
    for field in reversed(fields):
        order = order[field[order].argsort(stable=True)]
    return order
