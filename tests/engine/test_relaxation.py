"""Relaxations of structures whose minima are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk
from scipy.spatial.transform import Rotation

from eqcli.engine.ase_calculator import PotentialCalculator
from eqcli.engine.relaxation import Relaxation, RelaxSettings
from eqcli.engine.space_group import space_group
from eqcli.errors import EqcliError, InputError
from eqcli.io.ase_bridge import to_ase
from eqcli.io.structure import Structure
from eqcli.units import STRESS
from tests.toy import ToyPotential
from tests.toy_model import toy_model

OPTIMIZERS = ["fire", "lbfgs"]


@pytest.fixture
def calculator() -> PotentialCalculator:
    """Morse pairs narrow enough for close-packed crystals to have a minimum at a ~ 2.2 Å."""
    model = toy_model()
    assert isinstance(model.potential, ToyPotential)
    model.potential.width.fill_(4.0)
    return PotentialCalculator(model)


def relax(structure: Structure, calculator, **settings) -> Relaxation:
    relaxation = Relaxation(structure, calculator, RelaxSettings(**settings))
    for _ in relaxation.run():
        pass
    return relaxation


def dimer(distance: float) -> Structure:
    return Structure([6, 8], [[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])


def fcc(a: float = 2.4, **kwargs) -> Structure:
    atoms = bulk("C", "fcc", a=a, **kwargs)
    return Structure(atoms.numbers, atoms.positions, atoms.cell.array, True)


def rattled(seed: int = 1, left_handed: bool = False) -> Structure:
    """Eight atoms of a strained, distorted fcc crystal without symmetry."""
    rng = np.random.default_rng(seed)
    crystal = fcc(2.3, cubic=True)
    doubled = to_ase(crystal) * (2, 1, 1)
    cell = doubled.cell.array @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3)))
    scaled = doubled.get_scaled_positions() + 0.01 * rng.normal(size=(8, 3))
    order = [1, 0, 2] if left_handed else [0, 1, 2]
    return Structure(doubled.numbers, scaled @ cell, cell[order], True)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("start", [1.4, 1.7, 1.9])
def test_a_dimer_finds_its_distance(calculator, optimizer, start):
    # The cutoff function moves the minimum of the pair a little below 1.6 Å: find it on a grid.
    grid = np.linspace(1.55, 1.65, 2001)
    r = torch.from_numpy(grid)
    x = r / 4.0
    decay = torch.exp(-4.0 * (r - calculator.potential.distance))
    energies = (decay**2 - 2 * decay) * (1 - 10 * x**3 + 15 * x**4 - 6 * x**5)
    expected = grid[int(energies.argmin())]
    done = relax(dimer(start), calculator, optimizer=optimizer, fmax=1e-5)
    assert done.converged
    end = done.present().positions
    assert np.linalg.norm(end[1] - end[0]) == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(end.sum(axis=0), dimer(start).positions.sum(axis=0), atol=1e-9)


def test_lbfgs_does_not_climb_where_the_energy_is_concave(calculator):
    # 2.1 Å is past the inflection of the pair energy, where a plain L-BFGS step leads uphill.
    done = relax(dimer(2.1), calculator, optimizer="lbfgs")
    assert done.converged
    assert done.point.energy < done.start.energy - 0.1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cell", ["full", "isotropic"])
def test_a_crystal_ends_without_stress(calculator, optimizer, cell):
    done = relax(fcc(), calculator, cell=cell, optimizer=optimizer)
    assert done.converged
    end = done.present()
    assert np.abs(end.stress).max() < 1e-4
    assert end.volume < 0.9 * fcc().volume
    smaller, larger = (relax(replace(end, cell=end.cell * s), calculator, steps=0) for s in (0.99, 1.01))
    assert done.point.energy < min(smaller.point.energy, larger.point.energy)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("left_handed", [False, True])
def test_a_distorted_crystal_finds_its_lattice(calculator, optimizer, left_handed):
    start = rattled(left_handed=left_handed)
    done = relax(start, calculator, cell="full", optimizer=optimizer, fmax=1e-3, smax=1e-5)
    assert done.converged
    perfect = relax(fcc(), calculator, cell="full", fmax=1e-4, smax=1e-6)
    assert done.point.energy / 8 == pytest.approx(perfect.point.energy, abs=1e-5)
    assert done.point.volume / 8 == pytest.approx(perfect.point.volume, rel=1e-4)
    assert (done.space_group_before, done.space_group_after) == ("P1 (1)", "Fm-3m (225)")
    assert np.sign(np.linalg.det(done.present().cell)) == (-1 if left_handed else 1)


def test_pressure_is_the_slope_of_the_energy(calculator):
    target = 20.0
    done = relax(fcc(), calculator, cell="full", pressure=target, smax=1e-7, optimizer="lbfgs")
    assert done.converged
    end = done.present()
    free = relax(fcc(), calculator, cell="full", smax=1e-7, optimizer="lbfgs")
    assert end.volume < free.present().volume
    points = []
    for scale in (1 - 1e-4, 1 + 1e-4):
        scaled = replace(end, cell=end.cell * scale, positions=end.positions * scale)
        points.append((scaled.volume, relax(scaled, calculator, steps=0).point.energy))
    (v0, e0), (v1, e1) = points
    assert -(e1 - e0) / (v1 - v0) / STRESS["GPa"] == pytest.approx(target, abs=1e-3)
    np.testing.assert_allclose(end.stress, -target * STRESS["GPa"] * np.eye(3), atol=1e-6)


def test_an_isotropic_cell_keeps_its_shape(calculator):
    start = rattled()
    done = relax(start, calculator, cell="isotropic")
    assert done.converged
    scale = np.cbrt(done.point.volume / start.volume)
    assert abs(scale - 1) > 1e-3
    np.testing.assert_allclose(done.present().cell, start.cell * scale, rtol=1e-8)
    stress = done.present().stress
    assert abs(np.trace(stress) / 3) < 1e-4
    assert np.abs(stress).max() > 1e-3


def test_forces_alone_do_not_make_a_cell_converged(calculator):
    # By symmetry there are no forces in this crystal, only a stress.
    done = relax(fcc(), calculator, cell="full", steps=1)
    assert done.start.fmax < 1e-10
    assert not done.converged
    assert relax(fcc(), calculator, cell="none").point.step == 0


def test_convergence_is_that_of_the_largest_atomic_force(calculator):
    done = relax(rattled(), calculator, fmax=0.02)
    assert done.converged
    forces = np.linalg.norm(done.present().forces, axis=1)
    assert done.point.fmax == forces.max() < 0.02
    steps = [frame.info["fmax"] for frame in Relaxation(rattled(), calculator, RelaxSettings(fmax=0.02)).run()]
    assert min(steps[:-1]) >= 0.02


@pytest.mark.parametrize("cell", ["none", "full"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fixed_atoms_do_not_move(calculator, optimizer, cell):
    start = replace(rattled(), fixed=np.arange(8) < 3)
    done = relax(start, calculator, cell=cell, optimizer=optimizer)
    assert done.converged
    end = done.present()
    # With a moving cell, their place in it is what stays.
    before, after = (s.positions @ np.linalg.inv(s.cell) if cell == "full" else s.positions for s in (start, end))
    np.testing.assert_allclose(after[:3], before[:3], atol=1e-9)
    assert np.abs(after - before)[3:].max() > 1e-3
    assert np.linalg.norm(end.forces[:3], axis=1).max() > 0.01
    assert done.point.fmax == np.linalg.norm(end.forces[3:], axis=1).max()


def test_a_slab_with_fixed_atoms(calculator):
    rows = np.array([[0.0, 0, 0], [0.8, 0.8, 1.1], [0.0, 0, 2.4]])
    slab = Structure(
        [6, 6, 6], rows, np.diag([1.6, 1.6, 0.0]), (True, True, False), fixed=np.array([True, False, False])
    )
    done = relax(slab, calculator)
    assert done.converged
    assert done.present().stress is None
    np.testing.assert_array_equal(done.present().positions[0], rows[0])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_atom_held_in_some_directions_moves_in_the_others(calculator, optimizer):
    mask = np.array([[False, False, False], [True, True, True], [True, False, True]])
    positions = np.array([[0.0, 0.0, 0.0], [2.0, 0.3, 0.1], [0.4, 1.9, 0.2]])
    done = relax(Structure([6, 6, 6], positions, arrays={"move_mask": mask}), calculator, optimizer=optimizer)
    moved = np.abs(done.present().positions - positions) > 1e-6
    assert done.converged
    assert not moved[0].any()
    assert moved[2].tolist() == [True, False, True]


def test_directions_of_a_skewed_lattice_are_refused(calculator):
    start = replace(rattled(), arrays={"move_mask": np.array([[True, True, False]] * 8)})
    with pytest.raises(InputError, match="some directions only"):
        relax(start, calculator)


def test_everything_fixed_is_converged_at_once(calculator):
    done = relax(replace(dimer(1.9), fixed=np.ones(2, bool)), calculator)
    assert done.converged
    assert done.point.step == 0
    assert done.point.fmax == 0.0


def test_a_single_atom(calculator):
    done = relax(Structure([8], [[1.0, 2.0, 3.0]]), calculator)
    assert done.converged
    np.testing.assert_array_equal(done.present().positions, [[1.0, 2.0, 3.0]])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_symmetry_is_kept_on_request(calculator, optimizer):
    # A simple cubic crystal of close-packing atoms is unstable: the smallest strain makes it leave.
    cell = 1.65 * (np.eye(3) + 1e-4 * np.random.default_rng(0).normal(size=(3, 3)))
    start = Structure([6], [[0.0, 0, 0]], cell, True)
    settings = {"cell": "full", "optimizer": optimizer, "symprec": 1e-2, "smax": 1e-6}
    kept = relax(start, calculator, keep_symmetry=True, **settings)
    assert kept.converged
    assert kept.space_group_before == kept.space_group_after == "Pm-3m (221)"
    left = relax(start, calculator, **settings)
    assert left.space_group_before == "Pm-3m (221)"
    assert left.space_group_after != "Pm-3m (221)"
    assert left.point.energy < kept.point.energy - 0.1


def test_a_symmetry_may_be_gained(calculator):
    cell = np.diag([2.0, 2.0, 2.1])
    start = Structure([6, 8], np.array([[0.0, 0, 0], [0.5, 0.5, 0.52]]) @ cell, cell, True)
    done = relax(start, calculator, cell="full", keep_symmetry=True, optimizer="lbfgs")
    assert done.converged
    assert (done.space_group_before, done.space_group_after) == ("P4mm (99)", "P4/mmm (123)")


def test_symmetry_of_a_left_handed_cell_is_kept(calculator):
    start = fcc()
    start.cell = start.cell[[1, 0, 2]]
    done = relax(start, calculator, cell="full", keep_symmetry=True)
    assert done.converged
    assert done.space_group_after == "Fm-3m (225)"
    assert np.linalg.det(done.present().cell) * np.linalg.det(start.cell) > 0


def test_small_deviations_from_the_symmetry_are_refined(calculator):
    start = fcc(cubic=True)
    start.positions += np.random.default_rng(0).normal(size=(4, 3)) * 1e-4
    done = relax(start, calculator, cell="full", keep_symmetry=True, symprec=1e-2)
    atoms = to_ase(done.present())
    assert space_group(atoms, 1e-6) == "Fm-3m (225)"


def test_fixed_atoms_must_have_the_symmetry_that_is_kept(calculator):
    start = replace(fcc(cubic=True), fixed=np.array([True, False, False, False]))
    with pytest.raises(InputError, match="fixed atoms"):
        relax(start, calculator, keep_symmetry=True)
    done = relax(replace(start, fixed=np.ones(4, bool)), calculator, keep_symmetry=True)
    assert done.converged


def test_a_lost_symmetry_is_an_error(calculator):
    relaxation = Relaxation(fcc(cubic=True), calculator, RelaxSettings(keep_symmetry=True))

    def spoil() -> None:
        for _ in relaxation.run():
            relaxation.atoms.set_constraint()
            relaxation.atoms.positions[0, 0] += 0.05

    with pytest.raises(EqcliError, match="lost the symmetry Fm-3m"):
        spoil()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("cell", ["none", "full"])
def test_a_turned_structure_relaxes_to_the_turned_result(calculator, optimizer, cell):
    turn = Rotation.from_rotvec([0.3, -0.7, 1.1]).as_matrix()
    start = rattled()
    turned = replace(start, positions=start.positions @ turn.T, cell=start.cell @ turn.T)
    here, there = (relax(s, calculator, cell=cell, optimizer=optimizer, steps=15) for s in (start, turned))
    assert here.point.step == there.point.step
    np.testing.assert_allclose(there.present().positions, here.present().positions @ turn.T, atol=1e-6)
    np.testing.assert_allclose(there.present().cell, here.present().cell @ turn.T, atol=1e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_relaxing_twice_gives_the_same_numbers(calculator, optimizer):
    first, second = (relax(rattled(), calculator, cell="full", optimizer=optimizer, steps=20).present() for _ in "12")
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.cell, second.cell)
    assert first.energy == second.energy


def test_atoms_far_outside_the_cell_stay_there(calculator):
    start = rattled()
    shifts = np.array([[3, -2, 5]] * 4 + [[0, 0, 0]] * 4)
    moved = replace(start, positions=start.positions + shifts @ start.cell)
    here, there = (relax(s, calculator).present() for s in (start, moved))
    np.testing.assert_allclose(there.positions, here.positions + shifts @ start.cell, atol=1e-6)


def test_steps_run_out(calculator):
    done = relax(rattled(), calculator, steps=2, fmax=1e-8)
    assert not done.converged
    assert done.point.step == 2
    assert done.present().info["converged"] is False


def test_every_step_is_yielded_with_its_labels(calculator):
    start = replace(rattled(), energy=1.0, info={"config_type": "x", "REF_energy": 2.0})
    relaxation = Relaxation(start, calculator, RelaxSettings())
    frames = list(relaxation.run())
    assert [frame.info["relax_steps"] for frame in frames] == list(range(relaxation.point.step + 1))
    assert [frame.info["converged"] for frame in frames] == [False] * relaxation.point.step + [True]
    np.testing.assert_array_equal(frames[0].positions, start.positions)
    for frame in frames:
        assert frame.energy == calculator.get_potential_energy(to_ase(frame))
        assert frame.info["config_type"] == "x"
        # Labels of the geometry that was left say nothing about the present one.
        assert "REF_energy" not in frame.info
    assert frames[-1].energy < frames[0].energy


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)])
@pytest.mark.parametrize("cell", ["full", "isotropic"])
def test_a_cell_moves_in_crystals_only(calculator, pbc, cell):
    with pytest.raises(InputError, match="not periodic in three directions"):
        relax(Structure([6], [[0.0, 0, 0]], np.eye(3) * 2.0, pbc), calculator, cell=cell)


def test_there_is_no_symmetry_to_keep_in_a_molecule(calculator):
    with pytest.raises(InputError, match="no space group"):
        relax(dimer(1.7), calculator, keep_symmetry=True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fmax": 0.0}, "fmax"),
        ({"smax": -1.0}, "smax"),
        ({"fmax": float("nan")}, "fmax"),
        ({"steps": -1}, "steps"),
        ({"cell": "cubic"}, "cubic"),
        ({"optimizer": "newton"}, "newton"),
        ({"pressure": 1.0}, "pressure"),
        ({"pressure": float("inf"), "cell": "full"}, "pressure"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        RelaxSettings(**settings)


class Hole(PotentialCalculator):
    """Pairs that attract each other without end, or whose energy is undefined."""

    def __init__(self, energy) -> None:
        model = toy_model()

        def interaction_energies(graph, vectors):
            pair = energy(vectors.norm(dim=1))
            return pair.new_zeros(graph.num_nodes).index_add(0, graph.edge_index[1], pair)

        model.potential.interaction_energies = interaction_energies  # type: ignore[method-assign]
        super().__init__(model)


def test_atoms_that_fall_into_a_hole_are_an_error():
    with pytest.raises(EqcliError, match=r"fell into each other at step \d+: atoms 0 \(C\) and 1 \(O\)"):
        relax(dimer(1.6), Hole(lambda r: r), optimizer="fire")


def test_values_that_are_not_finite_are_an_error():
    with pytest.raises(EqcliError, match="not finite at step"):
        relax(dimer(1.6), Hole(lambda r: r + torch.log(r - 1.2)))


def test_a_cell_that_explodes_is_an_error():
    with pytest.raises(EqcliError, match="volume changed"):
        relax(fcc(2.4, cubic=True), Hole(lambda r: -20.0 * r), cell="full", steps=100)


def test_overlapping_atoms_of_the_input_are_let_apart(calculator):
    done = relax(dimer(0.4), calculator)
    assert done.converged
    assert done.point.energy < done.start.energy
