"""Structures on their way to a model, with the neighbours of many listed at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import torch

from eqcli.engine.device import out_of_memory
from eqcli.engine.read_ahead import read_ahead
from eqcli.errors import InputError
from eqcli.graph.many import assemble, list_pairs
from eqcli.graph.pair_table import PairTable, join_tables

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.io.structure import Structure

WINDOW_STRUCTURES = 128
WINDOW_ATOMS = 4096
"""Structures are listed together until there are so many, or so many atoms."""


@dataclass(frozen=True, eq=False)
class Listed:
    """A structure and its neighbours, or why it has none.

    Attributes
    ----------
    structure
        As it came.
    error
        Why it cannot be evaluated; None where it can.
    table, row
        Where its neighbours are.
    edges
        How many it has.
    """

    structure: Structure
    error: InputError | None
    table: PairTable
    row: int
    edges: int

    @property
    def atoms(self) -> int:
        """Atoms; a failure counts as one, so that no number of failures piles up."""
        return len(self.structure) if self.error is None else 1


def listed(
    structures: Iterable[Structure],
    cutoff: float,
    require: Callable[[Structure], None],
    *,
    atoms: int | None = None,
    ahead: bool = False,
) -> Iterator[Listed]:
    """Structures with their neighbours within `cutoff` (Å), in order.

    Parameters
    ----------
    require
        Raises InputError for a structure that must not be evaluated.
    atoms
        What a batch may hold; more is not listed at once.
    ahead
        List in a thread of its own, which draws from `structures` too.
    """
    windows = (
        part
        for window in _windows(structures, min(WINDOW_ATOMS, atoms or WINDOW_ATOMS))
        for part in _list_in_halves(window, cutoff, require)
    )
    for window in read_ahead(windows) if ahead else windows:
        yield from window


def batch_of(items: Sequence[Listed]) -> AtomGraph:
    """One graph of several structures that can be evaluated."""
    tables = []
    for _, some in groupby(items, key=lambda item: id(item.table)):
        same = list(some)
        tables.append(same[0].table.select(torch.tensor([item.row for item in same])))
    return assemble([item.structure for item in items], join_tables(tables))


def _windows(structures: Iterable[Structure], most: int) -> Iterator[list[Structure]]:
    window: list[Structure] = []
    atoms = 0
    for structure in structures:
        if window and (len(window) >= WINDOW_STRUCTURES or atoms + len(structure) > most):
            yield window
            window, atoms = [], 0
        window.append(structure)
        atoms += len(structure)
    if window:
        yield window


def _list_in_halves(
    window: Sequence[Structure], cutoff: float, require: Callable[[Structure], None]
) -> Iterator[list[Listed]]:
    """What `_list` gives, in parts where the memory makes that necessary; one too large alone is a failure."""
    try:
        found = _list(window, cutoff, require)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        found = None
    if found is not None:
        yield found
    elif len(window) == 1:
        n = len(window[0])
        reason = InputError(f"a structure of {n} atoms needs more memory than there is, for its neighbours alone")
        table, _ = list_pairs([], cutoff)
        yield [Listed(window[0], reason, table, -1, 0)]
    else:
        half = len(window) // 2
        yield from _list_in_halves(window[:half], cutoff, require)
        yield from _list_in_halves(window[half:], cutoff, require)


def _list(window: Sequence[Structure], cutoff: float, require: Callable[[Structure], None]) -> list[Listed]:
    errors: dict[int, InputError] = {}
    for k, structure in enumerate(window):
        try:
            require(structure)
        except InputError as error:
            errors[k] = error
    sound = [k for k in range(len(window)) if k not in errors]
    table, failures = list_pairs([window[k] for k in sound], cutoff)
    errors |= {sound[k]: error for k, error in failures.items()}
    rows = {k: row for row, k in enumerate(sound)}
    counts = table.counts.tolist()
    return [
        Listed(structure, errors.get(k), table, rows.get(k, -1), counts[rows[k]] if k in rows else 0)
        for k, structure in enumerate(window)
    ]
