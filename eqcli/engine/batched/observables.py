"""What is measured along dynamics, for each structure of a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.engine.batched.state import sums
from eqcli.engine.batched.thermal import FREEDOM, kinetic_energy
from eqcli.engine.batched.velocity_verlet import RESERVOIR, accelerations
from eqcli.units import BOLTZMANN, STRESS

if TYPE_CHECKING:
    from eqcli.engine.batched.state import BatchState

__all__ = ["conserved", "kinetic_energy", "pressure", "shadow_energy", "temperature", "volume"]


def temperature(state: BatchState) -> Tensor:
    """K, `[B]`, of a state that dynamics have begun with; NaN where nothing can move.

    For what counts as a degree of freedom see :func:`eqcli.engine.batched.thermal.degrees_of_freedom`.
    """
    freedom = state.systems[FREEDOM]
    found = 2 * kinetic_energy(state) / (BOLTZMANN * freedom.clamp(min=1.0))
    return torch.where(freedom > 0, found, torch.full_like(found, torch.nan))


def volume(state: BatchState) -> Tensor:
    """Å^3, `[B]`; NaN without three periods."""
    found = torch.linalg.det(state.cell).abs()
    return torch.where(state.pbc.all(dim=1), found, torch.full_like(found, torch.nan))


def pressure(state: BatchState) -> Tensor:
    """GPa, `[B]`: N kT over the volume with the instantaneous temperature, less the mean stress. NaN without a stress.

    N are the atoms that move. A net momentum that was taken out lacks in the kinetic energy, not in the pressure:
    without its share a cell of 8 atoms would seem to have an eighth of its kinetic pressure too little.
    """
    virial = -state.stress.diagonal(dim1=1, dim2=2).mean(dim=1)
    freedom = state.systems[FREEDOM]
    share = sums(state, state.free.sum(dim=1).to(freedom.dtype)) / freedom.clamp(min=1.0)
    return (2 / 3 * share * kinetic_energy(state) / volume(state) + virial) / STRESS["GPa"]


def conserved(state: BatchState) -> Tensor:
    """eV, `[B]`: the energy that dynamics would keep exactly if time steps were infinitely short.

    At constant energy that of the atoms; elsewhere with that of thermostat and
    barostat. How far it strays tells how well a time step integrates the motion.
    """
    return kinetic_energy(state) + state.energy + state.systems[RESERVOIR]


def shadow_energy(before: BatchState, state: BatchState, after: BatchState, time_step: float) -> Tensor:
    """What velocity Verlet at constant energy keeps to fourth order in the time step (fs), eV `[B]`.

    The energy of a state swings around it as the atoms swing, by far more than it drifts. From three
    consecutive states: Δt^2 (v U'' v / 12 - F^2 / 24 m) is added to the energy (Hairer, Lubich and Wanner, Acta
    Numerica 12, 399 (2003)), with U'' v from the change of the forces.
    """
    change = (after.forces - before.forces) / (2 * time_step)
    curved = -(state.velocities * change) / 12 - state.forces * accelerations(state) / 24
    return kinetic_energy(state) + state.energy + time_step**2 * sums(state, curved.sum(dim=1))
