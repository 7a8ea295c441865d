"""What a model of motion brings to training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from eqcli.data.batches import Budget
from eqcli.data.particle_batches import ParticleLoader
from eqcli.engine.device import PRECISIONS
from eqcli.engine.model_families import make_dynamics
from eqcli.engine.training_held_out import HeldOut
from eqcli.engine.training_sets import TrainableSets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eqcli.data.particles import ParticleSet
    from eqcli.engine.training_objective import Objective
    from eqcli.models.dynamics.base import DynamicsModel, ParticleGraph


class PositionObjective:
    """Mean square of the errors of the coordinates."""

    means = 1

    def loss(self, model: nn.Module, batch: ParticleGraph) -> Tensor:
        return square_errors(model, batch).mean()

    def counts(self, batch: ParticleGraph) -> Tensor:
        """Coordinates."""
        return batch.positions.new_tensor([batch.positions.numel()], dtype=torch.float64)

    def share(self, model: nn.Module, batch: ParticleGraph, counts: Tensor) -> Tensor:
        return square_errors(model, batch).sum() / counts[0]

    @torch.no_grad()
    def measure(self, model: nn.Module, batches: Iterable[ParticleGraph]) -> dict[str, float]:
        """`loss` and `positions_mse`, which are one; sums are taken in float64."""
        total, count = 0.0, 0
        device = next(model.parameters()).device
        held_out = HeldOut.of(batches)
        for _, batch in held_out.numbered():
            errors = square_errors(model, batch.to(device)).double()
            total, count = total + float(errors.sum()), count + errors.numel()
        total, entries = held_out.total(torch.tensor([total, count], dtype=torch.float64)).tolist()
        mean = total / entries
        return {"loss": mean, "positions_mse": mean}


def square_errors(model: nn.Module, batch: ParticleGraph) -> Tensor:
    """Square of the error of each coordinate, `[N, n]`."""
    assert batch.target is not None
    predicted: Tensor = model(batch)
    return (predicted - batch.target.to(predicted.dtype)) ** 2


class TrainableDynamics(TrainableSets):
    """A model of motion and the systems that it is trained on; see :class:`Trainable`.

    Parameters
    ----------
    recipe
        A training recipe.
    prepared
        Its data.
    """

    what = "systems"
    objective: Objective = PositionObjective()
    parts: dict[str, ParticleSet]

    def new_model(self) -> DynamicsModel:
        train = self.parts["train"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            model = make_dynamics(
                self.recipe.model,
                node_features=train.features.shape[2],
                edge_features=0 if train.charges is None else 1,
            )
        return model.to(PRECISIONS[self.recipe.training.precision])

    def budget(self, part: str, section: Any) -> tuple[Budget, NDArray[np.int64]]:
        systems = self.parts[part]
        each = {"structures": 1, "atoms": systems.particles, "edges": systems.particles * (systems.particles - 1)}
        budget = Budget.of(section)
        return budget, np.full(len(systems), each[budget.unit], dtype=np.int64)

    def lengths(self, part: str) -> None:
        """Batches are not filled up."""

    def batches(self, part: str, indices: Iterable[list[int]], workers: int) -> ParticleLoader:
        """All data lie in memory, whatever the number of workers."""
        return ParticleLoader(self.parts[part], indices, PRECISIONS[self.recipe.training.precision])

    def largest_batch_edges(self) -> int:
        particles = self.parts["train"].particles
        budget, sizes = self.budget("train", self.recipe.training.batch)
        systems = max(1, min(budget.limit // int(sizes[0]), len(sizes)))
        return systems * particles * (particles - 1)

    def describe(self, batch: ParticleGraph) -> str:
        return f"{int(batch.batch[-1]) + 1} systems and {len(batch.positions)} particles"
