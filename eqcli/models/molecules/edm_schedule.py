"""How the signal of EDM fades: gamma(t) = -log SNR(t) at the steps 0 to T, rising."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from eqcli.diffusion.schedules import cosine_alpha_bar, polynomial_alpha_bar
from eqcli.models.molecules.configs.edm import EDMConfig

HIDDEN = 256
"""Width of the network of a learned schedule."""


class Schedule(nn.Module, ABC):
    """The negative logarithm of signal to noise; the share of signal is the sigmoid of its negative."""

    @abstractmethod
    def table(self, device: torch.device) -> Tensor:
        """gamma at the steps 0 to T, `[T + 1]` float64, whatever precision the model has."""


class FixedSchedule(Schedule):
    """A schedule that is given.

    Parameters
    ----------
    alpha_bar
        Share of the variance that is signal at each step, within (0, 1), `[T + 1]` float64.
    """

    def __init__(self, alpha_bar: Tensor) -> None:
        super().__init__()
        # No buffer: it would lose its digits where the model is cast to single precision.
        self._gamma = torch.log1p(-alpha_bar) - torch.log(alpha_bar)

    def table(self, device: torch.device) -> Tensor:
        return self._gamma.to(device)


class LearnedSchedule(Schedule):
    """A monotone network between two ends that are learned too (Kingma et al., NeurIPS 2021, appendix H).

    Parameters
    ----------
    steps
        T.
    precision
        Share of noise at step 0, and of signal at step T, before it is trained.
    """

    def __init__(self, steps: int, precision: float) -> None:
        super().__init__()
        self.steps = steps
        end = math.log1p(-precision) - math.log(precision)
        self.first = nn.Parameter(torch.tensor(-end))
        self.range = nn.Parameter(torch.tensor(_inverse_softplus(2.0 * end)))
        # Weights pass through softplus: sums of rising functions rise.
        self.slope = nn.Parameter(torch.tensor(_inverse_softplus(1.0)))
        self.inner = nn.Parameter(torch.full((HIDDEN,), _inverse_softplus(8.0)))
        self.shifts = nn.Parameter(-8.0 * torch.linspace(0.0, 1.0, HIDDEN))
        self.outer = nn.Parameter(torch.full((HIDDEN,), _inverse_softplus(0.1 / HIDDEN)))

    def table(self, device: torch.device) -> Tensor:
        time = torch.linspace(0.0, 1.0, self.steps + 1, dtype=torch.float64, device=device).unsqueeze(1)
        waves = torch.sigmoid(time * softplus(self.inner.double()) + self.shifts.double())
        risen = time.squeeze(1) * softplus(self.slope.double()) + waves @ softplus(self.outer.double())
        share = (risen - risen[0]) / (risen[-1] - risen[0])
        return self.first.double() + softplus(self.range.double()) * share


def make_schedule(config: EDMConfig) -> Schedule:
    """The schedule that the hyper-parameters describe."""
    if config.schedule == "learned":
        return LearnedSchedule(config.timesteps, config.precision)
    if config.schedule == "polynomial":
        return FixedSchedule(polynomial_alpha_bar(config.timesteps, config.schedule_power, config.precision))
    # A little noise at the end, as the polynomial has it: the bound is finite for that.
    s = config.precision
    return FixedSchedule((1.0 - 2.0 * s) * cosine_alpha_bar(config.timesteps) + s)


def _inverse_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))
