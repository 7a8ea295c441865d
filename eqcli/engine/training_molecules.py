"""What a generator of molecules brings to training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from eqcli.data.batches import Budget
from eqcli.data.molecule_batches import MoleculeLoader
from eqcli.diffusion.dense_noise import seeded_noise, state_noise
from eqcli.engine.device import PRECISIONS
from eqcli.models.molecules.build import make_molecule_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eqcli.data.molecules import PreparedMolecules
    from eqcli.engine.training_objective import Objective
    from eqcli.graph.molecule_batch import MoleculeBatch
    from eqcli.models.molecules.base import MoleculeGenerator

DRAWS = 2
"""How often the noise of a held-out molecule is drawn: losses of single draws vary much."""


class MoleculeObjective:
    """The loss of the model's own process, at random times and with random noise."""

    def loss(self, model: nn.Module, batch: MoleculeBatch) -> Tensor:
        noise = state_noise(len(batch), batch.width, batch.positions)
        terms: dict[str, Tensor] = model.losses(batch, noise)  # type: ignore[operator]
        return terms["loss"]

    @torch.no_grad()
    def measure(self, model: nn.Module, batches: Iterable[MoleculeBatch]) -> dict[str, float]:
        """Every term of the loss, with noise that is the same each time; means over the molecules."""
        sums: dict[str, float] = {}
        total = 0
        device = next(model.parameters()).device
        for batch in batches:
            moved = batch.to(device)
            properties = moved.values.shape[1] if moved.values is not None else 0
            shown = torch.zeros(len(batch), properties, dtype=torch.bool, device=device)
            for draw in range(DRAWS):
                samples = torch.arange(total, total + len(batch), device=device)
                noise = seeded_noise(draw, samples, moved.width, moved.positions.dtype)
                for name, term in model.losses(moved, noise, shown).items():  # type: ignore[operator]
                    sums[name] = sums.get(name, 0.0) + float(term) * len(batch) / DRAWS
            total += len(batch)
        return {name if name == "loss" else f"{name}_loss": value / total for name, value in sums.items()}


class TrainableMolecules:
    """A generator and the molecules that it is trained on; see :class:`Trainable`.

    Parameters
    ----------
    recipe
        A training recipe.
    prepared
        Its data.
    """

    def __init__(self, recipe: Any, prepared: PreparedMolecules) -> None:
        self.recipe = recipe
        self.prepared = prepared
        self.parts = prepared.parts
        self.held_out: tuple[str, ...] = tuple(name for name in ("valid", "test") if name in self.parts)
        self.objective: Objective = MoleculeObjective()
        self.notes: list[str] = []

    def new_model(self) -> MoleculeGenerator:
        train = self.parts["train"]
        vocabulary = train.vocabulary()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            model = make_molecule_generator(self.recipe.model, vocabulary=vocabulary, sizes=train.sizes)
        model.fit(train.statistics(vocabulary))
        return model.to(PRECISIONS[self.recipe.training.precision])

    def budget(self, part: str, section: Any) -> tuple[Budget, NDArray[np.int64]]:
        counts = self.parts[part].counts
        each = {"structures": np.ones_like(counts), "atoms": counts, "edges": counts**2}
        budget = Budget.of(section)
        return budget, each[budget.unit]

    def lengths(self, part: str) -> NDArray[np.int64]:
        """Molecules are filled up to the size of the largest in their batch: those of one size belong together."""
        return self.parts[part].counts

    def batches(self, part: str, indices: Iterable[list[int]], workers: int) -> MoleculeLoader:
        """All data lie in memory, whatever the number of workers."""
        return MoleculeLoader(self.parts[part], indices, PRECISIONS[self.recipe.training.precision])

    def largest_batch_edges(self) -> int:
        budget, sizes = self.budget("train", self.recipe.training.batch)
        molecules = max(1, min(int(budget.limit // max(1.0, float(sizes.mean()))), len(sizes)))
        return int(molecules * float((self.parts["train"].counts ** 2).mean()))

    def facts(self) -> dict[str, Any]:
        molecules = {name: len(part) for name, part in self.parts.items()}
        return {"data": self.prepared.inputs, "settings": self.prepared.settings, "molecules": molecules}

    def finish(self, model: nn.Module) -> dict[str, Any]:
        return {}

    def describe(self, batch: MoleculeBatch) -> str:
        return f"{len(batch)} molecules and {int(batch.counts.sum())} atoms"
