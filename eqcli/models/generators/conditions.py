"""What a generation is steered by, as features of each crystal."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.models.generators.configs.common import ConditionsConfig


class Conditions(nn.Module):
    """Features of the conditions of each crystal, with a learned vector where one is withheld.

    Parameters
    ----------
    config
        Which conditions there are.
    elements
        Atomic numbers that the model knows, `[M]`.
    channels
        Number of features.
    """

    elements: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, config: ConditionsConfig, elements: Tensor, channels: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("elements", elements, False)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("spread", torch.ones(()))
        steered, system = config.value is not None, config.system
        self.value = (
            nn.Sequential(nn.Linear(1, channels), nn.SiLU(), nn.Linear(channels, channels)) if steered else None
        )
        self.system = nn.Linear(len(elements), channels) if system else None
        self.without = nn.Parameter(torch.zeros(2, channels))

    def fit(self, values: Tensor) -> None:
        """Takes mean and spread of the property over the training crystals, `[B]`."""
        known = values[values.isfinite()]
        if not len(known):
            return
        self.mean.fill_(float(known.mean()))
        self.spread.fill_(max(float(known.std(correction=0)), 1e-8))

    def forward(self, batch: CrystalBatch, withheld: Tensor) -> Tensor:
        """Features `[B, C]`; `withheld` `[B, 2]` hides the property, and the system, of a crystal."""
        value, without_value = self._value(batch)
        system, without_system = self._system(batch)
        value = torch.where((withheld[:, 0] | without_value).unsqueeze(1), self.without[0], value)
        system = torch.where((withheld[:, 1] | without_system).unsqueeze(1), self.without[1], system)
        return value + system

    def _value(self, batch: CrystalBatch) -> tuple[Tensor, Tensor]:
        dtype = self.without.dtype
        if self.value is None or batch.value is None:
            return self.without.new_zeros(1), torch.ones(len(batch), dtype=torch.bool, device=self.without.device)
        scaled = (batch.value.to(dtype) - self.mean) / self.spread
        unknown = ~scaled.isfinite()
        return self.value(scaled.masked_fill(unknown, 0.0).unsqueeze(1)), unknown

    def _system(self, batch: CrystalBatch) -> tuple[Tensor, Tensor]:
        if self.system is None or batch.system is None:
            return self.without.new_zeros(1), torch.ones(len(batch), dtype=torch.bool, device=self.without.device)
        known = batch.system[:, self.elements]
        # A system of every element says nothing.
        return self.system(known.to(self.without.dtype)), known.all(dim=1)
