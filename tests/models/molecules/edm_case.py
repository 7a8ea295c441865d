"""Small molecules, a small EDM, and one whose answer is known in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import DenseNoise, seeded_noise
from eqcli.geometry.centred import centred
from eqcli.graph.molecule_batch import MoleculeBatch, empty_batch
from eqcli.models.molecules.configs.edm import EDMConfig
from eqcli.models.molecules.edm import EDM
from eqcli.models.molecules.vocabulary import MoleculeStatistics, Vocabulary

ELEMENTS = (1, 6, 8)
SIZES = [0, 1, 2, 3, 2, 4]
SPREAD = 1.3


def edm(*, seed: int = 0, kind: type[EDM] = EDM, shake: float = 0.1, **options: Any) -> EDM:
    """An EDM in float64 with weights that are all at work."""
    torch.manual_seed(seed)
    network = {"name": "egnn", "channels": 12, "num_layers": 2, "coordinates_range": 2.0}
    config = EDMConfig.model_validate({"denoiser": network, "timesteps": 50, **options})
    model = kind(config, vocabulary=Vocabulary(ELEMENTS), sizes=SIZES).to(torch.float64)
    with torch.no_grad():  # what is zero at first would hide mistakes
        for parameter in model.denoiser.parameters():
            parameter.add_(shake * torch.randn_like(parameter))
    values = torch.randn(8, len(config.conditions.values), dtype=torch.float64)
    model.fit(MoleculeStatistics(SPREAD, {}, values))
    return model.eval()


def molecules(counts: list[int], seed: int = 0, dtype: torch.dtype = torch.float64) -> MoleculeBatch:
    """Molecules whose positions are normal numbers times the spread."""
    draw = torch.Generator().manual_seed(seed)
    batch = empty_batch(torch.tensor(counts), dtype)
    places = torch.randint(len(ELEMENTS), batch.numbers.shape, generator=draw)
    x = SPREAD * torch.randn(*batch.positions.shape, generator=draw, dtype=torch.float64)
    numbers = torch.tensor(ELEMENTS)[places] * batch.mask
    return replace(batch, numbers=numbers, positions=centred(x, batch.mask).to(dtype))


def noise_for(batch: MoleculeBatch, seed: int = 0, dtype: torch.dtype = torch.float64) -> DenseNoise:
    return seeded_noise(seed, torch.arange(len(batch)), batch.width, dtype)


class KnownEDM(EDM):
    """Knows the elements, and that positions are normal numbers times the spread: the noise it expects is exact."""

    wanted: MoleculeBatch

    def predict(self, batch: MoleculeBatch, z: Tensor, step: Tensor, withheld: Tensor | None) -> Tensor:
        gamma = self.gamma()[step][:, None, None]
        signal, variance = torch.sigmoid(-gamma), torch.sigmoid(gamma)
        positions = variance.sqrt() * z[..., :3] / (signal * SPREAD**2 + variance)
        codes = self.codes.encode(self.wanted.numbers, z.dtype) * batch.mask.unsqueeze(-1)
        elements = (z[..., 3:] - signal.sqrt() * codes) / variance.sqrt()
        return torch.cat([positions, elements], dim=-1)


def known(batch: MoleculeBatch, **options: Any) -> KnownEDM:
    """A model of the molecules of `batch`."""
    model = edm(kind=KnownEDM, **options)
    assert isinstance(model, KnownEDM)
    model.wanted = batch
    return model
