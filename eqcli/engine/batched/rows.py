"""Degrees of freedom as rows of three: one for each atom and, where cells move, three more for each structure.

Optimisers see rows alone. The rows of the atoms come first, `[N, 3]`, then those of the cells, `[3 B, 3]`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.engine.batched.state import BatchState, per_atom, sums


def pack(atoms: Tensor, cells: Tensor | None) -> Tensor:
    """Rows of the atoms `[N, ...]` and of the cells `[B, 3, ...]` in one tensor."""
    return atoms if cells is None else torch.cat([atoms, cells.flatten(0, 1)])


def unpack(state: BatchState, rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """The rows of the atoms and those of the cells, `[B, 3, ...]`; None where cells stay."""
    n = len(state.batch)
    return rows[:n], rows[n:].unflatten(0, (state.n_structures, 3)) if len(rows) > n else None


def remember(state: BatchState, name: str, rows: Tensor) -> BatchState:
    """The state with rows kept under `name`, where they stay with their structures."""
    atoms, cells = unpack(state, rows)
    return state.with_(atoms={name: atoms}, systems={} if cells is None else {name: cells})


def recall(state: BatchState, name: str) -> Tensor:
    """The rows kept under `name`."""
    return pack(state.atoms[name], state.systems.get(name))


def spread(state: BatchState, values: Tensor, rows: Tensor) -> Tensor:
    """What the structure of each row has, `[B, ...]` -> as many as `rows`."""
    of_atoms = per_atom(state, values)
    return of_atoms if len(rows) == len(state.batch) else torch.cat([of_atoms, values.repeat_interleave(3, 0)])


def total(state: BatchState, rows: Tensor) -> Tensor:
    """Sum over the rows of each structure, `[rows, ...]` -> `[B, ...]`."""
    atoms, cells = unpack(state, rows)
    summed = sums(state, atoms)
    return summed if cells is None else summed + cells.sum(1)


def dot(state: BatchState, a: Tensor, b: Tensor) -> Tensor:
    """Scalar product over all degrees of freedom of each structure, `[B]`."""
    return total(state, (a * b).sum(1))


def longest(state: BatchState, rows: Tensor) -> Tensor:
    """Length of the longest row of each structure, `[B]`; zero where there is none."""
    atoms, cells = unpack(state, rows.norm(dim=1))
    found = largest(state, atoms)
    return found if cells is None else torch.maximum(found, cells.amax(1))


def largest(state: BatchState, values: Tensor) -> Tensor:
    """Largest value among the atoms of each structure, `[N]` -> `[B]`; zero where there are none."""
    return values.new_zeros(state.n_structures).scatter_reduce(0, state.batch, values, "amax")
