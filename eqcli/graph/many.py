"""Graphs of many structures, made together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqcli.errors import InputError
from eqcli.graph.atom_graph import AtomGraph
from eqcli.graph.dense_pairs import dense_pairs
from eqcli.graph.neighbours import MAX_COORDINATE, neighbour_list
from eqcli.graph.pair_table import PairTable, join_tables, sorted_table

DENSE_ATOMS = 32
"""Atoms of a structure without periods up to which trying all pairs is the fastest way to its neighbours."""

PLAIN_PAIRS = 1e7
"""Pairs that a structure may be expected to have without a closer look at its cell."""


class Geometry(Protocol):
    """What a neighbour list is made of: positions `[N, 3]` and cell `[3, 3]` float64 in Å, and pbc `[3]` bool."""

    @property
    def positions(self) -> NDArray[Any]: ...
    @property
    def cell(self) -> NDArray[Any]: ...
    @property
    def pbc(self) -> NDArray[Any]: ...


class Member(Geometry, Protocol):
    """A geometry with what else a graph holds; `Structure` is one."""

    @property
    def numbers(self) -> NDArray[Any]: ...
    @property
    def charge(self) -> float | None: ...
    @property
    def spin(self) -> float | None: ...
    @property
    def energy(self) -> float | None: ...
    @property
    def forces(self) -> NDArray[Any] | None: ...
    @property
    def stress(self) -> NDArray[Any] | None: ...


def build_batch(members: Sequence[Member], cutoff: float, *, labels: bool = False) -> AtomGraph:
    """One graph of all members: what `batch_graphs` makes of their `build_graph`, to the last bit.

    Without `labels` the targets are NaN. Raises the InputError of the first member that has no neighbour list.
    """
    table, failures = list_pairs(members, cutoff)
    for k in sorted(failures):
        raise failures[k]
    return assemble(members, table, labels=labels)


def list_pairs(members: Sequence[Geometry], cutoff: float) -> tuple[PairTable, dict[int, InputError]]:
    """Neighbours of all members within `cutoff` (Å), as `neighbour_list` gives them, and why some have none.

    Members that have none are counted in the table, with no pairs.
    """
    boxed, plain = _plain(members, cutoff)
    failures: dict[int, InputError] = {}
    tables, order = [], []
    for list_some, mask in ((_listed_in_boxes, plain & boxed), (_listed_densely, plain & ~boxed)):
        which = np.flatnonzero(mask).tolist()
        if which:
            tables.append(list_some([members[k] for k in which], cutoff))
            order += which
    rest = np.flatnonzero(~plain).tolist()
    if rest or not tables:
        table, failed = _listed_singly([members[k] for k in rest], cutoff)
        failures = {rest[k]: error for k, error in failed.items()}
        tables.append(table)
        order += rest
    table = join_tables(tables)
    return (table.select(torch.from_numpy(np.argsort(order))) if len(tables) > 1 else table), failures


def assemble(members: Sequence[Member], table: PairTable, *, labels: bool = False) -> AtomGraph:
    """The graph of members whose pairs are known."""
    counts = [len(member.numbers) for member in members]
    atoms = torch.tensor(counts)
    n, b, nan = sum(counts), len(members), float("nan")
    spins = [member.spin for member in members]
    targets = {
        "energy": torch.full((b,), nan, dtype=torch.float64),
        "forces": torch.full((n, 3), nan, dtype=torch.float64),
        "stress": torch.full((b, 3, 3), nan, dtype=torch.float64),
    }
    if labels:
        _fill(targets, members, counts)
    return AtomGraph(
        positions=_float64(np.concatenate([member.positions for member in members])),
        numbers=torch.as_tensor(np.concatenate([member.numbers for member in members]), dtype=torch.int64),
        cell=_float64(np.array([member.cell for member in members])),
        pbc=torch.as_tensor(np.array([member.pbc for member in members]), dtype=torch.bool),
        edge_index=table.edge_index(atoms),
        edge_shift=table.shift,
        batch=torch.repeat_interleave(atoms),
        charge=torch.tensor([member.charge or 0.0 for member in members], dtype=torch.float64),
        spin=torch.tensor([nan if spin is None else spin for spin in spins], dtype=torch.float64),
        **targets,
    )


def _fill(targets: dict[str, Tensor], members: Sequence[Member], counts: Sequence[int]) -> None:
    start = 0
    for k, (member, count) in enumerate(zip(members, counts, strict=True)):
        if member.energy is not None:
            targets["energy"][k] = member.energy
        if member.forces is not None:
            targets["forces"][start : start + count] = _float64(member.forces)
        if member.stress is not None:
            targets["stress"][k] = _float64(member.stress).reshape(3, 3)
        start += count


def _plain(members: Sequence[Geometry], cutoff: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which members have three periods, and which surely have a list by one of the fast ways."""
    cells = np.array([member.cell for member in members], dtype=np.float64).reshape(-1, 3, 3)
    pbc = np.array([member.pbc for member in members], dtype=bool).reshape(-1, 3)
    sizes = np.array([len(member.positions) for member in members], dtype=np.int64)
    boxed = np.asarray(pbc.all(axis=1))
    with np.errstate(all="ignore"):
        volume = np.abs(np.linalg.det(cells))
        pairs = sizes.astype(float) ** 2 * (4 / 3 * math.pi * cutoff**3) / volume
        usable = (volume > 1e-6 * np.linalg.norm(cells, axis=2).prod(axis=1)) & (pairs < PLAIN_PAIRS)
    loose = ~pbc.any(axis=1) & (sizes <= DENSE_ATOMS)
    plain = ((boxed & usable) | loose) & (sizes > 0)
    which = np.flatnonzero(plain).tolist()
    if which and not np.abs(np.concatenate([members[k].positions for k in which])).max() <= MAX_COORDINATE:
        for k in which:
            plain[k] = np.abs(members[k].positions).max() <= MAX_COORDINATE
    return boxed, plain


def _listed_densely(members: Sequence[Geometry], cutoff: float) -> PairTable:
    """Of members without periods."""
    b = len(members)
    positions = _float64(np.concatenate([member.positions for member in members]))
    atoms = torch.tensor([len(member.positions) for member in members])
    cell, pbc = torch.zeros(b, 3, 3, dtype=torch.float64), torch.zeros(b, 3, dtype=torch.bool)
    return dense_pairs(positions, atoms, cell, pbc, cutoff)


def _listed_in_boxes(members: Sequence[Geometry], cutoff: float) -> PairTable:
    """Of members with three periods."""
    from vesin import NeighborList

    # Half of the list costs less to make, and the other half is its mirror image.
    calculator = NeighborList(cutoff=float(cutoff), full_list=False, sorted=False, n_threads=1)
    pairs, shifts = [], []
    for member in members:
        points = np.ascontiguousarray(member.positions, dtype=np.float64)
        box = np.ascontiguousarray(member.cell, dtype=np.float64)
        found = calculator.compute(points=points, box=box, periodic=member.pbc, quantities="PS")
        pairs.append(found[0])
        shifts.append(found[1])
    half = torch.tensor([len(pair) for pair in pairs])
    owner = torch.repeat_interleave(half)
    atoms = torch.tensor([len(member.positions) for member in members])
    # Columns of their own, which all that follows runs over.
    i, j = torch.from_numpy(np.ascontiguousarray(np.concatenate(pairs).view(np.int64).T))
    shift = torch.from_numpy(np.ascontiguousarray(np.concatenate(shifts).T)).long()
    both = torch.cat([shift, -shift], dim=1).t()
    return sorted_table(atoms, torch.cat([owner, owner]), torch.cat([i, j]), torch.cat([j, i]), both)


def _listed_singly(members: Sequence[Geometry], cutoff: float) -> tuple[PairTable, dict[int, InputError]]:
    """Of any members, one after the other."""
    failures: dict[int, InputError] = {}
    edges, shifts = [np.zeros((2, 0), dtype=np.int64)], [np.zeros((0, 3))]
    counts = np.zeros(len(members), dtype=np.int64)
    for k, member in enumerate(members):
        try:
            edge_index, shift = neighbour_list(member.positions, member.cell, member.pbc, cutoff)
        except InputError as error:
            failures[k] = error
            continue
        edges.append(edge_index)
        shifts.append(shift)
        counts[k] = edge_index.shape[1]
    sender, receiver = torch.from_numpy(np.concatenate(edges, axis=1)).unbind(0)
    return PairTable(sender, receiver, torch.from_numpy(np.concatenate(shifts)), torch.from_numpy(counts)), failures


def _float64(values: NDArray[Any]) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64)
