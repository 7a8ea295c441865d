"""Friction and noise: averages of the canonical ensemble."""

from __future__ import annotations

import torch

from eqcli.engine.batched.moving import MotionSettings
from eqcli.engine.batched.observables import conserved, temperature
from eqcli.engine.batched.state import BatchState, sums
from eqcli.units import ACCELERATION, BOLTZMANN
from tests.engine.batched.analytic import IdealGas, Springs, atoms_state, frequency
from tests.engine.batched.averages import displacements, require_mean, sampled

HEAT = BOLTZMANN * 300


def test_temperature_and_its_fluctuation_are_canonical() -> None:
    """Var T = 2 T^2 / 3N; the positions share kT too."""
    settings = MotionSettings(ensemble="nvt", time_step=2.0, friction=0.05, steps=600, seed=1)
    start = atoms_state([3] * 1000).with_(positions=displacements((HEAT / 1.0) ** 0.5, 1000, 3))

    def probe(state: BatchState) -> torch.Tensor:
        t = temperature(state)
        return torch.stack([t, (t - 300) ** 2, state.energy], dim=1)

    _, found = sampled(Springs(1.0), start, settings, probe, burn=40)
    require_mean(found[:, :, 0], 300.0, 0.005)
    require_mean(found[:, :, 1], 2 * 300**2 / 9, 0.012)
    require_mean(found[:, :, 2], 4.5 * HEAT, 0.005)


def test_harmonic_averages_are_exact_at_long_time_steps() -> None:
    """Positions and velocities alike, where the step is a sixth of a period; BAOAB's kinetic energy is 25 % low."""
    stiffness = 25.0
    time = 1 / frequency(stiffness)
    settings = MotionSettings(ensemble="nvt", time_step=time, friction=0.3 / time, steps=250, seed=2)
    start = atoms_state([1] * 4000).with_(positions=displacements((HEAT / stiffness) ** 0.5, 4000, 1))

    def probe(state: BatchState) -> torch.Tensor:
        return torch.stack([temperature(state), state.energy], dim=1)

    _, found = sampled(Springs(stiffness), start, settings, probe, burn=20, every=2)
    require_mean(found[:, :, 0], 300.0, 0.003)
    require_mean(found[:, :, 1], 1.5 * HEAT, 0.003)


def test_a_quartic_well_is_sampled_by_its_boltzmann_factor() -> None:
    x = torch.linspace(-1.5, 1.5, 20001, dtype=torch.float64)
    potential = 0.5 * 0.2 * x**2 + 0.25 * 30.0 * x**4
    weight = torch.exp(-potential / HEAT)
    expected = float((weight * potential).sum() / weight.sum())
    settings = MotionSettings(ensemble="nvt", time_step=1.0, friction=0.05, steps=700, seed=3)
    start = atoms_state([3] * 1000).with_(positions=displacements(0.15, 1000, 3))
    _, found = sampled(Springs(0.2, 30.0), start, settings, lambda s: s.energy, burn=200)
    require_mean(found, 9 * expected, 0.008)


def test_friction_decides_how_fast_a_free_particle_forgets() -> None:
    """<v(0) v(t)> = kT/m exp(-γ t)."""
    settings = MotionSettings(ensemble="nvt", time_step=2.0, friction=0.02, steps=25, seed=4)
    width = (HEAT * ACCELERATION / 12.011) ** 0.5
    start = atoms_state([1] * 20000).with_(velocities=displacements(width, 20000, 1))
    end, _ = sampled(IdealGas(), start, settings, temperature, burn=0)
    kept = (start.velocities * end.velocities).mean(dim=1)
    require_mean(kept[None], width**2 * 2.718281828459045**-1, 0.03)


def test_conserved_energy_follows_the_square_of_the_time_step() -> None:
    """What the noise gives is counted: only the error of the integration is left, four times less with half a step."""
    strayed = []
    for time in (4.0, 2.0):
        settings = MotionSettings(ensemble="nvt", time_step=time, friction=0.01, steps=int(1200 / time), seed=5)
        start = atoms_state([3] * 50).with_(positions=displacements(0.05, 50, 3))
        end, found = sampled(Springs(1.0, 3.0), start, settings, conserved, burn=0, every=1)
        strayed.append(float(found.std(dim=0).mean()))
        assert float(end.systems["langevin/heat"].abs().mean()) > 100 * strayed[-1]
    assert 3.0 < strayed[0] / strayed[1] < 5.0


def test_fixed_atoms_stay_and_do_not_count() -> None:
    free = torch.ones(2000, 3, dtype=torch.bool)
    free[::2] = False
    free[1::4, 0] = False
    settings = MotionSettings(ensemble="nvt", time_step=2.0, friction=0.1, steps=300, seed=6)
    start = atoms_state([2] * 1000, free=free)
    end, found = sampled(Springs(1.0), start, settings, temperature, burn=100)
    assert (end.positions[~free] == 0).all()
    assert (end.velocities[~free] == 0).all()
    require_mean(found, 300.0, 0.01)


def test_nothing_drifts_faster_than_it_diffuses() -> None:
    """The momentum of a structure has the width of its mass: noise moves its centre as well."""
    settings = MotionSettings(ensemble="nvt", time_step=2.0, friction=0.1, steps=300, seed=7)

    def probe(state: BatchState) -> torch.Tensor:
        momentum = sums(state, state.masses[:, None] * state.velocities)
        return momentum.square().sum(dim=1) / (3 * sums(state, state.masses) * ACCELERATION * BOLTZMANN)

    _, found = sampled(Springs(1.0), atoms_state([4] * 1500), settings, probe, burn=100)
    require_mean(found, 300.0, 0.01)
