"""Constant pressure: the cell takes random steps that follow the pressure.

Stochastic cell rescaling (Bernetti and Bussi, J. Chem. Phys. 153, 114107 (2020);
for all of the cell Del Tatto et al., Appl. Sci. 12, 1139 (2022)) in the form that
leaves the momenta alone. With fractional coordinates s, momenta p and the cell h
the ensemble is

    ρ(s, p, h) ~ V^(N + 1) exp(-[K(p) + U(s, h) + P V] / kT)

in the invariant measure V^-3 dh (of the volume alone: V^N exp(...) dV), N being
the atoms that move. A step h -> h exp(ε) moves every atom along with the cell,

    ε = Π[ D f Δt / kT + sqrt(2 D Δt) R ],   f = -V (σ + P) + (N + 1) kT

with R a matrix of normal numbers and Π the projection on what may move: the
symmetric matrices, or the multiples of the unit matrix. That is Brownian motion
with ρ for its stationary density, with each of the directions of Π by itself; D
is constant on a path, so the random steps need no correction. The volume of a
material of bulk modulus B relaxes within τ where D = kT / (3 V B τ).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from eqcli.engine.batched.counter_noise import Purpose, steps_in_all, structure_normals
from eqcli.engine.batched.matrix_exponential import exponential
from eqcli.engine.batched.state import per_atom, sums
from eqcli.engine.batched.velocity_verlet import drift
from eqcli.errors import InputError
from eqcli.units import BOLTZMANN, STRESS

if TYPE_CHECKING:
    from torch import Tensor

    from eqcli.engine.batched.field import Field
    from eqcli.engine.batched.motion_settings import MotionSettings
    from eqcli.engine.batched.state import BatchState

MOBILITY, WORK = "rescaling/mobility", "rescaling/work"
"""Names of D in 1/fs and of the work done along ε by the mean of f before and after each step in eV, `[B]`."""


class RescaledCell:
    """Takes atoms and cells from one geometry to the next; the cell moves half-way."""

    def __init__(self, settings: MotionSettings) -> None:
        self.settings = settings
        self.heat = BOLTZMANN * settings.temperature
        self.pressure = settings.pressure * STRESS["GPa"]

    def begin(self, state: BatchState) -> BatchState:
        if not torch.isfinite(state.stress).all():
            raise InputError("constant pressure needs three periods and a model that gives the stress")
        stiffness = 3 * self.settings.bulk_modulus * STRESS["GPa"] * self.settings.tau_cell
        mobility = self.heat / (_volume(state) * stiffness)
        return state.with_(systems={MOBILITY: mobility, WORK: torch.zeros_like(mobility)})

    def go(
        self, state: BatchState, field: Field, time: float, between: Callable[[BatchState], BatchState]
    ) -> BatchState:
        before = self._force(state)
        strain = self._strain(state, before)
        moved = _deformed(between(drift(state, time / 2)), strain)
        state = field.evaluate(drift(moved, time / 2))
        work = 0.5 * (strain * (before + self._force(state))).sum(dim=(1, 2))
        return state.with_(systems={WORK: state.systems[WORK] + work})

    def energy(self, state: BatchState) -> Tensor:
        """With this added the energy is conserved: P V - (N + 1) kT ln V, less what the random steps gave.

        As the heat of Langevin dynamics is counted (Bussi and Parrinello, Phys. Rev. E 75, 056707 (2007)), with
        the mean of f at both ends of a step for the force along it.
        """
        volume = _volume(state)
        return self.pressure * volume - self._measure(state) * self.heat * volume.log() + state.systems[WORK]

    def _force(self, state: BatchState) -> Tensor:
        """f, what drives the strain of the cell, eV `[B, 3, 3]`."""
        unit = torch.eye(3, dtype=state.cell.dtype, device=state.cell.device)
        tension = state.stress + self.pressure * unit
        return self._measure(state)[:, None, None] * self.heat * unit - _volume(state)[:, None, None] * tension

    def _measure(self, state: BatchState) -> Tensor:
        """N + 1, `[B]`."""
        return sums(state, state.free.sum(dim=1).to(state.cell.dtype)) / 3 + 1

    def _strain(self, state: BatchState, force: Tensor) -> Tensor:
        """ε, `[B, 3, 3]`."""
        normal = structure_normals(state, steps_in_all(state), self.settings.seed, Purpose.CELL, 9).view(-1, 3, 3)
        reach = (state.systems[MOBILITY] * self.settings.time_step)[:, None, None]
        return self._projected(reach * force / self.heat + math.sqrt(2) * reach.sqrt() * normal)

    def _projected(self, matrices: Tensor) -> Tensor:
        """Π, of `[B, 3, 3]`."""
        if self.settings.cell == "full":
            return 0.5 * (matrices + matrices.transpose(1, 2))
        trace = matrices.diagonal(dim1=1, dim2=2).sum(dim=1)
        return torch.diag_embed((trace / 3)[:, None].expand(-1, 3))


def _deformed(state: BatchState, strain: Tensor) -> BatchState:
    factor = exponential(strain)
    positions = torch.bmm(state.positions.unsqueeze(1), per_atom(state, factor)).squeeze(1)
    return state.with_(positions=positions, cell=torch.bmm(state.cell, factor))


def _volume(state: BatchState) -> Tensor:
    return torch.linalg.det(state.cell).abs()
