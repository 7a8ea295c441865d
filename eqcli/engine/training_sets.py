"""What families whose data lie in memory bring to training alike, and what generators do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from eqcli.data.batches import Budget
from eqcli.engine.training_held_out import HeldOut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eqcli.data.prepared_sets import PreparedSets
    from eqcli.engine.training_objective import Objective

DRAWS = 2
"""How often the noise of a held-out structure is drawn: losses of single draws vary much."""


class ProcessObjective(ABC):
    """The loss of the model's own process, at random times and with random noise."""

    @abstractmethod
    def state_noise(self, batch: Any) -> Any:
        """Noise of torch's global random state."""

    @abstractmethod
    def seeded_noise(self, seed: int, samples: Tensor, batch: Any) -> Any:
        """Noise that a seed and the numbers of the structures fix."""

    @abstractmethod
    def conditions(self, batch: Any) -> int:
        """How many conditions there are to hide."""

    means = 1

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        terms: dict[str, Tensor] = model.losses(batch, self.state_noise(batch))  # type: ignore[operator]
        return terms["loss"]

    def counts(self, batch: Any) -> Tensor:
        """Structures."""
        return torch.tensor([len(batch)], dtype=torch.float64)

    def share(self, model: nn.Module, batch: Any, counts: Tensor) -> Tensor:
        """Of a loss whose terms are all means over the structures."""
        return self.loss(model, batch) * (len(batch) / float(counts[0]))

    @torch.no_grad()
    def measure(self, model: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
        """Every term of the loss, with noise that is the same each time; means over the structures."""
        sums: dict[str, float] = {}
        total = 0
        device = next(model.parameters()).device
        held_out = HeldOut.of(batches)
        for first, batch in held_out.numbered():
            moved = batch.to(device)
            shown = torch.zeros(len(batch), self.conditions(moved), dtype=torch.bool, device=device)
            for draw in range(DRAWS):
                samples = torch.arange(first, first + len(batch), device=device)
                noise = self.seeded_noise(draw, samples, moved)
                for name, term in model.losses(moved, noise, shown).items():  # type: ignore[operator]
                    sums[name] = sums.get(name, 0.0) + float(term) * len(batch) / DRAWS
            total += len(batch)
        sums, total = held_out.means(sums, total)
        return {name if name == "loss" else f"{name}_loss": value / total for name, value in sums.items()}


class TrainableSets(ABC):
    """A model and the structures, systems or pairs that it is trained on, all in memory; see :class:`Trainable`.

    Parameters
    ----------
    recipe
        A training recipe.
    prepared
        Its data.
    """

    what: ClassVar[str]
    objective: Objective

    def __init__(self, recipe: Any, prepared: PreparedSets[Any]) -> None:
        self.recipe = recipe
        self.prepared = prepared
        self.parts = prepared.parts
        self.held_out: tuple[str, ...] = tuple(name for name in ("valid", "test") if name in self.parts)
        self.notes: list[str] = []

    def budget(self, part: str, section: Any) -> tuple[Budget, NDArray[np.int64]]:
        counts = self.parts[part].counts
        each = {"structures": np.ones_like(counts), "atoms": counts, "edges": counts**2}
        budget = Budget.of(section)
        return budget, each[budget.unit]

    def largest_batch_edges(self) -> int:
        budget, sizes = self.budget("train", self.recipe.training.batch)
        structures = max(1, min(int(budget.limit // max(1.0, float(sizes.mean()))), len(sizes)))
        return int(structures * float((self.parts["train"].counts ** 2).mean()))

    def part_that_fits(self, device: torch.device, machines: int) -> float:
        return 1.0

    def facts(self) -> dict[str, Any]:
        sizes = {name: len(part) for name, part in self.parts.items()}
        return {"data": self.prepared.inputs, "settings": self.prepared.settings, self.what: sizes}

    def finish(self, model: nn.Module) -> dict[str, Any]:
        return {}
