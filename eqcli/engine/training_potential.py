"""What an interatomic potential brings to training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eqcli.data.batches import batch_budget, largest_batch
from eqcli.data.graphs import CACHE_BYTES, GraphDataset, GraphLoader, graph_bytes
from eqcli.data.split import split_hash
from eqcli.engine.device import PRECISIONS
from eqcli.engine.model_file import make_potential
from eqcli.engine.training_loss import Loss, measure
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


UNITS = {"energy": "eV/atom", "forces": "eV/Å", "stress": "eV/Å^3"}
"""Of the error figures."""


def new_potential(config: Any, statistics: DataStatistics, *, seed: int, precision: str) -> Potential:
    """A potential with weights drawn from `seed` and constants from the training data.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        potential = make_potential(config, statistics.elements)
    energies = [statistics.reference.energies[symbol] for symbol in statistics.reference.energies]
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

    def loss(self, model: nn.Module, batch: AtomGraph) -> Tensor:
        assert isinstance(model, Potential)
        wants = self.terms.wants
        return self.terms(evaluate(model, batch, forces=wants("forces"), stress=wants("stress"), training=True), batch)

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
        return new_potential(
            recipe.model, self.prepared.statistics, seed=recipe.seed, precision=recipe.training.precision
        )

    def budget(self, part: str, section: Any) -> tuple[Budget, NDArray[np.int64]]:
        return batch_budget(section, self.prepared.table(part), self.prepared.split[part].indices)

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

    def facts(self) -> dict[str, Any]:
        return {
            "split": split_hash(self.prepared.split),
            "data": self.prepared.inputs,
            "statistics": self.prepared.statistics.as_dict(),
            "units": (UNITS if gives_energy(self.recipe.model) else {}) | {p.name: p.unit for p in self.properties},
        }

    def describe(self, batch: AtomGraph) -> str:
        edges = batch.edge_index.shape[1]
        return f"{batch.n_structures} structures, {batch.num_nodes} atoms and {edges} neighbour pairs"
