"""Constant energy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqcli.engine.ase_calculator import PotentialCalculator
from eqcli.engine.batched.field import Field
from eqcli.engine.batched.moving import MotionSettings, make_moving
from eqcli.engine.batched.observables import conserved, temperature
from eqcli.engine.batched.state import BatchState, from_structure, join, sums
from eqcli.io.structure import Structure
from eqcli.units import ACCELERATION
from tests.engine.batched.analytic import AnalyticField, Chain, Springs, atoms_state, frequency
from tests.engine.batched.averages import displacements
from tests.toy_model import toy_model


def run(field: AnalyticField | Field, state: BatchState, settings: MotionSettings) -> BatchState:
    stepper = make_moving(settings)
    state = stepper.begin(field.evaluate(state))  # type: ignore[arg-type]
    for _ in range(settings.steps):
        state = stepper.step(state, field)  # type: ignore[arg-type]
    return state


def bound_chain(structures: int = 3, atoms: int = 4) -> BatchState:
    return atoms_state([atoms] * structures).with_(positions=displacements(0.1, structures, atoms))


def test_an_oscillator_follows_its_sine() -> None:
    omega = frequency(2.0)
    start = atoms_state([1], free=torch.ones(1, 3, dtype=torch.bool)).with_(
        positions=torch.tensor([[0.1, 0.0, -0.2]], dtype=torch.float64),
        velocities=torch.tensor([[0.0, 0.01, 0.0]], dtype=torch.float64),
    )
    settings = MotionSettings(time_step=0.1, steps=1000, remove_drift=False)
    found = run(Springs(2.0), start, settings).positions[0]
    expected = start.positions[0] * np.cos(100 * omega) + start.velocities[0] * np.sin(100 * omega) / omega
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_second_order_in_the_time_step() -> None:
    field, ends = Chain(1.0, 10.0), []
    for halvings in range(4):
        settings = MotionSettings(time_step=2.0 / 2**halvings, steps=50 * 2**halvings)
        ends.append(run(field, bound_chain(), settings).positions)
    errors = [float((end - ends[-1]).abs().max()) for end in ends[:-1]]
    # Errors against the finest run: 63 : 15 : 3 for second order.
    assert 4.0 < errors[0] / errors[1] < 4.5
    assert 4.7 < errors[1] / errors[2] < 5.3


def test_reversible() -> None:
    field, settings = Chain(1.0, 10.0), MotionSettings(steps=200, time_step=2.0)
    begun = make_moving(settings).begin(field.evaluate(bound_chain()))
    there = run(field, begun, settings)
    back = run(field, there.with_(velocities=-there.velocities), settings)
    assert float((there.positions - begun.positions).abs().max()) > 0.1
    torch.testing.assert_close(back.positions, begun.positions, atol=1e-10, rtol=0)
    torch.testing.assert_close(back.velocities, -begun.velocities, atol=1e-10, rtol=0)


def test_energy_momentum_and_angular_momentum_are_kept() -> None:
    field, settings = Chain(1.0, 10.0), MotionSettings(steps=2000, time_step=0.5, temperature=500)
    start = make_moving(settings).begin(field.evaluate(bound_chain()))
    end = run(field, start, settings)

    def spin(state: BatchState) -> torch.Tensor:
        return sums(state, state.masses[:, None] * torch.linalg.cross(state.positions, state.velocities))

    assert float((conserved(end) - conserved(start)).abs().max()) < 2e-4 * float(conserved(start).min())
    assert float(sums(end, end.masses[:, None] * end.velocities).abs().max()) < 1e-12
    torch.testing.assert_close(spin(end), spin(start), atol=1e-11, rtol=0)
    assert float((temperature(end) - temperature(start)).abs().min()) > 1


def test_fixed_atoms_stay_to_the_last_bit() -> None:
    free = torch.ones(8, 3, dtype=torch.bool)
    free[1] = False
    free[5, :2] = False
    state = atoms_state([4, 4], free=free).with_(positions=displacements(0.3, 2, 4))
    end = run(Chain(1.0), state, MotionSettings(steps=50))
    assert torch.equal(end.positions[~free], state.positions[~free])
    assert (end.positions[free] != state.positions[free]).all()


def molecule(seed: int, atoms: int) -> Structure:
    rng = np.random.default_rng(seed)
    grid = np.array([(i, j, k) for i in range(2) for j in range(2) for k in range(2)], dtype=float)[:atoms]
    return Structure(rng.choice([1, 6, 8], atoms), 1.7 * grid + rng.normal(0, 0.05, (atoms, 3)))


def crystal(seed: int) -> Structure:
    rng = np.random.default_rng(seed)
    cell = np.diag([3.4, 3.6, 3.8]) + rng.normal(0, 0.1, (3, 3))
    places = np.array([(i, j, k) for i in (0, 0.5) for j in (0, 0.5) for k in (0, 0.5)])
    return Structure(
        np.array([6] * 4 + [8] * 4), places @ cell + rng.normal(0, 0.03, (8, 3)), cell, np.ones(3, dtype=bool)
    )


@pytest.mark.parametrize("structure", [molecule(0, 6), crystal(1)], ids=["molecule", "crystal"])
def test_same_path_as_ase(structure: Structure) -> None:
    from ase import Atoms
    from ase.md.verlet import VelocityVerlet

    model, time = toy_model(), 0.5
    settings = MotionSettings(steps=50, time_step=time, temperature=600)
    field = Field(model.potential, stress=False)
    start = make_moving(settings).begin(field.evaluate(from_structure(structure, 0)))
    end = run(field, start, settings)
    atoms = Atoms(
        structure.numbers,
        structure.positions,
        cell=structure.cell,
        pbc=structure.pbc,
        masses=start.masses.numpy(),
        calculator=PotentialCalculator(model),
    )
    # In its unit of time ASE accelerates by force over mass, whichever constants of nature it has.
    unit = ACCELERATION**0.5
    atoms.set_velocities(start.velocities.numpy() / unit)
    VelocityVerlet(atoms, time * unit).run(50)
    moved = np.abs(atoms.positions - structure.positions).max()
    assert moved > 0.1
    np.testing.assert_allclose(end.positions.numpy(), atoms.positions, atol=1e-9, rtol=0)
    np.testing.assert_allclose(end.velocities.numpy(), atoms.get_velocities() * unit, atol=1e-9, rtol=0)
    np.testing.assert_allclose(float(end.energy[0]), atoms.get_potential_energy(), atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    "settings",
    [
        MotionSettings(steps=20),
        MotionSettings(steps=20, ensemble="nvt"),
        MotionSettings(steps=20, ensemble="nvt", thermostat="nose-hoover"),
        MotionSettings(steps=20, ensemble="npt", pressure=1.0),
        MotionSettings(steps=20, ensemble="npt", cell="full"),
        MotionSettings(steps=20, ensemble="npt", thermostat="nose-hoover", cell="full"),
    ],
    ids=lambda s: f"{s.ensemble}-{s.thermostat}-{s.cell}",
)
class TestEveryEnsemble:
    def states(self, settings: MotionSettings) -> list[BatchState]:
        structures = [crystal(1), crystal(2), crystal(3)]
        if settings.ensemble != "npt":
            structures += [molecule(4, 3), molecule(5, 8)]
        return [from_structure(structure, 7 * k) for k, structure in enumerate(structures)]

    def test_a_batch_equals_its_members(self, settings: MotionSettings) -> None:
        states = self.states(settings)
        field = Field(toy_model().potential, stress=True)
        together = run(field, join(states), settings)
        for k, state in enumerate(states):
            alone = run(Field(toy_model().potential, stress=True), state, settings)
            one = together.select(torch.tensor([k]))
            torch.testing.assert_close(one.positions, alone.positions, atol=1e-10, rtol=0)
            torch.testing.assert_close(one.velocities, alone.velocities, atol=1e-10, rtol=0)
            torch.testing.assert_close(one.cell, alone.cell, atol=1e-10, rtol=0)
            torch.testing.assert_close(conserved(one), conserved(alone), atol=1e-9, rtol=0)

    def test_an_interrupted_run_ends_the_same_to_the_last_bit(self, settings: MotionSettings) -> None:
        stepper, potential = make_moving(settings), toy_model().potential
        field = Field(potential, stress=True)
        state = stepper.begin(field.evaluate(join(self.states(settings))))
        for n in range(settings.steps):
            if n == 11:
                saved = {name: value.clone() for name, value in state.tensors().items()}
            state = stepper.step(state, field)
        again, field = BatchState.from_tensors(saved), Field(potential, stress=True)
        for _ in range(settings.steps - 11):
            again = make_moving(settings).step(again, field)
        ends, others = state.tensors(), again.tensors()
        assert ends.keys() == others.keys()
        for name, value in ends.items():
            assert torch.equal(value.nan_to_num(7.0), others[name].nan_to_num(7.0)), name
        assert (state.step == settings.steps).all()

    def test_one_that_leaves_changes_nobody(self, settings: MotionSettings) -> None:
        stepper, field = make_moving(settings), Field(toy_model().potential, stress=True)
        state = stepper.begin(field.evaluate(join(self.states(settings))))
        for _ in range(5):
            state = stepper.step(state, field)
        fewer = state.select(torch.tensor([0, 2]))
        for _ in range(5):
            state, fewer = stepper.step(state, field), stepper.step(fewer, field)
        torch.testing.assert_close(state.select(torch.tensor([0, 2])).positions, fewer.positions, atol=1e-10, rtol=0)
