"""Velocities at the start."""

from __future__ import annotations

import torch
from scipy import stats

from eqcli.engine.batched.moving import MotionSettings, make_moving, thermal_velocities
from eqcli.engine.batched.observables import temperature
from eqcli.engine.batched.state import join, sums
from eqcli.engine.batched.thermal import FREEDOM, degrees_of_freedom, kinetic_energy
from eqcli.units import ACCELERATION, BOLTZMANN
from tests.engine.batched.analytic import Springs, atoms_state
from tests.engine.batched.averages import displacements


def test_temperature_is_exact_and_nothing_drifts() -> None:
    state = thermal_velocities(atoms_state([2, 7, 30]), 450.0, seed=1)
    freedom = 3 * state.counts - 3
    torch.testing.assert_close(
        2 * kinetic_energy(state) / (freedom * BOLTZMANN), torch.full((3,), 450.0, dtype=torch.float64)
    )
    assert float(sums(state, state.masses[:, None] * state.velocities).abs().max()) < 1e-14


def test_velocities_are_normal_with_the_width_of_their_mass() -> None:
    state = join([atoms_state([500], number=1), atoms_state([500], number=79, first=1)])
    state = thermal_velocities(state, 300.0, seed=2)
    width = (BOLTZMANN * 300 * ACCELERATION / state.masses).sqrt()[:, None]
    for k in (0, 1):
        scaled = (state.velocities / width)[state.batch == k].flatten()
        assert stats.kstest(scaled.numpy(), "norm").pvalue > 1e-3


def test_velocities_are_a_function_of_seed_and_item() -> None:
    batch = atoms_state([4, 3, 5])
    together = thermal_velocities(batch, 300.0, 3)
    alone = thermal_velocities(batch.select(torch.tensor([1])), 300.0, 3)
    assert torch.equal(together.velocities[batch.batch == 1], alone.velocities)
    assert (thermal_velocities(batch, 300.0, 4).velocities != together.velocities).all()
    other = thermal_velocities(atoms_state([4, 3, 5], first=9), 300.0, 3)
    assert (other.velocities != together.velocities).all()


def test_velocities_that_a_structure_brings_are_kept() -> None:
    brought = atoms_state([3], first=1).with_(velocities=displacements(0.01, 1, 3))
    state = join([atoms_state([2]), brought])
    found = thermal_velocities(state, 300.0, 0)
    assert torch.equal(found.velocities[2:], brought.velocities)
    assert torch.equal(found.velocities[:2], thermal_velocities(atoms_state([2]), 300.0, 0).velocities)


def test_held_directions_have_no_velocity_and_do_not_count() -> None:
    free = torch.ones(4, 3, dtype=torch.bool)
    free[0] = False
    free[1, 2] = False
    state = thermal_velocities(atoms_state([4], free=free), 300.0, 0)
    assert (state.velocities[~free] == 0).all()
    assert (state.velocities[free] != 0).all()
    torch.testing.assert_close(float(kinetic_energy(state)[0]), 0.5 * 8 * BOLTZMANN * 300)


def test_an_atom_alone_is_at_rest() -> None:
    assert (thermal_velocities(atoms_state([1]), 300.0, 0).velocities == 0).all()
    nothing = atoms_state([2], free=torch.zeros(2, 3, dtype=torch.bool))
    assert (thermal_velocities(nothing, 300.0, 0).velocities == 0).all()


def test_no_temperature_is_no_velocity() -> None:
    assert (thermal_velocities(atoms_state([5]), 0.0, 0).velocities == 0).all()


def test_degrees_of_freedom() -> None:
    held = torch.ones(4, 3, dtype=torch.bool)
    held[0] = False
    molecules = atoms_state([1, 2, 4])
    fixed = atoms_state([4], free=held)
    crystal = atoms_state([4], edge=5.0)
    nve, langevin = MotionSettings(), MotionSettings(ensemble="nvt")
    chain = MotionSettings(ensemble="nvt", thermostat="nose-hoover")
    for settings, expected in (
        (nve, [[0, 3, 9], [9], [9]]),
        (langevin, [[3, 6, 12], [9], [12]]),
        (chain, [[0, 1, 6], [9], [9]]),
        (MotionSettings(remove_drift=False), [[3, 6, 12], [9], [12]]),
    ):
        assert [degrees_of_freedom(s, settings).tolist() for s in (molecules, fixed, crystal)] == expected


def test_molecules_do_not_turn_under_a_nose_hoover_chain() -> None:
    settings = MotionSettings(ensemble="nvt", thermostat="nose-hoover")
    state = join(
        [
            atoms_state([5]).with_(positions=displacements(1.0, 1, 5)),
            # In a line, where rotation about the line is none.
            atoms_state([2], first=1).with_(positions=torch.tensor([[1.0, 2, 3], [2, 3, 5]], dtype=torch.float64)),
            atoms_state([3], first=2, edge=4.0).with_(positions=displacements(1.0, 1, 3)),
        ]
    )
    begun = make_moving(settings).begin(Springs().evaluate(state))
    weights = state.masses[:, None]
    centre = sums(state, weights * state.positions) / sums(state, weights)
    spin = sums(state, weights * torch.linalg.cross(state.positions - centre[state.batch], begun.velocities))
    assert float(spin[:2].abs().max()) < 1e-13
    assert float(spin[2].abs().max()) > 1e-3
    assert float(sums(state, weights * begun.velocities).abs().max()) < 1e-13
    along = (begun.velocities[5] - begun.velocities[6]).norm()
    assert float(along) > 1e-4, "the bond may still stretch"


def test_drift_that_a_structure_brings() -> None:
    brought = atoms_state([3], edge=4.0).with_(velocities=displacements(0.01, 1, 3) + 0.05)
    evaluated = Springs().evaluate(brought)
    kept = make_moving(MotionSettings(remove_drift=False)).begin(evaluated)
    assert torch.equal(kept.velocities, brought.velocities)
    assert torch.equal(make_moving(MotionSettings(ensemble="nvt")).begin(evaluated).velocities, brought.velocities)
    still = make_moving(MotionSettings()).begin(evaluated)
    assert float(sums(still, still.masses[:, None] * still.velocities).abs().max()) < 1e-14
    assert float(still.systems[FREEDOM][0]) == 6
    torch.testing.assert_close(temperature(still), 2 * kinetic_energy(still) / (6 * BOLTZMANN))
