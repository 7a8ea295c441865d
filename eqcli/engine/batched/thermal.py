"""Velocities at the start of dynamics, and how many directions a thermostat counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.engine.batched.counter_noise import Purpose, atom_normals, steps_in_all
from eqcli.engine.batched.state import per_atom, sums
from eqcli.units import ACCELERATION, BOLTZMANN

if TYPE_CHECKING:
    from eqcli.engine.batched.motion_settings import MotionSettings
    from eqcli.engine.batched.state import BatchState

FREEDOM = "motion/freedom"
"""Name of the degrees of freedom of each structure in a state, `[B]`."""


def started(state: BatchState, settings: MotionSettings) -> BatchState:
    """The state with velocities for every structure and its degrees of freedom, as `settings` want them.

    Structures that state no velocities get those of :func:`thermal_velocities`.
    """
    state = hold(thermal_velocities(state, settings.temperature, settings.seed))
    if settings.remove_drift and not settings.is_langevin:
        state = without_drift(state, _all_free(state), settings.is_nose_hoover)
    return state.with_(systems={FREEDOM: degrees_of_freedom(state, settings)})


def thermal_velocities(state: BatchState, temperature: float, seed: int) -> BatchState:
    """Maxwell velocities for the structures that state none (NaN), a function of `seed`, the item and the steps before.

    Structures whose atoms are all free have no net momentum. Velocities are scaled to `temperature` (K) exactly,
    counted over 3N - 3 directions where the momentum is zero and over the free ones elsewhere. What structures
    bring is kept as it is.
    """
    missing = ~torch.isfinite(sums(state, state.velocities)).all(dim=1)
    normal = atom_normals(state, steps_in_all(state), seed, Purpose.VELOCITIES)
    drawn = state.with_(velocities=normal / state.masses.sqrt()[:, None])
    whole = _all_free(state)
    drawn = without_drift(hold(drawn), whole, rotation=False)
    freedom = _free_count(state) - 3 * whole
    wanted = 0.5 * freedom * BOLTZMANN * temperature
    found = kinetic_energy(drawn)
    scale = torch.where((found > 0) & (freedom > 0), (wanted / found).sqrt(), torch.zeros_like(found))
    velocities = drawn.velocities * per_atom(state, scale)[:, None]
    return state.with_(velocities=torch.where(per_atom(state, missing)[:, None], velocities, state.velocities))


def hold(state: BatchState) -> BatchState:
    """No velocities along the directions in which atoms are held."""
    return state.with_(velocities=torch.where(state.free, state.velocities, torch.zeros_like(state.velocities)))


def kinetic_energy(state: BatchState) -> Tensor:
    """eV, `[B]`, of the velocities as they are."""
    return 0.5 * sums(state, (state.masses[:, None] * state.velocities.square()).sum(dim=1)) / ACCELERATION


def degrees_of_freedom(state: BatchState, settings: MotionSettings) -> Tensor:
    """Directions that share the kinetic energy, `[B]` float64.

    Langevin noise moves every free direction: 3N of N free atoms. At constant
    energy and with a Nose-Hoover chain the momentum of a structure whose atoms are
    all free stays what it is: 3N - 3. A Nose-Hoover chain also leaves a molecule
    without periods that does not rotate at rest: 3N - 6 (1 for two atoms), whereas
    rotation at constant energy goes on and counts. A net momentum that is kept (`remove_drift` off) counts too.
    """
    free = _free_count(state)
    if settings.is_langevin or not settings.remove_drift:
        return free
    whole = _all_free(state)
    free = free - 3 * whole
    if settings.is_nose_hoover:
        free = free - _rotations(state) * (whole & ~state.pbc.any(dim=1))
    return free


def without_drift(state: BatchState, where: Tensor, rotation: bool) -> BatchState:
    """Without net momentum in the structures `where`, `[B]` bool, and with `rotation` molecules at rest."""
    weights = state.masses[:, None]
    total = sums(state, weights)
    mean = sums(state, weights * state.velocities) / total * where[:, None]
    velocities = state.velocities - per_atom(state, mean)
    if rotation:
        centred = state.positions - per_atom(state, sums(state, weights * state.positions) / total)
        spin = _angular_velocity(state, centred, velocities) * (where & ~state.pbc.any(dim=1))[:, None]
        velocities = velocities - torch.linalg.cross(per_atom(state, spin), centred)
    return state.with_(velocities=velocities)


def _angular_velocity(state: BatchState, centred: Tensor, velocities: Tensor) -> Tensor:
    """1/fs, `[B, 3]`, of a rigid rotation with the same angular momentum; none about the axis of a linear molecule."""
    weights = state.masses[:, None]
    momentum = sums(state, weights * torch.linalg.cross(centred, velocities))
    square = centred.square().sum(dim=1)[:, None, None] * torch.eye(3, dtype=centred.dtype, device=centred.device)
    inertia = sums(state, weights[:, :, None] * (square - centred[:, :, None] * centred[:, None, :]))
    inverse = torch.linalg.pinv(inertia, rtol=1e-9, hermitian=True)
    return torch.bmm(inverse, momentum[:, :, None]).squeeze(2)


def _rotations(state: BatchState) -> Tensor:
    """Independent rotations of each structure taken as a molecule: 0, 2 or 3. Three atoms in a line soon bend."""
    counts = state.counts
    return torch.where(counts > 2, 3, torch.where(counts == 2, 2, 0)).to(state.positions.dtype)


def _free_count(state: BatchState) -> Tensor:
    return sums(state, state.free.sum(dim=1).to(state.positions.dtype))


def _all_free(state: BatchState) -> Tensor:
    return _free_count(state) == 3 * state.counts
