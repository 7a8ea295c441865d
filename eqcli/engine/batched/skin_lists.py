"""Neighbour lists that serve for many steps: Verlet's lists with a skin, for many structures and moving cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.graph.dense_pairs import reciprocal
from eqcli.graph.device_neighbours import device_pairs
from eqcli.graph.pair_table import PairTable, join_tables, selected_rows

if TYPE_CHECKING:
    from eqcli.engine.batched.state import BatchState
    from eqcli.errors import InputError

ROUNDING = 1e-6
"""Å that a list is made anew too early, so that rounding never makes it too late."""


@dataclass(frozen=True)
class Listed:
    """The lists of B structures and the geometries that they were made of.

    Attributes
    ----------
    table
        Pairs within the cutoff and the skin, then.
    positions, atoms, cell, pbc
        The geometries: `[N, 3]`, atoms of each `[B]`, `[B, 3, 3]`, `[B, 3]`.
    to_fractional
        Columns that give fractional coordinates, `[B, 3, 3]`.
    """

    table: PairTable
    positions: Tensor
    atoms: Tensor
    cell: Tensor
    pbc: Tensor
    to_fractional: Tensor

    def select(self, index: Tensor) -> Listed:
        """Those of the structures `index`, in that order."""
        rows, atoms = selected_rows(self.atoms, index)
        return Listed(
            self.table.select(index),
            self.positions[rows],
            atoms,
            self.cell[index],
            self.pbc[index],
            self.to_fractional[index],
        )

    def singles(self) -> list[Listed]:
        """Each structure on its own, in the memory of them all."""
        counts = self.atoms.tolist()
        parts = zip(
            self.table.split(),
            self.positions.split(counts),
            *(x.split(1) for x in (self.atoms, self.cell, self.pbc, self.to_fractional)),
            strict=True,
        )
        return [Listed(*part) for part in parts]


def _joined(parts: Sequence[Listed]) -> Listed:
    if len(parts) == 1:
        return parts[0]
    return Listed(
        join_tables([part.table for part in parts]),
        *(
            torch.cat([getattr(part, name) for part in parts])
            for name in ("positions", "atoms", "cell", "pbc", "to_fractional")
        ),
    )


class SkinLists:
    """Neighbour lists of structures that move.

    Between the geometry of the list and the present one a structure is strained by F, cell = cell0 F for row
    vectors, and its atoms move by d = x - x0 F besides. A pair within the cutoff r now was within
    |F^-1| (r + 2 max |d|) then. While that is no more than the cutoff and the skin, no pair is missing. The
    same displacement of all atoms does not count.

    Lists are kept by the structure's number until it is forgotten, also while it is not in the batch.

    Parameters
    ----------
    cutoff, skin
        Å.

    Attributes
    ----------
    rebuilds
        Lists made so far, that of each structure counted on its own.
    faults
        Why a structure has no list, by its number.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        self.cutoff = cutoff
        self.skin = skin
        self.rebuilds = 0
        self.faults: dict[int, InputError] = {}
        # The batch under way: its structures' numbers, None for those forgotten since, and their lists.
        self._item: Tensor | None = None
        self._numbers: list[int | None] = []
        self._listed: Listed | None = None
        self._apart: dict[int, Listed] = {}
        self._beside: list[int] = []

    def __call__(self, state: BatchState) -> PairTable:
        """Pairs of each structure that hold all within the cutoff, and some beyond; none for those in `faults`."""
        if self._listed is None or state.item is not self._item:
            numbers = state.item.tolist()
            if len(set(numbers)) != len(numbers):
                raise ValueError("the structures of a batch need numbers of their own")
            under_way = {number for number in self._numbers if number is not None}
            if under_way and not under_way & set(numbers) and numbers != self._beside:
                return self._newcomers(state, numbers)
            self._arrange(state, numbers)
        assert self._listed is not None
        self._listed = self._renewed(state, self._listed)
        return self._listed.table

    def forget(self, items: Iterable[int]) -> None:
        """Drops the lists of structures that will not come back."""
        gone = set(items)
        for item in gone:
            self._apart.pop(item, None)
            self.faults.pop(item, None)
        if gone & set(self._numbers):
            self._item = None
            self._numbers = [None if number in gone else number for number in self._numbers]

    def _newcomers(self, state: BatchState, numbers: list[int]) -> PairTable:
        """The pairs of structures that do not belong to the batch under way, which is not taken apart for them."""
        listed = self._renewed(state, self._gathered(state, numbers, {}))
        self._apart |= zip(numbers, listed.singles(), strict=True)
        self._beside = numbers
        return listed.table

    def _arrange(self, state: BatchState, numbers: list[int]) -> None:
        """Makes a state the batch under way."""
        if self._listed is not None and numbers == self._numbers:
            self._item, self._listed = state.item, self._fitting(state, self._listed)
            return
        wanted = set(numbers)
        rows = {number: k for k, number in enumerate(self._numbers) if number is not None}
        leaving = [number for number in rows if number not in wanted]
        if self._listed is not None and leaving:
            left = self._listed.select(state.item.new_tensor([rows[number] for number in leaving]))
            self._apart |= zip(leaving, left.singles(), strict=True)
        self._listed = self._gathered(state, numbers, {n: k for n, k in rows.items() if n in wanted})
        self._item, self._numbers, self._beside = state.item, list(numbers), []

    def _gathered(self, state: BatchState, numbers: list[int], place: dict[int, int]) -> Listed:
        """The lists of the structures `numbers` in that order; those that are new are empty and stale.

        `place` is the row of those that the batch under way has.
        """
        parts = [self._listed] if place and self._listed is not None else []
        place, total = dict(place), len(self._numbers) if place else 0
        for number in numbers:
            if number in self._apart:
                parts.append(self._apart.pop(number))
                place[number] = total
                total += 1
        fresh = [k for k, number in enumerate(numbers) if number not in place]
        if fresh or not parts:
            parts.append(_unlisted(state.select(state.item.new_tensor(fresh))))
            place |= {numbers[k]: total + n for n, k in enumerate(fresh)}
        listed = _joined(parts)
        order = [place[number] for number in numbers]
        if order != list(range(len(listed.atoms))):
            listed = listed.select(state.item.new_tensor(order))
        return self._fitting(state, listed)

    def _fitting(self, state: BatchState, listed: Listed) -> Listed:
        """The lists, without those that were made of other atoms or periods under the same number."""
        other = (listed.atoms != state.counts) | (listed.pbc != state.pbc).any(dim=1)
        which = other.nonzero().squeeze(1)
        return _replaced(listed, which, _unlisted(state.select(which))) if len(which) else listed

    def _stale(self, state: BatchState, listed: Listed) -> Tensor:
        """Whether a pair within the cutoff may be missing from the list of each structure, `[B]`."""
        cell = torch.where(state.pbc.unsqueeze(2), state.cell - listed.cell, torch.zeros_like(state.cell))
        change = torch.bmm(listed.to_fractional, cell)
        strained = torch.bmm(listed.positions.unsqueeze(1), change.index_select(0, state.batch)).squeeze(1)
        moved = (state.positions - listed.positions) - strained
        b = state.n_structures
        mean = moved.new_zeros(b, 3).index_add(0, state.batch, moved) / listed.atoms.clamp(min=1).unsqueeze(1)
        lengths = (moved - mean.index_select(0, state.batch)).norm(dim=1).nan_to_num(nan=torch.inf)
        farthest = lengths.new_zeros(b).scatter_reduce(0, state.batch, lengths, "amax")
        back = torch.linalg.inv_ex(change + torch.eye(3, dtype=cell.dtype, device=cell.device)).inverse.abs()
        # The spectral norm is at most this, and the same for what is symmetric and diagonal.
        stretch = (back.sum(dim=1).amax(dim=1) * back.sum(dim=2).amax(dim=1)).sqrt()
        reach = stretch * (self.cutoff + 2 * farthest) + ROUNDING
        return ~(reach <= self.cutoff + self.skin)

    def _renewed(self, state: BatchState, listed: Listed) -> Listed:
        """The lists with those made anew that may lack a pair."""
        stale = self._stale(state, listed)
        which = stale.nonzero().squeeze(1)
        if len(which) == 0:
            return listed
        some = state if len(which) == state.n_structures else state.select(which)
        atoms = some.counts
        table, failures = device_pairs(some.positions, atoms, some.cell, some.pbc, self.cutoff + self.skin)
        numbers = some.item.tolist()
        self.rebuilds += len(numbers)
        for number in numbers:
            self.faults.pop(number, None)
        self.faults |= {numbers[k]: error for k, error in failures.items()}
        positions = some.positions
        if failures:
            # No place to start from: they are tried again.
            lost = torch.zeros_like(atoms, dtype=torch.bool)
            lost[list(failures)] = True
            positions = positions.masked_fill(lost[some.batch].unsqueeze(1), torch.nan)
        new = Listed(table, positions, atoms, some.cell, some.pbc, reciprocal(some.cell, some.pbc))
        return new if some is state else _replaced(listed, which, new)


def _unlisted(state: BatchState) -> Listed:
    """No lists yet: positions that are none make them stale."""
    zero = torch.zeros_like(state.item)
    none = zero.new_zeros(0)
    return Listed(
        PairTable(none, none, state.positions.new_zeros(0, 3), zero),
        torch.full_like(state.positions, torch.nan),
        state.counts,
        state.cell,
        state.pbc,
        torch.zeros_like(state.cell),
    )


def _replaced(listed: Listed, which: Tensor, new: Listed) -> Listed:
    """The lists with those of the structures `which` replaced, in the same order."""
    source = torch.arange(len(listed.atoms), device=which.device)
    source[which] = len(listed.atoms) + torch.arange(len(which), device=which.device)
    return _joined([listed, new]).select(source)
