"""DiffCSP: joint diffusion of lattice, coordinates and species (Jiao et al., NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from eqcli.diffusion import gaussian, wrapped
from eqcli.diffusion.masking import hidden, uncovered
from eqcli.diffusion.noise import Noise
from eqcli.diffusion.schedules import cosine_alpha_bar, geometric_sigmas
from eqcli.geometry.wrapped_normal import mean_square_score, score
from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.models.generators.base import CrystalGenerator, Sampled, Start
from eqcli.models.generators.configs.diffcsp import DiffCSPConfig
from eqcli.models.generators.denoiser import DenoiserOutput
from eqcli.models.generators.species import CodedSpecies, HiddenSpecies

CODE_CLIP = 1.5
"""What is read back as the clean code of a species lies within this."""


class DiffCSP(CrystalGenerator):
    """Lattices lose their signal to Gaussian noise, coordinates to noise wrapped around the torus.

    The network learns the noise of the lattice and the score of the coordinates,
    the latter in units of its root mean square at each width (section 4).

    Parameters
    ----------
    config, elements, sizes
        As every generator.
    """

    config: DiffCSPConfig
    signal: Tensor
    width: Tensor
    unit: Tensor

    def __init__(self, config: DiffCSPConfig, *, elements: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__(config, elements=elements, sizes=sizes)
        alpha_bar = cosine_alpha_bar(config.timesteps)
        sigma = geometric_sigmas(config.timesteps, config.sigma_min, config.sigma_max)
        unit = mean_square_score(sigma.clamp(min=config.sigma_min)).sqrt()
        # Two roots, each exact: 1 - alpha_bar is not, in single precision.
        self.register_buffer("signal", torch.stack([alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt()], dim=1), False)
        self.register_buffer("width", sigma, False)
        self.register_buffer("unit", unit, False)
        self._alpha_bar: list[float] = alpha_bar.tolist()
        self._sigma: list[float] = sigma.tolist()
        self._unit: list[float] = unit.tolist()

    def losses(self, batch: CrystalBatch, noise: Noise, withheld: Tensor | None = None) -> dict[str, Tensor]:
        config = self.config
        withheld = self.withheld(batch, noise) if withheld is None else withheld
        step = 1 + (noise.uniform_crystals(1).squeeze(1) * config.timesteps).long().clamp(max=config.timesteps - 1)
        signal, of_atoms = self.signal[step], step[batch.batch]
        eps, width = noise.normal_crystals(self.chart.size), self.width[of_atoms].unsqueeze(1)
        lattice = signal[:, :1] * self.chart.encode(batch.cell) + signal[:, 1:] * eps
        shift = width * noise.normal_atoms(3)
        species, target = self._noised_species(batch, step, noise)
        out = self.look(batch, species, batch.fractional + shift, lattice, step.to(self.dtype), withheld)
        wanted = score(shift, width) / self.unit[of_atoms].unsqueeze(1)
        terms = {
            "lattice": (out.lattice - eps).square().mean(),
            "coordinates": (out.coordinates - wanted).square().mean(),
        }
        if target is not None:
            terms["species"] = self.species.loss(out.species, species, target)
        weights = self.term_weights(terms)
        return {"loss": torch.stack([weights[name] * term for name, term in terms.items()]).sum(), **terms}

    def term_weights(self, names: Iterable[str]) -> dict[str, float]:
        config = self.config
        weights = {
            "lattice": config.lattice_weight,
            "coordinates": config.coordinates_weight,
            "species": config.species_weight,
        }
        return {name: weights[name] for name in names}

    def sample(
        self,
        request: CrystalBatch,
        noise: Noise,
        settings: Any,
        *,
        guidance: float = 1.0,
        start: Start | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> Sampled:
        look, calls_each = self.guided(request, guidance)
        times = self.times(settings.steps, 1.0 if start is None else start.strength)
        species, fractional, lattice = self._begin(request, noise, times[0], start)
        calls = 0
        for now, later in pairwise(times):
            if settings.corrector > 0:
                out = look(species, fractional, lattice, float(now))
                size = settings.corrector * (self._sigma[now] / self._sigma[1]) ** 2
                # The last corrector step is without noise, as its predictor.
                kick = noise.normal_atoms(3) if later > 0 else torch.zeros_like(fractional)
                fractional = wrapped.langevin_step(fractional, out.coordinates * self._unit[now], size, kick)
                calls += calls_each
            out = look(species, fractional, lattice, float(now))
            calls += calls_each
            fractional = wrapped.reverse_step(
                fractional,
                out.coordinates * self._unit[now],
                self._sigma[now],
                self._sigma[later],
                noise.normal_atoms(3),
            )
            lattice = self._lattice_step(lattice, out.lattice, now, later, noise, settings.eta)
            species = self._species_step(request, species, out, now, later, noise, settings.eta)
            if on_step is not None:
                on_step()
        numbers = self.decoded_species(request, species) if self.gives_species else request.numbers
        return Sampled(request.with_structure(numbers, fractional, self.chart.decode(lattice)), calls)

    def times(self, steps: int, strength: float = 1.0) -> list[int]:
        """The steps of the diffusion that sampling visits, from the noisiest to 0."""
        first = max(1, round(self.config.timesteps * strength))
        count = max(1, min(first, round(steps * strength)))
        return sorted({round(first * i / count) for i in range(count + 1)}, reverse=True)

    def _begin(
        self, request: CrystalBatch, noise: Noise, first: int, start: Start | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Species, coordinates and lattice at the first step: noise, or structures with noise on them."""
        fractional, lattice = noise.uniform_atoms(3), noise.normal_crystals(self.chart.size)
        if start is not None:
            fractional = wrapped.noised(start.fractional, self._sigma[first], noise.normal_atoms(3))
            lattice = gaussian.noised(self.chart.encode(start.cell), self._alpha_bar[first], lattice)
        if isinstance(self.species, CodedSpecies):
            codes = noise.normal_atoms(self.species.output_size)
            if start is not None:
                codes = gaussian.noised(self.species.encode(request.numbers), self._alpha_bar[first], codes)
            return codes, fractional, lattice
        if isinstance(self.species, HiddenSpecies):
            tokens = torch.full_like(request.numbers, self.species.mask)
            if start is not None:
                tokens = self.hidden_species(request, first / self.config.timesteps, noise)
            return tokens, fractional, lattice
        return self.species.index(request.numbers), fractional, lattice

    def _lattice_step(self, state: Tensor, eps: Tensor, now: int, later: int, noise: Noise, eta: float) -> Tensor:
        """A reverse step through the estimate of the clean lattice, which is kept near those of training.

        Single steps change nothing by that, strides do: where hardly any signal is
        left, a small error of the noise is a huge one of the lattice.
        """
        late, early = self._alpha_bar[now], self._alpha_bar[later]
        clean = self.chart.clipped(gaussian.clean_from_noise(state, eps, late))
        return self._toward(state, clean, late, early, noise.normal_crystals(self.chart.size), eta)

    def _species_step(
        self,
        request: CrystalBatch,
        state: Tensor,
        out: DenoiserOutput,
        now: int,
        later: int,
        noise: Noise,
        eta: float,
    ) -> Tensor:
        if isinstance(self.species, HiddenSpecies):
            total = self.config.timesteps
            uniform, allowed = noise.uniform_atoms(2), self.allowed(request)
            return uncovered(state, out.species, now / total, later / total, uniform, self.species.mask, allowed)
        if not isinstance(self.species, CodedSpecies):
            return state
        late, early = self._alpha_bar[now], self._alpha_bar[later]
        clean = gaussian.clean_from_noise(state, out.species, late).clamp(-CODE_CLIP, CODE_CLIP)
        return self._toward(state, clean, late, early, noise.normal_atoms(state.shape[1]), eta)

    def _toward(self, state: Tensor, clean: Tensor, late: float, early: float, draw: Tensor, eta: float) -> Tensor:
        eps = gaussian.noise_from_clean(state, clean, late)
        return gaussian.ddim_step(state, eps, late, early, draw, eta)

    def _noised_species(self, batch: CrystalBatch, step: Tensor, noise: Noise) -> tuple[Tensor, Tensor | None]:
        if isinstance(self.species, CodedSpecies):
            signal = self.signal[step][batch.batch]
            code = self.species.encode(batch.numbers)
            eps = noise.normal_atoms(code.shape[1])
            return signal[:, :1] * code + signal[:, 1:] * eps, eps
        tokens = self.species.index(batch.numbers)
        if isinstance(self.species, HiddenSpecies):
            share = step[batch.batch].to(self.dtype) / self.config.timesteps
            return hidden(tokens, share, noise.uniform_atoms(1).squeeze(1), self.species.mask), tokens
        return tokens, None
