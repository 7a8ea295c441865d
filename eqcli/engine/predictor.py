"""Energies, forces and stresses of any number of structures, in batches that fit the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eqcli.engine.batching import BatchBudget
from eqcli.engine.device import out_of_memory, threads_for
from eqcli.errors import Failure, InputError
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.graph.distances import closest_contact
from eqcli.models.potentials.derive import evaluate
from eqcli.models.potentials.properties import properties_of

if TYPE_CHECKING:
    from eqcli.engine.model_file import ModelFile
    from eqcli.io.structure import Structure
    from eqcli.models.potentials.base import Potential
    from eqcli.models.potentials.properties import Property

Values = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class _Item:
    """A structure on its way: its graph, or why it has none."""

    structure: Structure
    graph: AtomGraph | InputError

    @property
    def atoms(self) -> int:
        # A failure counts as one atom, so that no number of failures piles up.
        return self.graph.num_nodes if isinstance(self.graph, AtomGraph) else 1

    @property
    def edges(self) -> int:
        return int(self.graph.edge_index.shape[1]) if isinstance(self.graph, AtomGraph) else 0


class Predictor:
    """Applies a model to structures, one batch after the other.

    Memory stays bounded whatever the number of structures. A structure that
    cannot be predicted (an element the model does not know, a charge it does not
    take, atoms on top of each other, more memory than there is) does not stop the
    others. When a batch does not fit the memory it is halved and tried again.

    Parameters
    ----------
    model
        The loaded model; its device and precision are used.
    stress
        None predicts the stress of structures that are periodic in three
        directions, False of none; True makes any other structure a failure.
    batch_atoms
        Largest number of atoms in a batch; None chooses by the memory of the device.
    """

    def __init__(self, model: ModelFile, *, stress: bool | None = None, batch_atoms: int | None = None) -> None:
        if batch_atoms is not None and batch_atoms < 1:
            raise InputError(f"a batch needs at least one atom, not {batch_atoms}")
        self.potential = model.potential
        self.device = next(self.potential.parameters()).device
        self.stress = stress
        self.properties = properties_of(self.potential.config)
        self.budget = BatchBudget(self.potential, batch_atoms)

    def predict(
        self, structures: Iterable[Structure], on_failure: Callable[[Failure], None] | None = None
    ) -> Iterator[Structure]:
        """Copies of `structures` with predictions in place of labels, in the same order.

        Each has `energy`, `forces`, `stress` and `arrays["atomic_energies"]` as far as the model
        gives them, and its properties by name among `info` (of the structure) and `arrays` (of
        atoms); labels that it had stand under `REF_energy`, `REF_forces` and so on.
        Structures that fail are left out and go to `on_failure`; without it the
        first failure raises InputError.
        """
        for structure, outcome in self._outcomes(structures):
            if not isinstance(outcome, InputError):
                yield predicted(structure, outcome, self.properties)
            elif on_failure is not None:
                failure = Failure.of(structure.name, outcome)
                on_failure(replace(failure, where=structure.where))
            else:
                raise replace(outcome, where=structure.where) from outcome

    def _outcomes(self, structures: Iterable[Structure]) -> Iterator[tuple[Structure, Values | InputError]]:
        waiting: list[_Item] = []
        atoms = edges = 0
        for structure in structures:
            item = _Item(structure, self._graph(structure))
            if waiting and not self.budget.admits(atoms + item.atoms, edges + item.edges):
                yield from self._finish(waiting)
                waiting, atoms, edges = [], 0, 0
            waiting.append(item)
            atoms, edges = atoms + item.atoms, edges + item.edges
        yield from self._finish(waiting)

    def _finish(self, items: list[_Item]) -> Iterator[tuple[Structure, Values | InputError]]:
        results = iter(self._evaluate([item.graph for item in items if isinstance(item.graph, AtomGraph)]))
        for item in items:
            yield item.structure, next(results) if isinstance(item.graph, AtomGraph) else item.graph

    def _graph(self, structure: Structure) -> AtomGraph | InputError:
        try:
            require_evaluable(self.potential, structure)
            if self.stress and not structure.pbc.all():
                raise InputError("a stress was asked for, and this structure is not periodic in three directions")
            return build_graph(
                structure.numbers,
                structure.positions,
                structure.cell,
                structure.pbc,
                self.potential.cutoff,
                charge=structure.charge,
                spin=structure.spin,
            )
        except InputError as error:
            return error

    def _evaluate(self, graphs: list[AtomGraph]) -> list[Values | InputError]:
        if not graphs:
            return []
        try:
            values = self._attempt(graphs)
        except InputError as error:
            if len(graphs) == 1:
                return [error]
            # One of them fails, and the others are not to blame.
            return [outcome for graph in graphs for outcome in self._evaluate([graph])]
        if values is not None:
            return [self._checked(graph, one, len(graphs)) for graph, one in zip(graphs, values, strict=True)]
        if len(graphs) == 1:
            n, e = graphs[0].num_nodes, graphs[0].edge_index.shape[1]
            return [InputError(f"{n} atoms with {e} neighbour pairs need more memory than {self.device} has")]
        self.budget.halve()
        half = len(graphs) // 2
        return self._evaluate(graphs[:half]) + self._evaluate(graphs[half:])

    def _attempt(self, graphs: list[AtomGraph]) -> list[Values] | None:
        """The values of each graph, or None when they do not fit the memory together."""
        try:
            batch = batch_graphs(graphs).to(self.device)
            stress = self.stress is not False and bool(batch.pbc.all(dim=1).any())
            with threads_for(batch.edge_index.shape[1]):
                result = evaluate(self.potential, batch, stress=stress)
            per_atom = {"forces", "forces_std", "atomic_energies", *(p.name for p in self.properties if p.per_atom)}
            return _per_structure({key: value.cpu().numpy() for key, value in result.items()}, graphs, per_atom)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        # Outside the handler, whose traceback holds on to the tensors.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _checked(self, graph: AtomGraph, values: Values, companions: int) -> Values | InputError:
        periodic = bool(graph.pbc.any())
        defined = [p.name for p in self.properties if not (periodic and p.quantity.molecular)]
        wanted = ["energy", "forces", *defined]
        bad = [key for key in wanted if key in values and not np.isfinite(values[key]).all()]
        if not bad:
            return values
        if companions > 1:
            # Alone, so that no other structure of the batch can be to blame.
            return self._evaluate([graph])[0]
        contact = closest_contact(graph)
        what = "energy and forces" if set(bad) <= {"energy", "forces"} else ", ".join(bad)
        return InputError(f"the model gives no finite {what}" + (f": {contact}" if contact else ""))


def require_evaluable(potential: Potential, structure: Structure) -> None:
    """Raises InputError for a structure that the potential must not be applied to."""
    if len(structure) == 0:
        raise InputError("this structure has no atoms")
    if structure.charge and not potential.accepts_charge:
        raise InputError(
            f"the structure has charge {structure.charge:+g}, and the model knows neutral structures alone",
            hint="It would give the energy of the neutral structure.",
        )
    potential.require_known(torch.as_tensor(structure.numbers))


def predicted(structure: Structure, values: Values, properties: Sequence[Property] = ()) -> Structure:
    """A copy with predictions in place of labels, and the labels under `REF_` names."""
    info, arrays = dict(structure.info), dict(structure.arrays)
    # A name that is there already holds the older, true reference.
    if structure.energy is not None:
        info.setdefault("REF_energy", structure.energy)
    if structure.stress is not None:
        info.setdefault("REF_stress", structure.stress.reshape(-1).tolist())
    if structure.forces is not None:
        arrays.setdefault("REF_forces", structure.forces)
    if "atomic_energies" in values:
        arrays["atomic_energies"] = values["atomic_energies"]
    if "energy_std" in values:
        info["energy_std"] = float(values["energy_std"])
    if "forces_std" in values:
        arrays["forces_std"] = values["forces_std"]
    stress = values.get("stress")
    found = replace(
        structure,
        energy=float(values["energy"]) if "energy" in values else None,
        forces=values.get("forces"),
        stress=stress if stress is not None and structure.pbc.all() else None,
        info=info,
        arrays=arrays,
    )
    for wanted in properties:
        wanted.put(values[wanted.name], found)
    return found


def _per_structure(values: Values, graphs: list[AtomGraph], per_atom: set[str]) -> list[Values]:
    """The batch taken apart: `energy` a scalar, `forces [N, 3]`, `stress [3, 3]`, `atomic_energies [N]`, properties."""
    ends = np.cumsum([graph.num_nodes for graph in graphs])
    parts = []
    for k, graph in enumerate(graphs):
        rows = slice(int(ends[k]) - graph.num_nodes, int(ends[k]))
        parts.append({key: value[rows] if key in per_atom else value[k] for key, value in values.items()})
    return parts
