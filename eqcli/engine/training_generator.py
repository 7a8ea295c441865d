"""What a generator of crystals brings to training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from eqcli.data.crystal_batches import CrystalLoader
from eqcli.diffusion.noise import Noise, SeededNoise, StateNoise
from eqcli.engine.device import PRECISIONS
from eqcli.engine.training_sets import ProcessObjective, TrainableSets
from eqcli.models.generators.build import make_generator

if TYPE_CHECKING:
    from eqcli.engine.training_objective import Objective
    from eqcli.graph.crystal_batch import CrystalBatch
    from eqcli.models.generators.base import CrystalGenerator

CONDITIONS = 2
"""The property and the chemical system."""


class DenoisingObjective(ProcessObjective):
    """The loss of a generator of crystals."""

    def state_noise(self, batch: CrystalBatch) -> Noise:
        return StateNoise(len(batch.numbers), len(batch), batch.cell)

    def seeded_noise(self, seed: int, samples: Tensor, batch: CrystalBatch) -> Noise:
        return SeededNoise(seed, samples, batch.batch, batch.within, batch.cell.dtype)

    def conditions(self, batch: CrystalBatch) -> int:
        return CONDITIONS


class TrainableGenerator(TrainableSets):
    """A generator and the crystals that it is trained on."""

    what = "crystals"
    objective: Objective = DenoisingObjective()

    def new_model(self) -> CrystalGenerator:
        train = self.parts["train"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            model = make_generator(self.recipe.model, elements=np.unique(train.numbers).tolist(), sizes=train.sizes)
        model.fit(torch.from_numpy(train.cells), torch.from_numpy(train.values))
        return model.to(PRECISIONS[self.recipe.training.precision])

    def lengths(self, part: str) -> None:
        """Batches are not filled up."""

    def batches(self, part: str, indices: Iterable[list[int]], workers: int) -> CrystalLoader:
        """All data lie in memory, whatever the number of workers."""
        dtype = PRECISIONS[self.recipe.training.precision]
        return CrystalLoader(self.parts[part], indices, dtype, system=self.recipe.model.conditions.system)

    def describe(self, batch: CrystalBatch) -> str:
        return f"{len(batch)} crystals and {len(batch.numbers)} atoms"
