"""What is measured along dynamics."""

from __future__ import annotations

import numpy as np
import torch

from eqcli.engine.batched.moving import MotionSettings, make_moving
from eqcli.engine.batched.observables import conserved, kinetic_energy, pressure, shadow_energy, temperature, volume
from eqcli.engine.batched.state import join, sums
from eqcli.engine.batched.thermal import FREEDOM
from eqcli.units import BOLTZMANN, STRESS
from tests.engine.batched.analytic import Chain, ElasticCell, IdealGas, Sines, atoms_state
from tests.engine.batched.averages import displacements


def test_an_ideal_gas_has_the_pressure_of_its_temperature() -> None:
    state = make_moving(MotionSettings(ensemble="nvt")).begin(IdealGas().evaluate(atoms_state([5, 9], edge=4.0)))
    expected = state.counts * BOLTZMANN * temperature(state) / 64 / STRESS["GPa"]
    torch.testing.assert_close(pressure(state), expected)
    torch.testing.assert_close(volume(state), torch.full((2,), 64.0, dtype=torch.float64))


def test_momentum_that_was_taken_out_is_pressure_all_the_same() -> None:
    """An ideal gas has PV = NkT, of however many directions its temperature is the mean."""
    held = torch.ones(14, 3, dtype=torch.bool)
    held[0] = False
    for start in (atoms_state([5, 9], edge=4.0), atoms_state([5, 9], edge=4.0, free=held)):
        state = make_moving(MotionSettings()).begin(IdealGas().evaluate(start))
        moving = sums(state, state.free.sum(dim=1).to(torch.float64)) / 3
        assert (state.systems[FREEDOM] < 3 * state.counts).all()
        torch.testing.assert_close(pressure(state), moving * BOLTZMANN * temperature(state) / 64 / STRESS["GPa"])


def test_energy_of_one_atom_in_joules() -> None:
    """A carbon atom at 1 Å/fs: m v^2 / 2 by the definitions of the units."""
    state = atoms_state([1]).with_(velocities=torch.tensor([[0.6, 0.0, 0.8]], dtype=torch.float64))
    joules = 0.5 * 12.011 * 1.66053906660e-27 * 1e5**2
    np.testing.assert_allclose(float(kinetic_energy(state)[0]), joules / 1.602176634e-19, rtol=1e-9)


def test_pressure_is_minus_the_slope_of_the_energy() -> None:
    """With momenta that scale as the cell does: -dH/dV of atoms that keep their places in it."""
    field = Sines(0.05, 30.0, 2.0)
    start = atoms_state([3], edge=3.2).with_(positions=displacements(0.4, 1, 3))
    state = make_moving(MotionSettings(remove_drift=False)).begin(field.evaluate(start))

    def energy(scale: float) -> float:
        moved = state.with_(
            positions=scale * state.positions, cell=scale * state.cell, velocities=state.velocities / scale
        )
        moved = field.evaluate(moved)
        return float(moved.energy[0] + kinetic_energy(moved)[0])

    step = 1e-5
    up, down = (1 + step) ** (1 / 3), (1 - step) ** (1 / 3)
    slope = (energy(up) - energy(down)) / (2 * step * 3.2**3)
    np.testing.assert_allclose(float(pressure(state)[0]), -slope / STRESS["GPa"], rtol=1e-8)


def test_stress_of_the_sheared_cell_is_the_slope_of_its_energy() -> None:
    """The stand-in that the tests of cells rest on."""
    field = ElasticCell(3.0, 30.0, shape=True)
    cell = 3.0 * torch.eye(3, dtype=torch.float64) + displacements(0.2, 1, 3)
    state = field.evaluate(atoms_state([1], edge=3.0).with_(cell=cell[None]))
    for i in range(3):
        for j in range(3):
            strain = torch.zeros(3, 3, dtype=torch.float64)
            strain[i, j] = strain[j, i] = 1e-5
            plus, minus = (field.evaluate(state.with_(cell=cell[None] @ (torch.eye(3) + s * strain))) for s in (1, -1))
            slope = float(plus.energy[0] - minus.energy[0]) / 2e-5
            found = float((state.stress[0] * (strain / 1e-5)).sum() * volume(state)[0])
            np.testing.assert_allclose(found, slope, atol=1e-8)


def test_what_has_no_cell_has_no_pressure() -> None:
    state = join([atoms_state([3]), atoms_state([3], edge=4.0, first=1)])
    begun = make_moving(MotionSettings()).begin(IdealGas().evaluate(state))
    assert torch.isnan(volume(begun)).tolist() == [True, False]
    assert torch.isnan(pressure(begun)).tolist() == [True, False]
    assert torch.isfinite(conserved(begun)).all()
    alone = make_moving(MotionSettings()).begin(IdealGas().evaluate(atoms_state([1])))
    assert torch.isnan(temperature(alone)).all()


def test_shadow_energy_is_kept_to_fourth_order() -> None:
    """Sixteen times better with half a time step, where the energy itself is four times better."""
    field = Chain(1.0, 10.0)
    free = torch.ones(8, 3, dtype=torch.bool)
    free[5] = False
    start = atoms_state([4, 4], free=free).with_(positions=displacements(0.15, 2, 4))
    strayed: list[tuple[float, float]] = []
    for time in (2.0, 1.0):
        stepper = make_moving(MotionSettings(time_step=time))
        path = [stepper.begin(field.evaluate(start))]
        for _ in range(int(300 / time)):
            path.append(stepper.step(path[-1], field))
        shadow = torch.stack([shadow_energy(*path[k : k + 3], time) for k in range(len(path) - 2)])
        energy = torch.stack([conserved(state) for state in path])
        strayed.append((float(energy.std(dim=0).max()), float(shadow.std(dim=0).max())))
    (coarse, coarse_shadow), (fine, fine_shadow) = strayed
    assert fine_shadow < 0.1 * fine
    assert 3.5 < coarse / fine < 4.5
    assert 13 < coarse_shadow / fine_shadow < 20
