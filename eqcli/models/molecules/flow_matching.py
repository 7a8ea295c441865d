"""Flow matching of molecules: positions along straight lines, categories by discrete flows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from eqcli.diffusion.dense_noise import DenseNoise
from eqcli.geometry.assignment import assigned, transported
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.molecules.configs.flow_matching import FlowMatchingConfig
from eqcli.models.molecules.joint import JointGenerator


class FlowMatching(JointGenerator):
    """A flow from Gaussian positions and drawn categories to molecules.

    x_t = (1 - t) x_0 + t x_1; the network predicts x_1, and the velocity is (x_1 - x_t) / (1 - t). Categories keep
    their value with the probability t.
    """

    config: FlowMatchingConfig

    def signal(self, name: str, time: Tensor) -> Tensor:
        return time

    def times(self, settings: Any) -> list[float]:
        share = [n / settings.steps for n in range(settings.steps + 1)]
        return [1.0 - (1.0 - s) ** 2 for s in share] if settings.spacing == "late" else share

    def draw_times(self, uniform: Tensor) -> Tensor:
        return uniform ** (1.0 / self.config.time_exponent)

    def step_weights(self, time: Tensor) -> Tensor:
        return torch.ones_like(time)

    def position_weights(self, time: Tensor) -> Tensor:
        # What is left of the way is divided out: the error of the velocity, as far as `latest`.
        return (1.0 - time.clamp(max=self.config.latest)).square().reciprocal()

    def noised_positions(self, clean: Tensor, batch: MoleculeBatch, time: Tensor, noise: DenseNoise) -> Tensor:
        start = self.spread * self.base(batch, noise)
        if self.config.transport and self.holds(batch):
            # What is given fixes the frame: the rest may change places, not turn.
            start = assigned(start, clean, batch.unknown)
        elif self.config.transport:
            start = transported(start, clean, batch.mask)
        return torch.lerp(start, clean, time[:, None, None])

    def stepped_positions(
        self,
        now: Tensor,
        clean: Tensor,
        batch: MoleculeBatch,
        span: tuple[float, float],
        noise: DenseNoise,
        settings: Any,
    ) -> Tensor:
        begin, end = span
        moved = torch.lerp(now, clean, (end - begin) / (1.0 - begin))
        if settings.jitter > 0 and end < 1.0:
            # Part of the noise that should be left is drawn anew, which lets errors of earlier steps be forgotten.
            kick = self.spread * self.base(batch, noise)
            share = min(1.0, settings.jitter * (end - begin) / (1.0 - begin))
            left = moved - end * clean
            moved = end * clean + (1 - share**2) ** 0.5 * left + share * (1.0 - end) * kick
        return moved
