"""What an interatomic potential brings to training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eqcli.data.batches import BatchPlan, BatchStream, batch_budget, largest_batch
from eqcli.data.graphs import CACHE_BYTES, GraphDataset, GraphLoader, graph_bytes
from eqcli.data.split import split_hash
from eqcli.elements import SYMBOLS
from eqcli.engine.batching import training_budget
from eqcli.engine.device import PRECISIONS
from eqcli.engine.fine_tuning import SAMPLE, adopt, freeze, set_references
from eqcli.engine.last_layer import fit_uncertainty
from eqcli.engine.model_file import load_model, make_potential
from eqcli.engine.training_figures import measure
from eqcli.engine.training_loss import Loss
from eqcli.files import sha256
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.derive import evaluate
from eqcli.models.potentials.properties import gives_energy, properties_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from eqcli.data.batches import Budget
    from eqcli.data.prepare import Prepared
    from eqcli.data.statistics import DataStatistics
    from eqcli.engine.training_objective import Objective
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.prediction import Prediction


UNITS = {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å^3"}
"""Of the error figures."""


def new_potential(
    config: Any, statistics: DataStatistics, *, seed: int, precision: str, elements: Sequence[int] | None = None
) -> Potential:
    """A potential with weights drawn from `seed` and constants from the training data.

    It knows the elements of the data, or `elements`. The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        potential = make_potential(config, statistics.elements if elements is None else list(elements))
    known = statistics.reference.energies
    energies = [known.get(SYMBOLS[z], 0.0) for z in potential.elements.tolist()]
    potential.reference_energies.copy_(torch.tensor(energies, dtype=torch.float64))
    potential.initialise(
        Statistics(
            avg_num_neighbors=statistics.avg_num_neighbors,
            shift=statistics.shift,
            scale=statistics.scale,
            properties=statistics.properties,
        )
    )
    return potential.to(PRECISIONS[precision])


class PotentialObjective:
    """Energies, forces, stress and properties against their labels.

    Parameters
    ----------
    loss
        What is minimised.
    stress
        Whether figures of the stress are wanted even without its weight.
    """

    def __init__(self, loss: Loss, *, stress: bool = False) -> None:
        self.terms = loss
        self.stress = stress
        self.means = len(loss.wanted)

    def loss(self, model: nn.Module, batch: AtomGraph) -> Tensor:
        return self.terms(self._evaluated(model, batch), batch)

    def counts(self, batch: AtomGraph) -> Tensor:
        return self.terms.counts(batch)

    def share(self, model: nn.Module, batch: AtomGraph, counts: Tensor) -> Tensor:
        return self.terms(self._evaluated(model, batch), batch, counts)

    def _evaluated(self, model: nn.Module, batch: AtomGraph) -> Prediction:
        assert isinstance(model, Potential)
        wants = self.terms.wants
        return evaluate(model, batch, forces=wants("forces"), stress=wants("stress"), training=True)

    def measure(self, model: nn.Module, batches: Iterable[AtomGraph]) -> dict[str, float]:
        assert isinstance(model, Potential)
        return measure(model, batches, self.terms, stress=self.stress)


class TrainablePotential:
    """A potential and the prepared data that it is trained on; see :class:`Trainable`.

    Parameters
    ----------
    recipe
        A training recipe.
    prepared
        Its data.
    """

    def __init__(self, recipe: Any, prepared: Prepared) -> None:
        self.recipe = recipe
        self.prepared = prepared
        self.notes: list[str] = []
        self.held_out: tuple[str, ...] = tuple(name for name in ("valid", "test") if name in prepared.split)
        self.properties = properties_of(recipe.model)
        scales = {name: scale for name, (_, scale) in prepared.statistics.properties.items()}
        loss = Loss(recipe.loss, self.properties, scales, energy=gives_energy(recipe.model))
        self.objective: Objective = PotentialObjective(loss, stress=self._any_stress())

    def _any_stress(self) -> bool:
        """Whether a held-out structure has a stress."""
        prepared = self.prepared
        squares = [prepared.table(part).stress_square[prepared.split[part].indices] for part in self.held_out]
        return any(bool(np.isfinite(square).any()) for square in squares)

    def new_model(self) -> Potential:
        recipe = self.recipe
        if recipe.fine_tune is not None:
            return self._fine_tuned()
        return new_potential(
            recipe.model, self.prepared.statistics, seed=recipe.seed, precision=recipe.training.precision
        )

    def _fine_tuned(self) -> Potential:
        """The model that training starts from, fitted to the elements and energies of the data."""
        recipe, statistics = self.recipe, self.prepared.statistics
        source = Path(recipe.fine_tune.model)
        base = load_model(source, dtype=torch.float64).potential
        known = [SYMBOLS[z] for z in base.elements.tolist()]
        elements = sorted({*base.elements.tolist(), *statistics.elements})
        potential = new_potential(recipe.model, statistics, seed=recipe.seed, precision="float64", elements=elements)
        adopt(potential, base, source)
        frames = np.random.default_rng(recipe.seed).permutation(len(self.prepared.split["train"].indices))[:SAMPLE]
        graphs = self.batches("train", [[int(i)] for i in sorted(frames)], 0)
        self.notes = [f"starting from {source}", set_references(potential, base, recipe.fine_tune, statistics, graphs)]
        if new := [SYMBOLS[z] for z in elements if SYMBOLS[z] not in known]:
            self.notes.append(f"new elements: {', '.join(new)}; they start from the mean of the others")
        if recipe.fine_tune.freeze:
            self.notes.append(f"{freeze(potential, recipe.fine_tune.freeze):,} parameters are frozen")
        return potential.to(PRECISIONS[recipe.training.precision])

    def budget(self, part: str, section: Any) -> tuple[Budget, NDArray[np.int64]]:
        return batch_budget(section, self.prepared.table(part), self.prepared.split[part].indices)

    def lengths(self, part: str) -> None:
        """Batches are not filled up."""

    def batches(self, part: str, indices: Iterable[list[int]], workers: int) -> GraphLoader:
        """Graphs are kept between epochs when they are small; those held out are then loaded in this process."""
        frames = self.prepared.split[part].indices
        size = graph_bytes(self.prepared.table(part), frames)
        if part != "train" and size < CACHE_BYTES:
            workers = 0
        dataset = GraphDataset(
            self.prepared.store(part),
            frames,
            self.recipe.model.cutoff,
            weights=self.recipe.loss.config_weights,
            # Every worker keeps its own graphs.
            keep=size * max(workers, 1) < CACHE_BYTES,
            properties=self.properties,
        )
        return GraphLoader(dataset, indices, workers)

    def largest_batch_edges(self) -> int:
        table, frames = self.prepared.table("train"), self.prepared.split["train"].indices
        return largest_batch(self.budget("train", self.recipe.training.batch)[0], table, frames)[1]

    def part_that_fits(self, device: torch.device, machines: int) -> float:
        """On a CPU, where the system ends a process that takes too much; a GPU says so and smaller parts are tried."""
        if device.type != "cpu":
            return 1.0
        table, frames = self.prepared.table("train"), self.prepared.split["train"].indices
        atoms, edges = largest_batch(self.budget("train", self.recipe.training.batch)[0], table, frames)
        room = training_budget(self.recipe.model, device, PRECISIONS[self.recipe.training.precision])
        part = 1.0 / machines
        while part * atoms > 1 and not room.admits(int(part * atoms), int(part * edges)):
            part /= 2
        return min(1.0, part * machines)

    def facts(self) -> dict[str, Any]:
        tuned = self.recipe.fine_tune
        origin = {"fine_tune": {"model": tuned.model, "sha256": sha256(tuned.model)}} if tuned is not None else {}
        return origin | {
            "split": split_hash(self.prepared.split),
            "data": self.prepared.inputs,
            "statistics": self.prepared.statistics.as_dict(),
            "units": (UNITS if gives_energy(self.recipe.model) else {}) | {p.name: p.unit for p in self.properties},
        }

    def finish(self, model: nn.Module) -> dict[str, Any]:
        """Fits the uncertainty where the recipe wants one."""
        if self.recipe.uncertainty == "none":
            return {}
        assert isinstance(model, Potential)
        section = self.recipe.training
        parts = []
        for part in ("train", "valid"):
            budget, sizes = self.budget(part, section.valid_batch or section.batch)
            parts.append(self.batches(part, BatchStream(BatchPlan(sizes, budget, seed=None), 1), 0))
        return {"uncertainty": fit_uncertainty(model, *parts)}

    def describe(self, batch: AtomGraph) -> str:
        edges = batch.edge_index.shape[1]
        return f"{batch.n_structures} structures, {batch.num_nodes} atoms and {edges} neighbour pairs"
