"""The contract of a generator of molecules, and what its systems share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.geometry.centred import centred
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.conditions import MoleculeConditions
from eqcli.models.molecules.vocabulary import MoleculeStatistics, Vocabulary
from eqcli.nn.fourier_features import TimeEmbedding

CONTEXT = 64
"""Features of time, size and conditions."""

STEPS = 1000.0
"""What the network is told at the end of the way: the time embedding is made for steps of a diffusion."""


@dataclass(frozen=True)
class Sampled:
    """What a generator made, and the network calls it took for each molecule."""

    molecules: MoleculeBatch
    calls: int


class MoleculeGenerator(nn.Module, ABC):
    """Makes molecules: positions and elements, and what else the system has.

    What must hold, in exact arithmetic, of the distribution that it draws from:
    rotated, mirrored and permuted molecules are equally likely, and positions have
    no drift; the molecules of a batch do not depend on each other.

    Parameters
    ----------
    config
        Hyper-parameters, one of the classes in `configs/`.
    vocabulary
        What occurs in the training molecules.
    sizes
        How many training molecules have 0, 1, 2 ... atoms.
    """

    family: ClassVar[str] = "molecules"

    sizes: Tensor
    spread: Tensor
    typical_size: Tensor

    def __init__(self, config: Any, *, vocabulary: Vocabulary, sizes: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        counts = torch.tensor(list(sizes), dtype=torch.int64)
        self.register_buffer("sizes", counts, False)
        mean = (counts * torch.arange(len(counts))).sum() / counts.sum().clamp(min=1)
        self.register_buffer("typical_size", mean.clamp(min=1.0), False)
        self.register_buffer("spread", torch.ones(()))
        self.time = TimeEmbedding(CONTEXT)
        self.size = nn.Linear(1, CONTEXT)
        self.conditions = MoleculeConditions(config.conditions, CONTEXT) if config.conditions.values else None

    @abstractmethod
    def losses(self, batch: MoleculeBatch, noise: DenseNoise, withheld: Tensor | None = None) -> dict[str, Tensor]:
        """Terms of the loss by name, means over the batch; `loss` is what is minimised.

        `withheld` `[B, P]` hides properties; drawn from `noise` with the rate of the recipe where None.
        """

    @abstractmethod
    def sample(
        self,
        request: MoleculeBatch,
        noise: DenseNoise,
        settings: Any,
        *,
        guidance: float = 1.0,
        on_step: Callable[[int], None] | None = None,
    ) -> Sampled:
        """Draws a molecule for each of `request`.

        Parameters
        ----------
        request
            Numbers of atoms, wanted properties, and atoms that are given: these come back where they were, the others
            are made around them. Nothing else of it is looked at.
        noise
            Where random numbers come from.
        settings
            As `config.sampling`.
        guidance
            Weight of the conditions: 0 leaves them out, 1 takes them as learned, more exaggerates them.
        on_step
            Called after each step with its number.
        """

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return next(self.parameters()).dtype

    @property
    def makes_bonds(self) -> bool:
        """Whether molecules come with bonds."""
        return False

    def fit(self, statistics: MoleculeStatistics) -> None:
        """Takes statistics of the training molecules."""
        self.spread.fill_(statistics.spread)
        if self.conditions is not None:
            self.conditions.fit(statistics.values)

    def withheld(self, batch: MoleculeBatch, noise: DenseNoise) -> Tensor | None:
        """Which properties of which molecules training hides, `[B, P]` bool; None without conditions."""
        if self.conditions is None:
            return None
        return noise.uniform_molecules(self.conditions.count) < self.config.conditions.dropout

    def context(self, batch: MoleculeBatch, time: Tensor, withheld: Tensor | None) -> Tensor:
        """Features of time `[B]` in (0, 1), size and conditions, `[B, C]`."""
        sizes = (batch.counts.to(self.dtype) / self.typical_size).unsqueeze(1) - 1.0
        found = self.time(STEPS * time.to(self.dtype)) + self.size(sizes)
        if self.conditions is None:
            return found
        assert withheld is not None
        return found + self.conditions(batch, withheld)

    def shown(self, batch: MoleculeBatch, guidance: float) -> list[tuple[float, Tensor | None]]:
        """Weights and hidden properties of the network calls that a guidance asks for; weights add up to one.

        Classifier-free guidance, Ho and Salimans (2022): weights other than 0 and 1 need two calls.
        """
        if self.conditions is None:
            return [(1.0, None)]
        hidden = torch.ones(len(batch), self.conditions.count, dtype=torch.bool, device=batch.counts.device)
        if guidance in (0.0, 1.0):
            return [(1.0, hidden if guidance == 0 else ~hidden)]
        return [(guidance, ~hidden), (1.0 - guidance, hidden)]

    def holds(self, batch: MoleculeBatch) -> bool:
        """Whether the atoms that a batch gives stay where they are, as the model was trained to."""
        return False

    def base(self, batch: MoleculeBatch, noise: DenseNoise) -> Tensor:
        """Standard normal positions, `[B, N, 3]`: without drift, or of the atoms alone that are not given."""
        drawn = noise.normal_atoms(3)
        return drawn * batch.unknown.unsqueeze(-1) if self.holds(batch) else centred(drawn, batch.mask)
