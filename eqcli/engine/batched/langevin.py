"""Constant temperature by friction and noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from eqcli.engine.batched.counter_noise import Purpose, atom_normals, steps_in_all
from eqcli.engine.batched.thermal import kinetic_energy, started
from eqcli.engine.batched.velocity_verlet import RESERVOIR, Travel, kick
from eqcli.units import ACCELERATION, BOLTZMANN

if TYPE_CHECKING:
    from torch import Tensor

    from eqcli.engine.batched.field import Field
    from eqcli.engine.batched.motion_settings import MotionSettings
    from eqcli.engine.batched.state import BatchState

HEAT = "langevin/heat"
"""eV, `[B]`: what the noise has given to the atoms so far, less what the friction has taken."""


class Langevin:
    """Langevin dynamics by the middle scheme: kick, half a drift, friction and noise, half a drift.

    Zhang, Liu, Yan, Tuckerman and Liu, J. Phys. Chem. A 123, 6056 (2019). Positions
    are those of BAOAB (Leimkuhler and Matthews, Appl. Math. Res. Express 2013, 34),
    whose averages over positions are exact for harmonic forces at any time step.
    Unlike BAOAB the velocities of a state are those before the second half of
    the kick: their distribution is exact for harmonic forces too, whereas that of
    BAOAB is too cold by (ω Δt)^2/4, 8 % for a C-H bond at 1 fs, and a thermometer would show it.
    """

    def __init__(self, settings: MotionSettings, travel: Travel) -> None:
        self.settings = settings
        self.travel = travel
        self.keep = math.exp(-settings.friction * settings.time_step)

    def begin(self, state: BatchState) -> BatchState:
        state = self.travel.begin(started(state, self.settings))
        return self._account(state.with_(systems={HEAT: torch.zeros_like(state.energy)}))

    def step(self, state: BatchState, field: Field) -> BatchState:
        time = self.settings.time_step
        state = self.travel.go(kick(state, time), field, time, self._rub)
        return self._account(state.with_(step=state.step + 1))

    def _rub(self, state: BatchState) -> BatchState:
        """Friction and noise for one time step: exact for free particles."""
        noise = atom_normals(state, steps_in_all(state), self.settings.seed, Purpose.LANGEVIN)
        spread = (BOLTZMANN * self.settings.temperature * ACCELERATION / state.masses).sqrt()[:, None]
        velocities = self.keep * state.velocities + math.sqrt(1 - self.keep**2) * spread * noise
        rubbed = state.with_(velocities=torch.where(state.free, velocities, torch.zeros_like(velocities)))
        heat = kinetic_energy(rubbed) - kinetic_energy(state)
        return rubbed.with_(systems={HEAT: state.systems[HEAT] + heat})

    def _account(self, state: BatchState) -> BatchState:
        """Conserved is the energy less the heat (Bussi and Parrinello, Phys. Rev. E 75, 056707 (2007))."""
        return state.with_(
            systems={RESERVOIR: self._completed(state) - state.systems[HEAT] + self.travel.energy(state)}
        )

    def _completed(self, state: BatchState) -> Tensor:
        """Kinetic energy after the kick that a step leaves half undone, less that of the state."""
        return kinetic_energy(kick(state, self.settings.time_step / 2)) - kinetic_energy(state)
