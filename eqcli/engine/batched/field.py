"""Energies and forces of a batched state."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.elements import COVALENT_RADII
from eqcli.engine.batched.skin_lists import SkinLists
from eqcli.engine.on_cores import evaluate_on_cores
from eqcli.engine.predictor import require_evaluable
from eqcli.errors import InputError
from eqcli.graph.atom_graph import AtomGraph
from eqcli.graph.dense_pairs import squared_distances
from eqcli.graph.parts import single
from eqcli.models.potentials.derive import edge_vectors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eqcli.engine.batched.state import BatchState
    from eqcli.graph.pair_table import PairTable
    from eqcli.io.structure import Structure
    from eqcli.models.potentials.base import Potential

PER_ATOM, PER_STRUCTURE = ("forces", "atomic_energies"), ("energy", "stress")
"""What an evaluation gives, as far as the model has it."""


class Field:
    """What a potential says of the structures of a state.

    Neighbours are listed to the cutoff and a skin and the lists kept by the structure's number, as long as they
    hold what is needed. What is given to the model are the pairs within the cutoff, in the order of a fresh list:
    results do not depend on the age of the lists.

    Parameters
    ----------
    potential
        The model; its device and precision are used.
    skin
        Å beyond the cutoff to which neighbours are listed. Zero lists them anew at every evaluation.
    stress
        Whether the stress is computed.

    Raises
    ------
    InputError
        A skin below zero.
    """

    def __init__(self, potential: Potential, *, skin: float = 1.0, stress: bool) -> None:
        if not skin >= 0:
            raise InputError(f"the skin of neighbour lists must not be negative, as {skin} is")
        self.potential = potential
        self.stress = stress
        self.lists = SkinLists(potential.cutoff, skin)
        self._last: tuple[tuple[Tensor, ...], AtomGraph, PairTable] | None = None

    @property
    def rebuilds(self) -> int:
        """Neighbour lists made so far, that of each structure counted on its own."""
        return self.lists.rebuilds

    @property
    def faults(self) -> dict[int, InputError]:
        """Why a structure of the last state has no neighbour list, by its number."""
        return self.lists.faults

    def evaluate(self, state: BatchState) -> BatchState:
        """The state with energies, forces, stresses and atomic energies of its geometry.

        A structure that has no neighbour list gets NaN, and its reason stands in `faults`. What the device raises
        when its memory does not suffice is passed on.
        """
        graph, _ = self._graph(state)
        found = self._unharmed(graph.to(next(self.potential.parameters()).device))
        found_here = {name: value.to(state.batch.device) for name, value in found.items()}
        if self.faults:
            self._blank(state, found_here)
        return state.with_(
            atoms={name: value for name, value in found_here.items() if name in PER_ATOM},
            systems={name: value for name, value in found_here.items() if name in PER_STRUCTURE},
        )

    def forget(self, items: Iterable[int]) -> None:
        """Drops what is kept of structures that will not come back."""
        self._last = None
        self.lists.forget(items)

    def edges(self, state: BatchState) -> Tensor:
        """Directed pairs within the cutoff of each structure, `[B]` int64.

        Raises InputError where a structure has no neighbour list.
        """
        _, table = self._graph(state)
        if self.faults:
            for item in state.item.tolist():
                if item in self.faults:
                    raise self.faults[item]
        return table.counts

    def closest_ratio(self, state: BatchState) -> Tensor:
        """Closest contact of each structure over the sum of its covalent radii, `[B]`; infinite without neighbours."""
        graph, table = self._graph(state)
        sender, receiver = graph.edge_index
        distances = edge_vectors(graph, graph.positions, graph.cell).norm(dim=1)
        radii = _covalent_radii(graph.positions.device)[graph.numbers]
        ratios = distances / (radii[sender] + radii[receiver])
        closest = ratios.new_full((state.n_structures,), torch.inf)
        return closest.scatter_reduce(0, table.owner, ratios, "amin")

    def _graph(self, state: BatchState) -> tuple[AtomGraph, PairTable]:
        """The graph of a state, that of the last call where it is the same geometry."""
        geometry = (state.positions, state.cell, state.item, state.numbers, state.pbc, state.charge, state.spin)
        if self._last is not None and all(a is b for a, b in zip(self._last[0], geometry, strict=True)):
            return self._last[1:]
        listed = self.lists(state)
        atoms = state.counts
        edges = listed.edge_index(atoms)
        squared = squared_distances(state.positions, state.cell, listed.owner, edges[1], edges[0], listed.shift)
        table = listed.within(squared < self.potential.cutoff * self.potential.cutoff)
        graph = AtomGraph(
            positions=state.positions,
            numbers=state.numbers,
            cell=state.cell,
            pbc=state.pbc,
            edge_index=table.edge_index(atoms),
            edge_shift=table.shift,
            batch=state.batch,
            charge=state.charge,
            spin=state.spin,
        )
        self._last = (geometry, graph, table)
        return graph, table

    def _unharmed(self, graph: AtomGraph) -> dict[str, Tensor]:
        """What the potential gives. Structures whose values are not finite are evaluated alone once more: within a
        batch, what is not finite in one spreads to others, by sums over padded rows for instance.
        """
        found = self._evaluated(graph)
        lost = _broken(graph, found)
        if graph.n_structures == 1 or not bool(lost.any()):
            return found
        for k in lost.nonzero().squeeze(1).tolist():
            alone = self._evaluated(single(graph, k))
            atoms = graph.batch == k
            for name, value in alone.items():
                found[name][atoms if name in PER_ATOM else [k]] = value
        return found

    def _evaluated(self, graph: AtomGraph) -> dict[str, Tensor]:
        found = evaluate_on_cores(self.potential, graph, stress=self.stress)
        return {name: found[name] for name in (*PER_ATOM, *PER_STRUCTURE) if name in found}

    def _blank(self, state: BatchState, found: dict[str, Tensor]) -> None:
        lost = torch.tensor([item in self.faults for item in state.item.tolist()], device=state.batch.device)
        for name, value in found.items():
            rows = lost[state.batch] if name in PER_ATOM else lost
            found[name] = value.masked_fill(rows.view(-1, *[1] * (value.dim() - 1)), torch.nan)


@cache
def _covalent_radii(device: torch.device) -> Tensor:
    """Å, by atomic number; kept on the device, since every step asks for them."""
    return torch.tensor(COVALENT_RADII, dtype=torch.float64, device=device)


def _broken(graph: AtomGraph, found: dict[str, Tensor]) -> Tensor:
    """Whether energy, forces or a stress that is defined of each structure are not finite, `[B]` bool."""
    forces = found["energy"].new_zeros(graph.n_structures).index_add(0, graph.batch, found["forces"].abs().sum(1))
    broken = ~torch.isfinite(found["energy"] + forces)
    if "stress" in found:
        broken = broken | (graph.pbc.all(1) & ~torch.isfinite(found["stress"]).all(2).all(1))
    return broken


def admit(potential: Potential, structure: Structure) -> None:
    """Raises InputError for a structure that cannot be moved with this potential.

    An element that it does not know, a charge that it does not take, no atoms; and a model without energy or forces.
    """
    require_evaluable(potential, structure)
    missing = {"energy", "forces"} - set(potential.outputs)
    if missing:
        raise InputError(f"the model gives no {' and no '.join(sorted(missing))}")
