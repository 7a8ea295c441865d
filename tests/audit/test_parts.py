"""The pieces audits are made of, against results known by other means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eqcli.audit import transforms
from eqcli.audit.compare import Difference, worst
from eqcli.audit.cutoff import Drag
from eqcli.audit.dimers import element_pairs, sign_changes, tortuosity
from eqcli.audit.drift import TEMPERATURE, run_nve, slope_and_error, thermal_velocities
from eqcli.audit.effort import Effort
from eqcli.audit.gradients import STEP, five_point
from eqcli.audit.orbit import fibonacci_sphere
from eqcli.audit.result import Check
from eqcli.audit.subject import Subject
from eqcli.elements import MASSES
from eqcli.graph.neighbours import neighbour_list
from eqcli.io.structure import Structure
from eqcli.units import ACCELERATION, BOLTZMANN
from tests.audit import broken
from tests.toy import ToyPotential

SEEDS = st.integers(0, 2**32 - 1)


def distances(structure: Structure, cutoff: float = 4.0) -> np.ndarray:
    """Sorted neighbour distances: what no change of description may change."""
    (j, i), shift = neighbour_list(structure.positions, structure.cell, structure.pbc, cutoff)
    r = structure.positions[j] - structure.positions[i] + shift @ structure.cell
    return np.sort(np.linalg.norm(r, axis=1))


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_symmetry_operations_keep_all_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crystal = broken.crystal()
    images = rng.integers(-3, 4, size=(3, 3))
    for changed in (
        transforms.rotate(crystal, transforms.random_rotation(rng)),
        transforms.rotate(crystal, -transforms.random_rotation(rng)),
        transforms.translate(crystal, rng.normal(size=3)),
        transforms.permute(crystal, rng.permutation(3)),
        transforms.other_images(crystal, images),
        transforms.other_basis(crystal, rng),
    ):
        assert distances(changed) == pytest.approx(distances(crystal), abs=1e-9)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_random_rotations_are_proper(seed: int) -> None:
    matrix = transforms.random_rotation(np.random.default_rng(seed))
    assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-13)
    assert np.linalg.det(matrix) == pytest.approx(1.0)


def test_random_rotations_have_no_preferred_direction() -> None:
    rng = np.random.default_rng(0)
    mean = np.mean([transforms.random_rotation(rng) for _ in range(4000)], axis=0)
    assert np.abs(mean).max() < 0.05


def test_axis_rotation_turns_by_the_angle() -> None:
    matrix = transforms.axis_rotation(np.array([0.0, 0, 1]), np.pi / 2)
    assert matrix @ [1, 0, 0] == pytest.approx([0, 1, 0], abs=1e-15)
    assert (transforms.axis_rotation(np.array([0.0, 0, 1]), 0.0) == np.eye(3)).all()


def test_doubled_cell_has_every_distance_twice() -> None:
    crystal = broken.crystal()
    for axis in range(3):
        assert distances(transforms.doubled(crystal, axis)) == pytest.approx(np.repeat(distances(crystal), 2))


def test_stretched_atoms_are_apart() -> None:
    assert distances(transforms.stretched(broken.molecule(), 5.0), 5.0).size == 0


def test_five_point_formula_is_exact_for_quartics() -> None:
    class Quartic(Subject):
        def energies(self, structures):  # type: ignore[no-untyped-def, override]
            return np.array([s.positions[0, 0] ** 4 - 2 * s.positions[0, 0] ** 3 for s in structures])

    subject = Quartic(lambda graph, **_: None, cutoff=1.0, reference_energies={})  # type: ignore[arg-type, return-value]
    slope = five_point(subject, [lambda s: Structure(np.array([1]), np.array([[0.7 + s, 0, 0]]))], STEP)
    assert slope[0] == pytest.approx(4 * 0.7**3 - 6 * 0.7**2, rel=1e-11)


def test_crossings_are_where_distances_equal_the_cutoff() -> None:
    for structure in (broken.molecule(), broken.crystal()):
        drag = Drag(structure, 1, np.array([0.6, 0.0, 0.8]), 3.0)
        crossings = drag.crossings(4.0)
        assert len(crossings)
        for s in crossings:
            before, after = (
                neighbour_list(x.positions, x.cell, x.pbc, 4.0)[0] for x in (drag.at(s - 1e-6), drag.at(s + 1e-6))
            )
            assert before.shape[1] != after.shape[1]


def test_crossings_are_all_there_are() -> None:
    drag = Drag(broken.molecule(), 2, np.array([1.0, 0, 0]), 6.0)
    counts = [
        neighbour_list(drag.at(s).positions, np.zeros((3, 3)), np.zeros(3), 4.0)[0].shape[1]
        for s in np.linspace(0.01, 6, 600)
    ]
    assert len(drag.crossings(4.0)) == np.count_nonzero(np.diff(counts))


def test_sign_changes_leave_noise_out() -> None:
    assert sign_changes(np.array([5.0, 1.0, -1.0, -0.5, 1e-3, -1e-3])) == 1
    assert sign_changes(np.array([5.0, -1.0, 1.0, -1.0])) == 3


def test_tortuosity_of_one_well_is_one() -> None:
    assert tortuosity(np.array([5.0, 1, -2, -1, 0])) == pytest.approx(1.0)
    assert tortuosity(np.array([5.0, 1, -2, 1, -2, 0])) == pytest.approx(15 / 9)
    assert tortuosity(np.zeros(4)) == 1.0


def test_element_pairs_put_present_elements_first() -> None:
    water = Structure(np.array([8, 1, 1]), np.eye(3))
    assert element_pairs([1, 6, 8], [water], 3) == [(1, 1), (1, 8), (8, 8)]
    assert len(element_pairs([1, 6, 8], [water], 99)) == 6


def test_thermal_velocities_have_the_temperature_and_no_momentum() -> None:
    molecule = broken.molecule()
    velocities = thermal_velocities(molecule, TEMPERATURE, np.random.default_rng(0))
    masses = np.array([MASSES[z] for z in molecule.numbers])[:, None]
    assert (masses * velocities).sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    kinetic = 0.5 * (masses * velocities**2).sum() / ACCELERATION
    assert kinetic == pytest.approx(1.5 * (len(molecule) - 1) * BOLTZMANN * TEMPERATURE)


def test_verlet_follows_ase() -> None:
    ase = pytest.importorskip("ase")
    from ase.calculators.calculator import Calculator
    from ase.md.verlet import VelocityVerlet
    from ase.units import fs

    subject = Subject.of(ToyPotential(), torch.float64)

    class Toy(Calculator):
        implemented_properties = ("energy", "forces")

        def calculate(self, atoms=None, properties=(), system_changes=()) -> None:  # type: ignore[no-untyped-def]
            outcome = subject.predict([Structure(atoms.numbers, atoms.positions)])[0]
            self.results = {"energy": outcome.energy, "forces": outcome.forces}

    molecule = broken.molecule()
    velocities = thermal_velocities(molecule, 300.0, np.random.default_rng(1))
    run = run_nve(subject, [(molecule, velocities, 0.5)], 20)[0]
    masses = [MASSES[z] for z in molecule.numbers]
    atoms = ase.Atoms(molecule.numbers, molecule.positions, masses=masses, calculator=Toy())
    atoms.set_velocities(velocities / fs)
    VelocityVerlet(atoms, 0.5 * fs, logfile=None).run(20)
    assert run.potential[-1] == pytest.approx(atoms.get_potential_energy(), rel=1e-6)
    assert run.time[-1] == pytest.approx(10.0)


def test_slope_of_a_line_and_its_error() -> None:
    x = np.linspace(0, 1, 400)
    assert slope_and_error(x, 3 * x + 1)[0] == pytest.approx(3.0)
    assert slope_and_error(x, 3 * x + 1)[1] == pytest.approx(0.0, abs=1e-12)
    slope, error = slope_and_error(x, np.sin(40 * x))
    assert abs(slope) < 3 * error


def test_fibonacci_sphere_is_even() -> None:
    axes = fibonacci_sphere(200)
    assert np.linalg.norm(axes, axis=1) == pytest.approx(np.ones(200))
    assert np.abs(axes.mean(axis=0)).max() < 0.01


def test_effort_falls_with_size_and_never_to_nothing() -> None:
    large = Structure(np.full(1000, 6), np.random.default_rng(0).normal(size=(1000, 3)))
    assert Effort.of([broken.molecule()]) == Effort()
    effort = Effort.of([large])
    assert effort.rotations == 2
    assert effort.steps < Effort().steps


def test_nan_fails_a_check() -> None:
    assert not Check("rotation", float("nan"), "").passed
    assert not Check("rotation", 0.0, "", nonfinite=["here: energy"]).passed
    assert Check("rotation", 0.0, "").passed
    assert np.isnan(worst([1.0, float("nan")]))
    assert np.isnan(Difference(float("nan"), 0.0).worst)
    assert Check("drift", 1e9, "").status == "note"
    assert Check("rotation", 1.0, "").status == "fail"


def test_subject_batches_give_the_same_in_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject.of(ToyPotential(), torch.float64)
    structures = [broken.molecule(), broken.crystal()] * 3
    whole = subject.predict(structures, stress=True)
    monkeypatch.setattr("eqcli.audit.subject.EDGES_PER_BATCH", {"cpu": 50})
    split = subject.predict(structures, stress=True)
    for a, b in zip(whole, split, strict=True):
        assert a.energy == pytest.approx(b.energy, rel=1e-13)
        assert a.forces == pytest.approx(b.forces, abs=1e-12)
        assert (a.stress is None) == (b.stress is None)
