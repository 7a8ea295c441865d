"""The model under audit: structures in, arrays out, in a chosen precision."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from eqcli.io.structure import FloatArray, Structure

if TYPE_CHECKING:
    import torch

    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential
    from eqcli.models.prediction import Prediction

EDGES_PER_BATCH = {"cpu": 2048, "cuda": 65536}
"""Directed neighbour pairs evaluated at once, by kind of device: what keeps caches or cores busy."""


class Evaluator(Protocol):
    """What predicts: a graph in, energies and on request their derivatives out."""

    def __call__(self, graph: AtomGraph, *, forces: bool, stress: bool) -> Prediction: ...


@dataclass(frozen=True)
class Outcome:
    """Prediction for one structure.

    `energy` in eV, `interaction` the energy without reference energies in eV,
    `forces` `[N, 3]` eV/Å, `stress` `[3, 3]` eV/Å^3; the last two None where not
    asked for or not defined.
    """

    energy: float
    interaction: float
    forces: FloatArray | None
    stress: FloatArray | None


class Subject:
    """Anything that predicts energies and forces from a graph, seen by the audits.

    Parameters
    ----------
    evaluate
        The function under audit.
    cutoff
        Å, radius of the graphs it takes.
    reference_energies
        Energy in eV of each isolated atom by atomic number; its keys are the elements the model knows.
    precision
        Name of the arithmetic, for the report.
    device
        Where graphs are sent.
    """

    def __init__(
        self,
        evaluate: Evaluator,
        *,
        cutoff: float,
        reference_energies: dict[int, float],
        precision: str = "float64",
        device: torch.device | str = "cpu",
    ) -> None:
        self.evaluate = evaluate
        self.cutoff = cutoff
        self.reference_energies = reference_energies
        self.precision = precision
        self.device = device
        self.nonfinite: list[str] = []

    @classmethod
    def of(cls, potential: Potential, dtype: torch.dtype | None = None) -> Subject:
        """A potential as it is, or a copy of it in another precision."""
        from eqcli.models.potentials.derive import evaluate

        model = potential
        if dtype is not None and dtype != potential.dtype:
            model = copy.deepcopy(potential).to(dtype)

        def predict(graph: AtomGraph, *, forces: bool, stress: bool) -> Prediction:
            return evaluate(model, graph, forces=forces, stress=stress)

        references = zip(model.elements.tolist(), model.reference_energies.tolist(), strict=True)
        return cls(
            predict,
            cutoff=model.cutoff,
            reference_energies=dict(references),
            precision=str(model.dtype).removeprefix("torch."),
            device=model.elements.device,
        )

    @property
    def elements(self) -> list[int]:
        """Atomic numbers the model knows."""
        return list(self.reference_energies)

    def reference(self, structure: Structure) -> float:
        """Sum of the reference energies of the atoms, eV."""
        return float(sum(self.reference_energies[int(z)] for z in structure.numbers))

    def predict(
        self, structures: Sequence[Structure], *, forces: bool = True, stress: bool = False, together: bool = True
    ) -> list[Outcome]:
        """Predictions in order; what is not finite is noted in `nonfinite`. `together=False` makes no batches."""
        outcomes: list[Outcome] = []
        budget = EDGES_PER_BATCH.get(str(self.device).partition(":")[0], EDGES_PER_BATCH["cpu"])
        for members in self._batches(structures, budget if together else 0):
            outcomes += self._predict_batch(members, forces, stress)
        return outcomes

    def energies(self, structures: Sequence[Structure]) -> FloatArray:
        """Energies without reference energies, `[len(structures)]` eV; cheaper than `predict`."""
        return np.array([outcome.interaction for outcome in self.predict(structures, forces=False)])

    def _batches(
        self, structures: Sequence[Structure], edges_per_batch: int
    ) -> Iterator[list[tuple[Structure, AtomGraph]]]:
        from eqcli.graph.atom_graph import build_graph

        members: list[tuple[Structure, AtomGraph]] = []
        edges = 0
        for structure in structures:
            graph = build_graph(structure.numbers, structure.positions, structure.cell, structure.pbc, self.cutoff)
            size = int(graph.edge_index.shape[1])
            if members and edges + size > edges_per_batch:
                yield members
                members, edges = [], 0
            members.append((structure, graph))
            edges += size
        if members:
            yield members

    def _predict_batch(self, members: list[tuple[Structure, AtomGraph]], forces: bool, stress: bool) -> list[Outcome]:
        from eqcli.graph.atom_graph import batch_graphs

        graph = batch_graphs([graph for _, graph in members]).to(self.device)
        stress = stress and any(structure.pbc.all() for structure, _ in members)
        prediction = self.evaluate(graph, forces=forces, stress=stress)
        arrays = {key: value.detach().cpu().double().numpy() for key, value in prediction.items()}
        starts = np.cumsum([0] + [len(structure) for structure, _ in members])
        outcomes = []
        for k, (structure, _) in enumerate(members):
            energy = float(arrays["energy"][k])
            outcome = Outcome(
                energy=energy,
                interaction=energy - self.reference(structure),
                forces=arrays["forces"][starts[k] : starts[k + 1]] if forces else None,
                stress=arrays["stress"][k] if stress and structure.pbc.all() else None,
            )
            self._note_nonfinite(structure, outcome)
            outcomes.append(outcome)
        return outcomes

    def _note_nonfinite(self, structure: Structure, outcome: Outcome) -> None:
        if not np.isfinite(outcome.energy):
            self.nonfinite.append(f"{structure.name}: energy")
        if outcome.forces is not None and not np.isfinite(outcome.forces).all():
            atom = int(np.argmin(np.isfinite(outcome.forces).all(axis=1)))
            self.nonfinite.append(f"{structure.name}: force on atom {atom}")
        if outcome.stress is not None and not np.isfinite(outcome.stress).all():
            self.nonfinite.append(f"{structure.name}: stress")
