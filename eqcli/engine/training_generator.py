"""What a generator of crystals brings to training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from eqcli.data.crystal_batches import CrystalLoader
from eqcli.diffusion.noise import Noise, SeededNoise, StateNoise
from eqcli.engine.device import PRECISIONS
from eqcli.engine.training_sets import ProcessObjective, TrainableSets
from eqcli.models.generators.base import CrystalGenerator
from eqcli.models.generators.build import make_generator

if TYPE_CHECKING:
    from eqcli.engine.training_objective import Objective
    from eqcli.graph.crystal_batch import CrystalBatch

CONDITIONS = 2
"""The property and the chemical system."""

ATOM_TERMS = ("coordinates", "species")
"""Terms of the loss that are means over the atoms; the others are means over the crystals."""


class DenoisingObjective(ProcessObjective):
    """The loss of a generator of crystals.

    Its terms are means over the crystals or over the atoms. That over hidden atoms is taken to be one over all atoms
    when a batch is divided: how many will be hidden is drawn, the share of them is the same for every part.
    """

    means = 2

    def state_noise(self, batch: CrystalBatch) -> Noise:
        return StateNoise(len(batch.numbers), len(batch), batch.cell)

    def seeded_noise(self, seed: int, samples: Tensor, batch: CrystalBatch) -> Noise:
        return SeededNoise(seed, samples, batch.batch, batch.within, batch.cell.dtype)

    def conditions(self, batch: CrystalBatch) -> int:
        return CONDITIONS

    def counts(self, batch: CrystalBatch) -> Tensor:
        """Crystals and atoms."""
        return torch.tensor([len(batch), len(batch.numbers)], dtype=torch.float64)

    def share(self, model: nn.Module, batch: CrystalBatch, counts: Tensor) -> Tensor:
        assert isinstance(model, CrystalGenerator)
        terms = model.losses(batch, self.state_noise(batch))
        del terms["loss"]
        of_crystals, of_atoms = (self.counts(batch) / counts.cpu()).tolist()
        weights = model.term_weights(terms)
        parts = [weights[k] * (of_atoms if k in ATOM_TERMS else of_crystals) * term for k, term in terms.items()]
        return torch.stack(parts).sum()


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
