"""The model under audit: structures in, arrays out, in a chosen precision."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from eqcli.audit.laws import OUTPUTS, Law, law_of
from eqcli.audit.tolerances import TOLERANCES
from eqcli.io.structure import FloatArray, Structure

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Potential

EDGES_PER_BATCH = {"cpu": 2048, "cuda": 65536}
"""Directed neighbour pairs evaluated at once, by kind of device: what keeps caches or cores busy."""


FLOOR = 1e-3
"""Errors of properties are relative to at least this share of their spread in the training data."""


def declared_laws(potential: Potential) -> dict[str, Law]:
    """The law of each output that a potential declares."""
    known = OUTPUTS | {name: law_of(quantity) for name, quantity in potential.quantities.items()}
    return {name: known[name] for name in potential.outputs if name in known}


def property_scales(potential: Potential) -> dict[str, float]:
    """Spread of each property in the training data, in its unit; of those that have a head."""
    from eqcli.models.potentials.heads import Head, Heads

    heads = next((module for module in potential.modules() if isinstance(module, Heads)), None)
    if heads is None:
        return {}
    return {name: float(head.scale) for name, head in heads.by_name.items() if isinstance(head, Head)}


class Evaluator(Protocol):
    """What predicts: a graph in, energies, on request forces and stresses, and whatever else is declared out."""

    def __call__(self, graph: AtomGraph, *, forces: bool, stress: bool) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True)
class Outcome:
    """Prediction for one structure.

    `energy` in eV, `interaction` the energy without reference energies in eV,
    `forces` `[N, 3]` eV/Å, `stress` `[3, 3]` eV/Å^3; the last two None where not
    asked for, not declared or not defined. `others` are further declared outputs by name.
    Of a model that gives no energy both are zero, and `has_energy` is false.
    """

    energy: float
    interaction: float
    forces: FloatArray | None
    stress: FloatArray | None
    others: Mapping[str, FloatArray] = field(default_factory=dict)
    has_energy: bool = True

    @property
    def values(self) -> dict[str, FloatArray]:
        """Every output that is there, by name; the energy without reference energies."""
        found: dict[str, FloatArray] = {"energy": np.asarray(self.interaction)} if self.has_energy else {}
        found |= {} if self.forces is None else {"forces": self.forces}
        found |= {} if self.stress is None else {"stress": self.stress}
        return found | dict(self.others)


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
    outputs
        What it declares to give, with the transformation laws.
    floors
        Of further outputs: errors are relative to at least this, so that a dipole that vanishes by symmetry may round.
    molecular
        Further outputs that periodic structures do not have.

    Attributes
    ----------
    reach
        Å beyond which two atoms do not see each other; None where that is not known.
    slack
        Relative error that counts as arithmetic and not as a broken law.
    reflections
        Whether it claims the symmetry of mirror images; without it, reflections are not tried.
    skips
        First check of each stage that is not made, and why.
    note
        What else should be known of the audit.
    """

    def __init__(
        self,
        evaluate: Evaluator,
        *,
        cutoff: float,
        reference_energies: dict[int, float],
        precision: str = "float64",
        device: torch.device | str = "cpu",
        outputs: Mapping[str, Law] = OUTPUTS,
        floors: Mapping[str, float] | None = None,
        molecular: Collection[str] = (),
    ) -> None:
        self.evaluate = evaluate
        self.cutoff = cutoff
        self.reference_energies = reference_energies
        self.precision = precision
        self.device = device
        self.outputs = dict(outputs)
        self.floors = dict(floors or {})
        self.molecular = frozenset(molecular)
        self.nonfinite: list[str] = []
        self.reach: float | None = cutoff
        self.slack = 0.0
        self.reflections = True
        self.skips: dict[str, str] = {}
        self.note = ""

    @classmethod
    def of(cls, potential: Potential, dtype: torch.dtype | None = None) -> Subject:
        """A potential as it is, or a copy of it in another precision."""
        from eqcli.models.potentials.derive import evaluate

        model = potential
        if dtype is not None and dtype != potential.dtype:
            model = copy.deepcopy(potential).to(dtype)

        def predict(graph: AtomGraph, *, forces: bool, stress: bool) -> Mapping[str, Tensor]:
            return evaluate(model, graph, forces=forces, stress=stress)

        references = zip(model.elements.tolist(), model.reference_energies.tolist(), strict=True)
        subject = cls(
            predict,
            cutoff=model.cutoff,
            reference_energies=dict(references),
            precision=str(model.dtype).removeprefix("torch."),
            device=model.elements.device,
            outputs=declared_laws(model),
            floors={name: FLOOR * scale for name, scale in property_scales(model).items()},
            molecular=[name for name, quantity in model.quantities.items() if quantity.molecular],
        )
        if not model.reflections:
            subject.reflections = False
            subject.skips["handedness"] = "the model respects rotations alone: reflections are not tried"
        return subject

    def limit(self, key: str) -> float:
        """The limit of a check of this subject."""
        listed = TOLERANCES[key]
        return max(listed.limit, self.slack) if listed.unit == "relative" else listed.limit

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
        """Predictions in order; what is not finite is noted in `nonfinite`. `together=False` makes no batches.

        Forces and stresses are left out where they are not declared.
        """
        outcomes: list[Outcome] = []
        forces, stress = forces and "forces" in self.outputs, stress and "stress" in self.outputs
        budget = EDGES_PER_BATCH.get(str(self.device).partition(":")[0], EDGES_PER_BATCH["cpu"])
        for members in self._batches(structures, budget if together else 0):
            outcomes += self._predict_batch(members, forces, stress)
        return outcomes

    def energies(self, structures: Sequence[Structure]) -> FloatArray:
        """Energies without reference energies, `[len(structures)]` eV; cheaper than `predict`."""
        return np.array([outcome.interaction for outcome in self.predict(structures, forces=False)])

    def is_random(self, structure: Structure) -> bool:
        """Whether two equal calls differ in any bit."""
        first, second = (self.predict([structure])[0].values for _ in range(2))
        return any(not np.array_equal(value, second[name], equal_nan=True) for name, value in first.items())

    def _batches(
        self, structures: Sequence[Structure], edges_per_batch: int
    ) -> Iterator[list[tuple[Structure, AtomGraph]]]:
        from eqcli.graph.atom_graph import build_graph

        members: list[tuple[Structure, AtomGraph]] = []
        edges = 0
        for structure in structures:
            graph = build_graph(
                structure.numbers,
                structure.positions,
                structure.cell,
                structure.pbc,
                self.cutoff,
                charge=structure.charge,
                spin=structure.spin,
            )
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
        others = {name: law for name, law in self.outputs.items() if name not in OUTPUTS}
        for k, (structure, _) in enumerate(members):
            has_energy = "energy" in arrays
            energy = float(arrays["energy"][k]) if has_energy else 0.0
            rows = slice(starts[k], starts[k + 1])
            there = {name: law for name, law in others.items() if not (name in self.molecular and structure.pbc.any())}
            outcome = Outcome(
                energy=energy,
                interaction=energy - self.reference(structure) if has_energy else 0.0,
                forces=arrays["forces"][rows] if forces else None,
                stress=arrays["stress"][k] if stress and structure.pbc.all() else None,
                others={name: arrays[name][rows if law.per_atom else k] for name, law in there.items()},
                has_energy=has_energy,
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
        self.nonfinite += [f"{structure.name}: {key}" for key, x in outcome.others.items() if not np.isfinite(x).all()]
