"""The simulation of charged particles: its physics, and the protocol of the benchmark."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from eqcli.data.charged_particles import ChargedParticles, Frames, PairForces, draw, energy, simulate

FREE = ChargedParticles(largest_force=None)


def beginnings(simulations: int = 40, seed: int = 0, system: ChargedParticles = FREE) -> tuple[np.ndarray, ...]:
    """First states whose particles keep apart at the beginning."""
    x, v, q = draw(system, 20 * simulations, np.random.default_rng(seed))
    nearest = np.min([np.linalg.norm(x[:, i] - x[:, j], axis=1) for i, j in combinations(range(x.shape[1]), 2)], axis=0)
    calm = (nearest > 1.2).nonzero()[0][:simulations]
    return x[calm], v[calm], q[calm]


def test_forces_pair_by_pair() -> None:
    x, _, q = draw(FREE, 3, np.random.default_rng(1))
    found = PairForces(q, None)(x.transpose(2, 1, 0)).transpose(2, 1, 0)
    for s in range(3):
        for i in range(5):
            expected = np.zeros(3)
            for j in set(range(5)) - {i}:
                r = x[s, i] - x[s, j]
                expected += q[s, i] * q[s, j] * r / np.linalg.norm(r) ** 3
            np.testing.assert_allclose(found[s, i], expected, rtol=1e-11)


def test_forces_are_the_gradient_of_the_energy() -> None:
    x, v, q = draw(FREE, 4, np.random.default_rng(2))
    forces = PairForces(q, None)(x.transpose(2, 1, 0)).transpose(2, 1, 0)
    h = 1e-5
    for particle, axis in [(0, 0), (3, 2), (4, 1)]:
        up, down = x.copy(), x.copy()
        up[:, particle, axis] += h
        down[:, particle, axis] -= h
        slope = (energy(up, v, q) - energy(down, v, q)) / (2 * h)
        np.testing.assert_allclose(forces[:, particle, axis], -slope, rtol=1e-5, atol=1e-6)


def test_momentum_is_kept() -> None:
    first = beginnings()
    last = simulate(FREE, *first, (9, 19)).velocities
    np.testing.assert_allclose(last.sum(axis=2), np.repeat(first[1].sum(1)[:, None], 2, axis=1), atol=1e-10)


def at_one_time(frames: Frames, system: ChargedParticles) -> np.ndarray:
    """The energy with velocities brought to the time of the positions, half a step on."""
    x, v, q = frames.positions[:, -1], frames.velocities[:, -1], frames.charges
    forces = PairForces(q, system.largest_force)(x.transpose(2, 1, 0)).transpose(2, 1, 0)
    return energy(x, v + 0.5 * system.time_step * forces, q)


def drift(first: tuple[np.ndarray, ...], time_step: float) -> np.ndarray:
    """Change of the energy over one unit of time."""
    system = ChargedParticles(largest_force=None, time_step=time_step, sample_every=round(1 / time_step))
    x, v, q = first
    # The integrator's velocities are those of half a step before the positions.
    forces = PairForces(q, None)(x.transpose(2, 1, 0)).transpose(2, 1, 0)
    found = simulate(system, x, v - 0.5 * time_step * forces, q, (0,))
    return np.abs(at_one_time(found, system) - energy(x, v, q))


def test_energy_is_kept_and_better_with_smaller_steps() -> None:
    """The leapfrog is of second order: half the step, a quarter of the error."""
    first = beginnings()
    errors = [np.median(drift(first, step)) for step in (0.004, 0.002, 0.001)]
    assert errors[-1] < 1e-5
    assert 3.5 < errors[0] / errors[1] < 4.5
    assert 3.5 < errors[1] / errors[2] < 4.5


def test_two_opposite_charges_circle_each_other() -> None:
    """At distance 1 and reduced mass 1/2 the circle has angular velocity sqrt(2)."""
    x = np.array([[[0.5, 0, 0], [-0.5, 0, 0]]])
    v = np.array([[[0, 0.5**0.5, 0], [0, -(0.5**0.5), 0]]])
    system = ChargedParticles(particles=2, largest_force=None, time_step=1e-4, sample_every=10_000)
    found = simulate(system, x, v, np.array([[1.0, -1.0]]), (0,)).positions[0, 0]
    angle = 2**0.5
    np.testing.assert_allclose(found[0], [0.5 * np.cos(angle), 0.5 * np.sin(angle), 0.0], atol=2e-4)


def test_the_bound_on_forces() -> None:
    x = np.array([[[0.0, 0, 0], [1e-3, 0, 0]]])
    forces = PairForces(np.array([[1.0, 1.0]]), 100.0)(x.transpose(2, 1, 0))
    np.testing.assert_array_equal(forces[:, :, 0].T, [[-100.0, 0, 0], [100.0, 0, 0]])


def test_what_is_drawn() -> None:
    x, v, q = draw(ChargedParticles(), 4000, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(v, axis=2), 0.5, rtol=1e-12)
    assert set(np.unique(q)) == {-1.0, 1.0}
    assert abs(q.mean()) < 0.03
    assert x.std() == pytest.approx(1.0, abs=0.02)
    assert abs(v.mean()) < 0.01


def test_frames_do_not_depend_on_what_else_is_asked_for() -> None:
    """Nor on the simulations beside, of which many are made at once."""
    first = draw(ChargedParticles(), 600, np.random.default_rng(3))
    whole = simulate(ChargedParticles(), *first, (0, 1, 2))
    part = simulate(ChargedParticles(), *(a[550:560] for a in first), (2,))
    np.testing.assert_allclose(part.positions[:, 0], whole.positions[550:560, 2], rtol=1e-9)
    assert whole.positions.shape == (600, 3, 5, 3)


def test_the_benchmark_is_as_hard_as_published() -> None:
    """Satorras et al. (2021), table 2: straight lines have an error of 0.0819."""
    system = ChargedParticles()
    found = simulate(system, *draw(system, 2000, np.random.default_rng(43)), (30, 40))
    shift, v = found.positions[:, 1] - found.positions[:, 0], found.velocities[:, 0]
    time = (shift * v).sum() / (v * v).sum()
    assert ((shift - time * v) ** 2).mean() == pytest.approx(0.0819, rel=0.15)
