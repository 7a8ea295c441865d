"""Constant temperature by a chain of thermostats, without random numbers on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.engine.batched.counter_noise import Purpose, steps_in_all, structure_normals
from eqcli.engine.batched.state import per_atom
from eqcli.engine.batched.thermal import FREEDOM, kinetic_energy, started
from eqcli.engine.batched.velocity_verlet import RESERVOIR, Travel, kick
from eqcli.units import BOLTZMANN

if TYPE_CHECKING:
    from eqcli.engine.batched.field import Field
    from eqcli.engine.batched.motion_settings import MotionSettings
    from eqcli.engine.batched.state import BatchState

LENGTH = 3
"""Thermostats in a chain."""

_OUTER = 1 / (2 - 2 ** (1 / 3))
WEIGHTS = (_OUTER, 1 - 2 * _OUTER, _OUTER)
"""Parts of a step that make its integration one of fourth order (Suzuki; Yoshida 1990)."""

PLACE, RATE = "nose_hoover/place", "nose_hoover/rate"
"""Names of the thermostats' coordinates, `[B, LENGTH]`, and their rates in 1/fs."""


class NoseHoover:
    """Nose-Hoover chain: Martyna, Tuckerman, Tobias and Klein, Mol. Phys. 87, 1117 (1996).

    Deterministic and reversible. One chain for each structure, its masses f k T τ²
    with τ = `tau_thermostat`. A single oscillator or a structure whose atoms do not
    share their energy is not sampled well: use Langevin there.
    """

    def __init__(self, settings: MotionSettings, travel: Travel) -> None:
        self.settings = settings
        self.travel = travel
        self.heat = BOLTZMANN * settings.temperature

    def begin(self, state: BatchState) -> BatchState:
        state = self.travel.begin(started(state, self.settings))
        place = state.energy.new_zeros(state.n_structures, LENGTH)
        state = state.with_(systems={PLACE: place, RATE: place})
        # A chain at rest would be colder than the atoms, and small structures warm it slowly.
        normal = structure_normals(state, steps_in_all(state), self.settings.seed, Purpose.CHAIN, LENGTH)
        return self._account(state.with_(systems={RATE: normal * (self.heat / self._masses(state)).sqrt()}))

    def step(self, state: BatchState, field: Field) -> BatchState:
        time = self.settings.time_step
        state = kick(self._regulate(state), time / 2)
        state = self.travel.go(state, field, time, lambda between: between)
        state = self._regulate(kick(state, time / 2))
        return self._account(state.with_(step=state.step + 1))

    def _masses(self, state: BatchState) -> Tensor:
        """eV fs^2, `[B, LENGTH]`."""
        shares = torch.ones_like(state.systems[RATE])
        shares[:, 0] = state.systems[FREEDOM].clamp(min=1.0)
        return shares * (self.heat * self.settings.tau_thermostat**2)

    def _regulate(self, state: BatchState) -> BatchState:
        """Half a time step of the chain, and of the velocities that it slows down or speeds up."""
        twice = 2 * kinetic_energy(state)
        masses, freedom = self._masses(state).unbind(1), state.systems[FREEDOM]
        place, rate = list(state.systems[PLACE].unbind(1)), list(state.systems[RATE].unbind(1))
        scale = torch.ones_like(twice)
        for weight in WEIGHTS:
            time = weight * self.settings.time_step / 2
            for k in reversed(range(LENGTH)):
                self._push(k, rate, masses, twice * scale.square() - freedom * self.heat, time / 2)
            scale = scale * torch.exp(-time * rate[0])
            place = [x + time * v for x, v in zip(place, rate, strict=True)]
            for k in range(LENGTH):
                self._push(k, rate, masses, twice * scale.square() - freedom * self.heat, time / 2)
        velocities = state.velocities * per_atom(state, scale)[:, None]
        chain = {PLACE: torch.stack(place, dim=1), RATE: torch.stack(rate, dim=1)}
        return state.with_(velocities=velocities, systems=chain)

    def _push(self, k: int, rate: list[Tensor], masses: tuple[Tensor, ...], excess: Tensor, time: float) -> None:
        """The rate of thermostat k after `time`: driven by the one before it, slowed down by the one after it."""
        force = excess if k == 0 else masses[k - 1] * rate[k - 1].square() - self.heat
        slowed = torch.exp(-0.5 * time * rate[k + 1]) if k + 1 < LENGTH else torch.ones_like(excess)
        rate[k] = (rate[k] * slowed + time * force / masses[k]) * slowed

    def _account(self, state: BatchState) -> BatchState:
        """The energy of the chain."""
        shares = torch.ones_like(state.systems[PLACE])
        shares[:, 0] = state.systems[FREEDOM]
        moving = 0.5 * (self._masses(state) * state.systems[RATE].square()).sum(dim=1)
        stored = self.heat * (shares * state.systems[PLACE]).sum(dim=1)
        return state.with_(systems={RESERVOIR: moving + stored + self.travel.energy(state)})
