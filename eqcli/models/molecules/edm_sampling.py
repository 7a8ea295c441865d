"""The way of EDM from noise to molecules."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.diffusion import gaussian
from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.geometry.centred import centred
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.base import Sampled
from eqcli.models.molecules.configs.edm import EDMSampling
from eqcli.models.molecules.scaffold import Scaffold

if TYPE_CHECKING:
    from eqcli.models.molecules.edm import EDM


class Walk:
    """One sampling: the steps that it takes, and how.

    Every step goes through the data that the network's noise stands for, which is
    kept near that of training, as an exact prediction would be. Where hardly any
    signal is left, a small error of the noise is a huge one of the data: strides
    from there diverge without it. Given atoms stand in for predicted ones there.

    Parameters
    ----------
    model, request, noise, settings, guidance
        As :meth:`EDM.sample` takes them.
    """

    def __init__(
        self, model: EDM, request: MoleculeBatch, noise: DenseNoise, settings: EDMSampling, guidance: float
    ) -> None:
        self.model = model
        self.request = request
        self.noise = noise
        self.settings = settings
        self.looks = model.shown(request, guidance)
        self.scaffold = None if request.known is None else Scaffold(request)
        self.gamma = model.gamma().detach()
        self.alpha_bar: list[float] = torch.sigmoid(-self.gamma).tolist()
        self.calls = 0

    def taken(self, on_step: Callable[[int], None] | None) -> Sampled:
        """The molecules at the end of it."""
        step = {"ancestral": self._ancestral, "ddim": self._ddim, "heun": self._heun}[self.settings.method]
        z = self.model.draw(self.request, self.noise)
        for number, (now, later) in enumerate(pairwise(self.stops())):
            z = self._without_drift(step(z, now, later))
            if on_step is not None:
                on_step(number + 1)
        return Sampled(self._made(z), self.calls)

    def stops(self) -> list[int]:
        """The steps of the diffusion that are visited, from T to 0; those that fall together are visited once."""
        last = len(self.gamma) - 1
        count = min(self.settings.steps, last)
        if self.settings.spacing == "uniform":
            return sorted({round(last * n / count) for n in range(count + 1)}, reverse=True)
        wanted = torch.linspace(float(self.gamma[0]), float(self.gamma[-1]), count + 1, dtype=torch.float64)
        nearest = (self.gamma.cpu().unsqueeze(0) - wanted.unsqueeze(1)).abs().argmin(dim=1)
        return sorted({0, last, *nearest.tolist()}, reverse=True)

    def _ancestral(self, z: Tensor, now: int, later: int) -> Tensor:
        """A draw from the posterior, of any stride (equation 7 of the paper)."""
        mean, variance = gaussian.posterior(z, self._clean(z, now), self.alpha_bar[now], self.alpha_bar[later])
        return gaussian.ancestral_step(mean, variance, self.model.draw(self.request, self.noise))

    def _ddim(self, z: Tensor, now: int, later: int) -> Tensor:
        bars = self.alpha_bar[now], self.alpha_bar[later]
        eta = self.settings.eta
        eps = gaussian.noise_from_clean(z, self._clean(z, now), bars[0])
        draw = self.model.draw(self.request, self.noise) if eta > 0 else None
        return gaussian.ddim_step(z, eps, *bars, draw, eta)

    def _heun(self, z: Tensor, now: int, later: int) -> Tensor:
        """A step along the probability-flow ODE, exact for predicted data that is linear in log SNR.

        d(z / sigma) = x_0 d(alpha / sigma): Heun's method in the exponential form of Lu et al. (DPM-Solver++, 2022),
        of second order. Averages of the noise instead, which are of that order too, go astray on the first strides.
        """
        clean = self._clean(z, now)
        bars = self.alpha_bar[now], self.alpha_bar[later]
        there = gaussian.ddim_step(z, gaussian.noise_from_clean(z, clean, bars[0]), *bars)
        change = self._clean(self._without_drift(there), later) - clean
        span = 0.5 * float(self.gamma[now] - self.gamma[later])
        return there + bars[1] ** 0.5 * (1.0 + math.expm1(-span) / span) * change

    def _made(self, z: Tensor) -> MoleculeBatch:
        """p(x, h | z_0): positions about the predicted ones, elements by the largest entry of z_0."""
        clean = self._clean(z, 0)[..., :3]
        bar = self.alpha_bar[0]
        share = {"ancestral": 1.0, "ddim": self.settings.eta, "heun": 0.0}[self.settings.method]
        if share > 0:
            clean = clean + share * ((1.0 - bar) / bar) ** 0.5 * self.model.base(self.request, self.noise)
        numbers = self.model.codes.decode(z[..., 3:]) * self.request.mask
        made = self.request.with_molecules(positions=centred(clean, self.request.mask), numbers=numbers)
        return made if self.scaffold is None else self.scaffold.placed(made)

    def _clean(self, z: Tensor, step: int) -> Tensor:
        """The data that is predicted at a step, `[B, N, 3 + F]`."""
        steps = torch.full((len(self.request),), step, dtype=torch.int64, device=z.device)
        eps = torch.zeros_like(z)
        for weight, hidden in self.looks:
            eps = eps + weight * self.model.predict(self.request, z, steps, hidden)
        self.calls += len(self.looks)
        clean = self.model.within(gaussian.clean_from_noise(z, eps, self.alpha_bar[step]), self.request)
        return clean if self.scaffold is None else self._given(clean, self.scaffold)

    def _given(self, clean: Tensor, scaffold: Scaffold) -> Tensor:
        codes = self.model.codes.encode(self.request.numbers, clean.dtype)
        codes = torch.where(scaffold.known.unsqueeze(-1), codes, clean[..., 3:])
        return torch.cat([scaffold.fitted(clean[..., :3]), codes], dim=-1)

    def _without_drift(self, z: Tensor) -> Tensor:
        """Rounding would add up over the steps."""
        return torch.cat([centred(z[..., :3], self.request.mask), z[..., 3:]], dim=-1)
