"""What a generation of molecules is steered by, as features of each molecule."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.configs.common import MoleculeConditionsConfig


class MoleculeConditions(nn.Module):
    """Features of the wanted properties of each molecule, with a learned vector where one is withheld.

    Parameters
    ----------
    config
        Which properties there are.
    channels
        Number of features.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, config: MoleculeConditionsConfig, channels: int) -> None:
        super().__init__()
        count = len(config.values)
        self.count = count
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.value = nn.ModuleList(
            nn.Sequential(nn.Linear(1, channels), nn.SiLU(), nn.Linear(channels, channels)) for _ in range(count)
        )
        self.without = nn.Parameter(torch.zeros(count, channels))

    def fit(self, values: Tensor) -> None:
        """Takes mean and mean absolute deviation of each property over the training molecules, `[S, P]`."""
        for column in range(self.count):
            known = values[:, column][values[:, column].isfinite()]
            if len(known):
                self.mean[column] = known.mean()
                self.spread[column] = max(float((known - known.mean()).abs().mean()), 1e-8)

    def forward(self, batch: MoleculeBatch, withheld: Tensor) -> Tensor:
        """Features `[B, C]`; `withheld` `[B, P]` hides a property of a molecule, and so does NaN."""
        dtype = self.without.dtype
        found = self.without.new_zeros(len(batch), self.without.shape[1])
        for column, network in enumerate(self.value):
            if batch.values is None:
                found = found + self.without[column]
                continue
            scaled = (batch.values[:, column].to(dtype) - self.mean[column]) / self.spread[column]
            hidden = withheld[:, column] | ~scaled.isfinite()
            told = network(scaled.masked_fill(hidden, 0.0).unsqueeze(1))
            found = found + torch.where(hidden.unsqueeze(1), self.without[column], told)
        return found
