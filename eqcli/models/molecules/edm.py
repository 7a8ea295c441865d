"""EDM: diffusion of the positions and elements of molecules (Hoogeboom et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.geometry.centred import centred
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.base import CONTEXT, MoleculeGenerator, Sampled
from eqcli.models.molecules.bound import bound_losses
from eqcli.models.molecules.configs.edm import EDMConfig
from eqcli.models.molecules.denoiser import DenoiserInput, DenoiserSizes, make_denoiser
from eqcli.models.molecules.edm_features import ElementCodes
from eqcli.models.molecules.edm_sampling import Walk
from eqcli.models.molecules.edm_schedule import make_schedule
from eqcli.models.molecules.vocabulary import Vocabulary

RADII = 6.0
"""Atoms of a predicted molecule lie within so many times the spread of the training molecules."""


class EDM(MoleculeGenerator):
    """Positions without drift and scaled elements lose their signal to Gaussian noise; the network learns the noise.

    z_t = alpha_t [x, h] + sigma_t eps at the steps t = 0 ... T, with alpha_t^2 = sigmoid(-gamma_t) and
    sigma_t^2 = sigmoid(gamma_t). The noise of positions, and what the network says of it, have no drift.

    Parameters
    ----------
    config, vocabulary, sizes
        As every generator.
    """

    config: EDMConfig

    def __init__(self, config: EDMConfig, *, vocabulary: Vocabulary, sizes: Sequence[int]) -> None:
        super().__init__(config, vocabulary=vocabulary, sizes=sizes)
        number_scale = config.atomic_number_scale if config.atomic_number else None
        self.codes = ElementCodes(vocabulary.elements, config.element_scale, number_scale)
        self.schedule = make_schedule(config)
        width = self.codes.width
        self.denoiser = make_denoiser(
            config.denoiser, DenoiserSizes(atoms=width, pairs=0, context=CONTEXT, atoms_out=width, pairs_out=0)
        )

    def losses(self, batch: MoleculeBatch, noise: DenseNoise, withheld: Tensor | None = None) -> dict[str, Tensor]:
        withheld = self.withheld(batch, noise) if withheld is None else withheld
        if self.config.loss == "bound":
            return bound_losses(self, batch, noise, withheld)
        steps = self.config.timesteps
        step = (noise.uniform_molecules(1).squeeze(1) * (steps + 1)).long().clamp(max=steps)
        eps = self.draw(batch, noise)
        z = self.noised(self.data(batch), eps, self.gamma()[step])
        squared = (self.predict(batch, z, step, withheld) - eps).square().sum(dim=1)
        entries = (squared.shape[1] * batch.counts.to(self.dtype)).clamp(min=1.0)
        positions, elements = 0.5 * squared[:, :3].sum(dim=1) / entries, 0.5 * squared[:, 3:].sum(dim=1) / entries
        return {
            "loss": (positions + elements).mean(),
            "positions": positions.mean(),
            "elements": elements.mean(),
        }

    def sample(
        self,
        request: MoleculeBatch,
        noise: DenseNoise,
        settings: Any,
        *,
        guidance: float = 1.0,
        on_step: Callable[[int], None] | None = None,
    ) -> Sampled:
        return Walk(self, request, noise, settings, guidance).taken(on_step)

    def gamma(self) -> Tensor:
        """-log SNR at the steps 0 to T, `[T + 1]` float64."""
        return self.schedule.table(self.sizes.device)

    def data(self, batch: MoleculeBatch) -> Tensor:
        """What is diffused: positions without drift and codes of elements, `[B, N, 3 + F]`."""
        positions = centred(batch.positions.to(self.dtype), batch.mask)
        return torch.cat([positions, self.codes.encode(batch.numbers, self.dtype) * batch.mask.unsqueeze(-1)], dim=-1)

    def draw(self, batch: MoleculeBatch, noise: DenseNoise) -> Tensor:
        """Standard normal noise, that of positions without drift, `[B, N, 3 + F]`."""
        codes = noise.normal_atoms(self.codes.width) * batch.mask.unsqueeze(-1)
        return torch.cat([self.base(batch, noise), codes], dim=-1).to(self.dtype)

    def noised(self, data: Tensor, eps: Tensor, gamma: Tensor) -> Tensor:
        """z where -log SNR is `gamma` `[B]`, `[B, N, 3 + F]`."""
        signal, width = (torch.sigmoid(s * gamma).sqrt().to(data.dtype)[:, None, None] for s in (-1.0, 1.0))
        return signal * data + width * eps

    def predict(self, batch: MoleculeBatch, z: Tensor, step: Tensor, withheld: Tensor | None) -> Tensor:
        """The noise in `z` at steps `[B]`, `[B, N, 3 + F]`; without drift, and zero where there is no atom."""
        context = self.context(batch, 1.0 - step.to(self.dtype) / self.config.timesteps, withheld)
        out = self.denoiser(DenoiserInput(z[..., :3], z[..., 3:], None, context, batch.mask, batch.pairs))
        return torch.cat([centred(out.vectors, batch.mask), out.atoms * batch.mask.unsqueeze(-1)], dim=-1)

    def within(self, clean: Tensor, batch: MoleculeBatch) -> Tensor:
        """Predicted data kept near that of training; the farther its atoms may lie, the more there are."""
        size = (batch.counts.to(clean.dtype) / self.typical_size.to(clean.dtype)).clamp(min=1.0)
        limit = (RADII * self.spread.to(clean.dtype) * size)[:, None, None]
        lengths = clean[..., :3].norm(dim=-1, keepdim=True)
        positions = clean[..., :3] * (limit / lengths.clamp(min=1e-12)).clamp(max=1.0)
        codes = self.codes.clipped(clean[..., 3:]) * batch.mask.unsqueeze(-1)
        return torch.cat([centred(positions, batch.mask), codes], dim=-1)
