"""What is told of dynamics afterwards, gathered on the way in sums that stay with each structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.engine.batched.observables import conserved, pressure, temperature, volume

if TYPE_CHECKING:
    from eqcli.engine.batched.field import Field
    from eqcli.engine.batched.state import BatchState
    from eqcli.engine.batched.stepper import Stepper

SUMS = "observed/sums"
"""Name of the sums over steps, `[B, 9]` float64: of 1, T, T^2, P, V, t, t^2, E and E t, where t is the time in ps and
E the conserved energy (eV) less that of the start."""

START = "observed/start"
"""Name of the conserved energy of the start, eV `[B]`."""


class Observed:
    """A `Stepper` of dynamics that keeps count of temperature, pressure, volume and of the conserved energy."""

    def __init__(self, stepper: Stepper, time_step: float) -> None:
        self.stepper = stepper
        self.time_step = time_step

    def begin(self, state: BatchState) -> BatchState:
        state = self.stepper.begin(state)
        sums = state.positions.new_zeros((state.n_structures, 9))
        return state.with_(systems={SUMS: sums, START: conserved(state)})

    def step(self, state: BatchState, field: Field) -> BatchState:
        state = self.stepper.step(state, field)
        time = state.step * (self.time_step / 1000)
        warm, energy = temperature(state), conserved(state) - state.systems[START]
        columns = [torch.ones_like(warm), warm, warm**2, pressure(state), volume(state)]
        columns += [time, time**2, energy, energy * time]
        return state.with_(systems={SUMS: state.systems[SUMS] + torch.stack(columns, dim=1)})


def averages(state: BatchState) -> dict[str, Tensor]:
    """Of each structure over all its steps, the first point left out; each `[B]`, NaN where there is none.

    `temperature` and its standard deviation `temperature_std` in K, `pressure` in GPa, `volume` in Å^3, and `drift`,
    the slope of the conserved energy by a straight line through all points, in eV/atom/ps.
    """
    count, warm, warm2, press, vol, time, time2, energy, both = state.systems[SUMS].unbind(dim=1)
    mean = warm / count
    return {
        "temperature": mean,
        "temperature_std": (warm2 / count - mean**2).clamp(min=0).sqrt(),
        "pressure": press / count,
        "volume": vol / count,
        "drift": (count * both - time * energy) / (count * time2 - time**2) / state.counts,
    }
