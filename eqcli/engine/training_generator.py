"""What a generator of crystals brings to training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from eqcli.data.batches import Budget
from eqcli.data.crystal_batches import CrystalLoader
from eqcli.diffusion.noise import SeededNoise, StateNoise
from eqcli.engine.device import PRECISIONS
from eqcli.models.generators.build import make_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eqcli.data.crystals import PreparedCrystals
    from eqcli.engine.training_objective import Objective
    from eqcli.graph.crystal_batch import CrystalBatch
    from eqcli.models.generators.base import CrystalGenerator

DRAWS = 2
"""How often the noise of a held-out crystal is drawn: losses of single draws vary much."""


class DenoisingObjective:
    """The loss of the model's own process, at random times and with random noise."""

    def loss(self, model: nn.Module, batch: CrystalBatch) -> Tensor:
        noise = StateNoise(len(batch.numbers), len(batch), batch.cell)
        terms: dict[str, Tensor] = model.losses(batch, noise)  # type: ignore[operator]
        return terms["loss"]

    @torch.no_grad()
    def measure(self, model: nn.Module, batches: Iterable[CrystalBatch]) -> dict[str, float]:
        """Every term of the loss, with noise that is the same each time; means over the crystals."""
        sums: dict[str, float] = {}
        total = 0
        device = next(model.parameters()).device
        for batch in batches:
            moved = batch.to(device)
            shown = torch.zeros(len(batch), 2, dtype=torch.bool, device=device)
            for draw in range(DRAWS):
                samples = torch.arange(total, total + len(batch), device=device)
                noise = SeededNoise(draw, samples, moved.batch, moved.within, moved.cell.dtype)
                for name, term in model.losses(moved, noise, shown).items():  # type: ignore[operator]
                    sums[name] = sums.get(name, 0.0) + float(term) * len(batch) / DRAWS
            total += len(batch)
        return {name if name == "loss" else f"{name}_loss": value / total for name, value in sums.items()}


class TrainableGenerator:
    """A generator and the crystals that it is trained on; see :class:`Trainable`.

    Parameters
    ----------
    recipe
        A training recipe.
    prepared
        Its data.
    """

    def __init__(self, recipe: Any, prepared: PreparedCrystals) -> None:
        self.recipe = recipe
        self.prepared = prepared
        self.parts = prepared.parts
        self.held_out: tuple[str, ...] = tuple(name for name in ("valid", "test") if name in self.parts)
        self.objective: Objective = DenoisingObjective()
        self.notes: list[str] = []

    def new_model(self) -> CrystalGenerator:
        train = self.parts["train"]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            model = make_generator(self.recipe.model, elements=np.unique(train.numbers).tolist(), sizes=train.sizes)
        model.fit(torch.from_numpy(train.cells), torch.from_numpy(train.values))
        return model.to(PRECISIONS[self.recipe.training.precision])

    def budget(self, part: str, section: Any) -> tuple[Budget, NDArray[np.int64]]:
        counts = self.parts[part].counts
        each = {"structures": np.ones_like(counts), "atoms": counts, "edges": counts**2}
        budget = Budget.of(section)
        return budget, each[budget.unit]

    def lengths(self, part: str) -> None:
        """Batches are not filled up."""

    def batches(self, part: str, indices: Iterable[list[int]], workers: int) -> CrystalLoader:
        """All data lie in memory, whatever the number of workers."""
        dtype = PRECISIONS[self.recipe.training.precision]
        return CrystalLoader(self.parts[part], indices, dtype, system=self.recipe.model.conditions.system)

    def largest_batch_edges(self) -> int:
        budget, sizes = self.budget("train", self.recipe.training.batch)
        crystals = max(1, min(int(budget.limit // max(1.0, float(sizes.mean()))), len(sizes)))
        return int(crystals * float((self.parts["train"].counts ** 2).mean()))

    def facts(self) -> dict[str, Any]:
        crystals = {name: len(part) for name, part in self.parts.items()}
        return {"data": self.prepared.inputs, "settings": self.prepared.settings, "crystals": crystals}

    def finish(self, model: nn.Module) -> dict[str, Any]:
        return {}

    def describe(self, batch: CrystalBatch) -> str:
        return f"{len(batch)} crystals and {len(batch.numbers)} atoms"
