"""What a generator of molecules brings to training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from eqcli.data.molecule_batches import MoleculeLoader
from eqcli.diffusion.dense_noise import DenseNoise, seeded_noise, state_noise
from eqcli.engine.device import PRECISIONS
from eqcli.engine.training_sets import ProcessObjective, TrainableSets
from eqcli.models.molecules.build import make_molecule_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eqcli.engine.training_objective import Objective
    from eqcli.graph.molecule_batch import MoleculeBatch
    from eqcli.models.molecules.base import MoleculeGenerator


class MoleculeObjective(ProcessObjective):
    """The loss of a generator of molecules."""

    def state_noise(self, batch: MoleculeBatch) -> DenseNoise:
        return state_noise(len(batch), batch.width, batch.positions)

    def seeded_noise(self, seed: int, samples: Tensor, batch: MoleculeBatch) -> DenseNoise:
        return seeded_noise(seed, samples, batch.width, batch.positions.dtype)

    def conditions(self, batch: MoleculeBatch) -> int:
        return batch.values.shape[1] if batch.values is not None else 0


class TrainableMolecules(TrainableSets):
    """A generator and the molecules that it is trained on."""

    what = "molecules"
    objective: Objective = MoleculeObjective()

    def new_model(self) -> MoleculeGenerator:
        train = self.parts["train"]
        vocabulary = train.vocabulary()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            model = make_molecule_generator(self.recipe.model, vocabulary=vocabulary, sizes=train.sizes)
        model.fit(train.statistics(vocabulary))
        return model.to(PRECISIONS[self.recipe.training.precision])

    def lengths(self, part: str) -> NDArray[np.int64]:
        """Molecules are filled up to the size of the largest in their batch: those of one size belong together."""
        counts: NDArray[np.int64] = self.parts[part].counts
        return counts

    def batches(self, part: str, indices: Iterable[list[int]], workers: int) -> MoleculeLoader:
        """All data lie in memory, whatever the number of workers."""
        return MoleculeLoader(self.parts[part], indices, PRECISIONS[self.recipe.training.precision])

    def describe(self, batch: MoleculeBatch) -> str:
        return f"{len(batch)} molecules and {int(batch.counts.sum())} atoms"
