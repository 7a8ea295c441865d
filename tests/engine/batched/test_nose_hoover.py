"""Nose-Hoover chains."""

from __future__ import annotations

import pytest
import torch

from eqcli.engine.batched.moving import MotionSettings, make_moving
from eqcli.engine.batched.observables import conserved, temperature
from eqcli.engine.batched.state import BatchState, sums
from eqcli.units import BOLTZMANN
from tests.engine.batched.analytic import Chain, Springs, atoms_state, frequency
from tests.engine.batched.averages import displacements, require_mean, sampled

HEAT = BOLTZMANN * 300


def settings(**changes: object) -> MotionSettings:
    base: dict[str, object] = {"ensemble": "nvt", "thermostat": "nose-hoover", "tau_thermostat": 30.0}
    return MotionSettings(**(base | changes))  # type: ignore[arg-type]


def oscillators(count: int) -> BatchState:
    """Atoms that may move along x alone: one degree of freedom each."""
    free = torch.zeros(count, 3, dtype=torch.bool)
    free[:, 0] = True
    return atoms_state([1] * count, free=free).with_(positions=displacements(HEAT**0.5, count, 1) * free)


def test_an_oscillator_is_sampled_canonically() -> None:
    """The hardest case: one degree of freedom, which a single thermostat without its chain does not sample."""
    chosen = settings(tau_thermostat=1 / frequency(1.0), time_step=5.0, steps=1000)

    def probe(state: BatchState) -> torch.Tensor:
        t = temperature(state)
        return torch.stack([t, (t - 300) ** 2, state.energy], dim=1)

    _, found = sampled(Springs(1.0), oscillators(2000), chosen, probe, burn=200)
    require_mean(found[:, :, 0], 300.0, 0.005)
    require_mean(found[:, :, 1], 2 * 300**2, 0.02)
    require_mean(found[:, :, 2], 0.5 * HEAT, 0.005)


def test_a_bound_molecule_is_sampled_canonically() -> None:
    """Momentum and rotation are taken out: 3N - 6 degrees of freedom share the energy."""
    # Thermal to begin with: energy goes in and out of a few springs slowly without noise.
    warming = MotionSettings(ensemble="nvt", time_step=1.5, friction=0.05, steps=250)
    start, _ = sampled(
        Chain(1.0, 20.0),
        atoms_state([4] * 600).with_(positions=displacements(0.1, 600, 4)),
        warming,
        temperature,
        burn=0,
    )

    def probe(state: BatchState) -> torch.Tensor:
        t = temperature(state)
        return torch.stack([t, (t - 300) ** 2], dim=1)

    end, found = sampled(Chain(1.0, 20.0), start, settings(time_step=1.5, steps=1200), probe, burn=0)
    require_mean(found[:, :, 0], 300.0, 0.005)
    require_mean(found[:, :, 1], 2 * 300**2 / 6, 0.02, bias=300)
    weights = end.masses[:, None]
    assert float(sums(end, weights * end.velocities).abs().max()) < 1e-11
    assert float(sums(end, weights * torch.linalg.cross(end.positions, end.velocities)).abs().max()) < 1e-10


def test_conserved_energy_follows_the_square_of_the_time_step() -> None:
    strayed = []
    for time in (2.0, 1.0, 0.5):
        chosen = settings(time_step=time, steps=int(800 / time))
        start = atoms_state([4] * 30).with_(positions=displacements(0.15, 30, 4))
        begun = make_moving(chosen).begin(Chain(1.0, 10.0).evaluate(start))
        _, found = sampled(Chain(1.0, 10.0), start, chosen, conserved, burn=0, every=1)
        strayed.append(float((found - conserved(begun)).square().mean().sqrt()))
    assert strayed[2] < 3e-4
    assert strayed[0] / strayed[1] == pytest.approx(4, abs=0.7)
    assert strayed[1] / strayed[2] == pytest.approx(4, abs=0.5)


def test_reversible() -> None:
    field, chosen = Chain(1.0, 10.0), settings(time_step=1.0, steps=150, tau_thermostat=60.0)
    stepper = make_moving(chosen)
    begun = stepper.begin(field.evaluate(atoms_state([4] * 3).with_(positions=displacements(0.1, 3, 4))))
    state = begun
    for _ in range(150):
        state = stepper.step(state, field)
    rate = state.systems["nose_hoover/rate"]
    assert float(rate.abs().max()) > 1e-3
    state = state.with_(velocities=-state.velocities, systems={"nose_hoover/rate": -rate})
    for _ in range(150):
        state = stepper.step(state, field)
    torch.testing.assert_close(state.positions, begun.positions, atol=1e-9, rtol=0)
    torch.testing.assert_close(
        state.systems["nose_hoover/place"], begun.systems["nose_hoover/place"], atol=1e-9, rtol=0
    )


def test_fixed_atoms_stay() -> None:
    free = torch.ones(8, 3, dtype=torch.bool)
    free[[0, 5]] = False
    start = atoms_state([4, 4], free=free).with_(positions=displacements(0.2, 2, 4))
    end, found = sampled(Chain(1.0, 5.0), start, settings(steps=60), temperature, burn=0)
    assert torch.equal(end.positions[~free], start.positions[~free])
    assert torch.isfinite(found).all()


def test_a_structure_that_cannot_move_stays_finite() -> None:
    start = atoms_state([1, 2], free=torch.zeros(3, 3, dtype=torch.bool))
    end, found = sampled(Springs(), start, settings(steps=20), conserved, burn=0)
    assert torch.equal(end.positions, start.positions)
    assert torch.isfinite(found).all()
