"""Dynamics at constant energy, and the moves that all dynamics are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch

from eqcli.engine.batched.thermal import started
from eqcli.units import ACCELERATION

if TYPE_CHECKING:
    from torch import Tensor

    from eqcli.engine.batched.field import Field
    from eqcli.engine.batched.motion_settings import MotionSettings
    from eqcli.engine.batched.state import BatchState

RESERVOIR = "motion/reservoir"
"""Name of the energy of thermostat and barostat, eV `[B]`: with kinetic and potential energy it is conserved."""


def accelerations(state: BatchState) -> Tensor:
    """Å/fs^2, `[N, 3]`, zero along held directions."""
    found = state.forces * (ACCELERATION / state.masses)[:, None]
    return torch.where(state.free, found, torch.zeros_like(found))


def kick(state: BatchState, time: float) -> BatchState:
    """Velocities after `time` fs of the present forces."""
    return state.with_(velocities=state.velocities + time * accelerations(state))


def drift(state: BatchState, time: float) -> BatchState:
    """Positions after `time` fs of the present velocities."""
    return state.with_(positions=state.positions + time * state.velocities)


class Travel(Protocol):
    """Takes atoms, and a cell that moves, from one evaluated geometry to the next."""

    def begin(self, state: BatchState) -> BatchState:
        """The state with what there is to remember."""
        ...

    def go(
        self, state: BatchState, field: Field, time: float, between: Callable[[BatchState], BatchState]
    ) -> BatchState:
        """Half of the way, `between`, the other half, and the forces at the end."""
        ...

    def energy(self, state: BatchState) -> Tensor:
        """What the moving cell adds to the conserved energy, eV `[B]`."""
        ...


class ConstantCell:
    """Atoms move, cells do not."""

    def begin(self, state: BatchState) -> BatchState:
        return state

    def go(
        self, state: BatchState, field: Field, time: float, between: Callable[[BatchState], BatchState]
    ) -> BatchState:
        return field.evaluate(drift(between(drift(state, time / 2)), time / 2))

    def energy(self, state: BatchState) -> Tensor:
        return torch.zeros_like(state.energy)


class VelocityVerlet:
    """Constant energy: Swope et al., J. Chem. Phys. 76, 637 (1982). Reversible and symplectic, of second order."""

    def __init__(self, settings: MotionSettings) -> None:
        self.settings = settings

    def begin(self, state: BatchState) -> BatchState:
        state = started(state, self.settings)
        return state.with_(systems={RESERVOIR: torch.zeros_like(state.energy)})

    def step(self, state: BatchState, field: Field) -> BatchState:
        time = self.settings.time_step
        state = kick(field.evaluate(drift(kick(state, time / 2), time)), time / 2)
        return state.with_(step=state.step + 1)
