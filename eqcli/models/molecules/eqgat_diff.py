"""EQGAT-diff: joint diffusion of positions, elements, bonds, charges and hybridisations (Le et al., ICLR 2024)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.diffusion.gaussian import ancestral_step, posterior
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.configs.eqgat_diff import EQGATDiffConfig
from eqcli.models.molecules.joint import JointGenerator
from eqcli.models.molecules.joint_states import BONDS
from eqcli.models.molecules.vocabulary import Vocabulary

OFFSET = 0.008
"""Of the cosine schedule, which keeps its first steps from being too small."""

LEAST_KEPT = 0.05
"""No step keeps less of the signal of the one before."""

FIRST_SIGNAL = 1.0 - 1e-5
"""Largest signal of noisy positions: the ratio of signal to noise is finite."""


class EQGATDiff(JointGenerator):
    """Each kind of feature loses its signal at its own pace: bonds and positions last.

    The network predicts the data; the loss of a step is weighted by its clipped
    ratio of signal to noise (section 4 of the paper). Positions take steps of the
    Gaussian posterior, categories those of theirs.

    Parameters
    ----------
    config, vocabulary, sizes
        As every generator.
    """

    config: EQGATDiffConfig

    def __init__(self, config: EQGATDiffConfig, *, vocabulary: Vocabulary, sizes: Sequence[int]) -> None:
        super().__init__(config, vocabulary=vocabulary, sizes=sizes)
        exponents = {"positions": config.positions_exponent, BONDS: config.bonds_exponent}
        # No buffers: they would lose their digits where the model is cast to single precision.
        self._tables = {
            name: adaptive_cosine(config.timesteps, exponents.get(name, config.categories_exponent))
            for name in ("positions", *self.kinds)
        }
        self._tables["positions"] = self._tables["positions"].clamp(max=FIRST_SIGNAL)

    def signal(self, name: str, time: Tensor) -> Tensor:
        return self._tables[name].to(time.device)[self.step_of(time)].to(time.dtype)

    def step_of(self, time: Tensor) -> Tensor:
        """The step, from 0 at the data to `timesteps`, of times that run from 0 to 1 at the data."""
        return ((1.0 - time) * self.config.timesteps).round().long()

    def times(self, settings: Any) -> list[float]:
        steps = min(settings.steps, self.config.timesteps)
        passed = [round(self.config.timesteps * n / steps) for n in range(steps + 1)]
        return [n / self.config.timesteps for n in passed]

    def draw_times(self, uniform: Tensor) -> Tensor:
        steps = self.config.timesteps
        return 1.0 - (1 + (uniform * steps).long().clamp(max=steps - 1)).to(uniform.dtype) / steps

    def step_weights(self, time: Tensor) -> Tensor:
        signal = self.signal("positions", time.double())
        ratio = signal / (1.0 - signal)
        return ratio.clamp(self.config.weight_min, self.config.weight_max).to(self.dtype)

    def noised_positions(self, clean: Tensor, batch: MoleculeBatch, time: Tensor, noise: DenseNoise) -> Tensor:
        signal = self.signal("positions", time.double())[:, None, None]
        eps = self.spread * self.base(batch, noise)
        return signal.sqrt().to(clean.dtype) * clean + (1.0 - signal).sqrt().to(clean.dtype) * eps

    def stepped_positions(
        self,
        now: Tensor,
        clean: Tensor,
        batch: MoleculeBatch,
        span: tuple[float, float],
        noise: DenseNoise,
        settings: Any,
    ) -> Tensor:
        late, early = (float(self.signal("positions", torch.tensor([t], dtype=torch.float64))) for t in span)
        if span[1] >= 1.0:
            return clean
        eps = self.spread * self.base(batch, noise)
        if settings.eta >= 1.0:
            mean, variance = posterior(now, clean, late, early)
            return ancestral_step(mean, variance, eps)
        found = (now - math.sqrt(late) * clean) / math.sqrt(1.0 - late)
        variance = settings.eta**2 * (1.0 - early) / (1.0 - late) * (1.0 - late / early)
        along = math.sqrt(max(1.0 - early - variance, 0.0))
        return math.sqrt(early) * clean + along * found + math.sqrt(variance) * eps


def adaptive_cosine(steps: int, exponent: float) -> Tensor:
    """Share of the signal that is left after each step, `[steps + 1]` float64, 1 at step 0.

    cos^2(pi/2 ((t/T)^exponent + s) / (1 + s)): the larger the exponent, the later the signal is lost (Peng et al.,
    2023; Le et al., ICLR 2024, section 3).
    """
    share = (torch.arange(steps + 1, dtype=torch.float64) / steps) ** exponent
    signal = torch.cos(0.5 * math.pi * (share + OFFSET) / (1.0 + OFFSET)).square()
    signal = (signal / signal[0]).clamp(min=1e-12)
    kept = (signal[1:] / signal[:-1]).clamp(min=LEAST_KEPT, max=1.0)
    return torch.cat([signal[:1], kept.cumprod(dim=0)])
