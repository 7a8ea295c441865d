"""Single checks against what is known of the model or the structure."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from eqcli.audit import transforms
from eqcli.audit.chirality import check_handedness, chirality
from eqcli.audit.dimers import energy_jump
from eqcli.audit.effort import Effort
from eqcli.audit.groups import DEFAULT, chosen_groups, require_outputs
from eqcli.audit.hessian import hessian_columns
from eqcli.audit.laws import law
from eqcli.audit.orbit import Grid, aggregate_view, orbit, orbits
from eqcli.audit.probe import probe_structures
from eqcli.audit.subject import Subject
from eqcli.audit.transforms import axis_rotation
from eqcli.audit.worst import OF_ONE, as_structures, worst_rotations
from eqcli.elements import COVALENT_RADII
from eqcli.errors import InputError
from eqcli.io import read_structures, write_structures
from eqcli.io.structure import Structure
from tests.audit import broken
from tests.audit.test_parts import distances
from tests.toy import ToyPotential


def exact(potential: ToyPotential | None = None) -> Subject:
    return Subject.of(potential or ToyPotential(), torch.float64)


@pytest.mark.parametrize("seed", range(6))
def test_a_supercell_has_every_distance_of_the_cell_as_often(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crystal = broken.crystal()
    matrix = transforms.random_supercell(crystal.pbc, rng)
    bigger = transforms.supercell(crystal, matrix)
    count = round(np.linalg.det(matrix))
    assert count in (2, 3, 4)
    assert len(bigger) == count * len(crystal)
    assert bigger.volume == pytest.approx(count * crystal.volume)
    assert distances(bigger) == pytest.approx(np.repeat(distances(crystal), count))


def test_supercells_leave_open_directions_alone() -> None:
    slab = Structure(np.array([6, 8]), np.array([[0, 0, 0], [1.2, 1.1, 0.9]]), 2.6 * np.eye(3), [True, True, False])
    for seed in range(5):
        matrix = transforms.random_supercell(slab.pbc, np.random.default_rng(seed))
        assert matrix[2].tolist() == matrix[:, 2].tolist() == [0, 0, 1]


def test_another_origin_wraps_atoms_into_the_cell() -> None:
    crystal = broken.crystal()
    moved = transforms.other_origin(crystal, np.array([0.7, 0.4, 0.9]))
    fractional = moved.positions @ np.linalg.inv(moved.cell)
    assert ((fractional >= 0) & (fractional < 1)).all()
    assert distances(moved) == pytest.approx(distances(crystal))
    change = (moved.positions - crystal.positions) @ np.linalg.inv(crystal.cell) - [0.7, 0.4, 0.9]
    assert change == pytest.approx(np.round(change), abs=1e-12)
    assert np.abs(change).max() > 0.5


def test_another_origin_of_a_slab_keeps_its_height() -> None:
    slab = Structure(np.array([6, 8]), np.array([[0, 0, 0], [1.2, 1.1, 7.9]]), 2.6 * np.eye(3), [True, True, False])
    moved = transforms.other_origin(slab, np.array([0.5, 0.5, 0.5]))
    assert moved.positions[:, 2] == pytest.approx(slab.positions[:, 2], abs=1e-12)


def test_hessian_is_that_of_automatic_differentiation() -> None:
    from eqcli.graph.atom_graph import build_graph

    molecule, potential = broken.molecule(), ToyPotential().double()
    graph = build_graph(molecule.numbers, molecule.positions, molecule.cell, molecule.pbc, potential.cutoff)
    sender, receiver = graph.edge_index

    def energy(flat: torch.Tensor) -> torch.Tensor:
        positions = flat.reshape(-1, 3)
        return potential.interaction_energies(graph, positions[sender] - positions[receiver]).sum()

    expected = torch.autograd.functional.hessian(energy, graph.positions.flatten()).numpy()
    chosen = np.array([0, 4, 17])
    found = hessian_columns(exact(), molecule, chosen)
    assert found.values == pytest.approx(expected[:, chosen], abs=1e-6 * np.abs(expected).max())
    assert found.asymmetry.max() < 1e-9
    assert found.net_force.max() < 1e-9


def test_chirality_of_known_shapes() -> None:
    hand = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert chirality(Structure(np.full(4, 6), hand)) > 0.2
    assert chirality(Structure(np.full(4, 6), hand * [1, 1, 0])) == pytest.approx(0.0, abs=1e-7)
    # By search: the mirror image laid on the molecule by many rotations.
    centred = hand - hand.mean(axis=0)
    rng = np.random.default_rng(0)
    nearest = min(
        np.sqrt(np.mean(np.sum((centred + centred @ transforms.random_rotation(rng).T) ** 2, axis=1)))
        for _ in range(20000)
    )
    assert chirality(Structure(np.full(4, 6), hand)) == pytest.approx(nearest, rel=0.02)
    assert chirality(broken.crystal()) == math.inf


def pseudoscalar(name: str, value: object) -> Subject:
    return broken.of_toy(lambda graph, _: {"handedness": value(graph)}, handedness=law(name))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("subject", "sees", "should"),
    [
        (lambda: pseudoscalar("pseudoscalar", broken.triple), True, True),
        (lambda: pseudoscalar("scalar", broken.triple), True, False),
        (lambda: pseudoscalar("scalar", lambda graph: broken.triple(graph).abs()), False, False),
        (lambda: pseudoscalar("pseudoscalar", lambda graph: 0 * broken.triple(graph)), False, True),
        (lambda: pseudoscalar("pseudoscalar", lambda graph: broken.triple(graph).abs()), False, True),
    ],
)
def test_who_sees_handedness_and_who_should(subject, sees: bool, should: bool) -> None:  # type: ignore[no-untyped-def]
    check = check_handedness(subject(), [broken.molecule()])
    told = check.figures["outputs"]
    assert (told["handedness"]["sees"], told["handedness"]["should"]) == (sees, should)
    assert (told["energy"]["sees"], told["energy"]["should"]) == (False, False)
    assert check.value == (sees != should)


def test_a_preferred_direction_is_not_taken_for_handedness() -> None:
    assert check_handedness(exact(broken.Directional()), [broken.molecule()]).passed


def test_energy_jumps_are_the_steps_at_turns() -> None:
    smooth = np.linspace(-1, 2, 200) ** 2
    assert energy_jump(smooth) < 0.01
    # Up by 3 eV and down again on a rising curve: turns before and behind the spike.
    spiked = np.where(np.arange(200) == 100, smooth + 3.0, smooth)
    assert energy_jump(spiked) == pytest.approx(9.0, abs=0.1)


def test_grid_covers_the_rotations() -> None:
    grid = Grid.of(40, 6)
    assert len(grid.matrices) == 240
    axis, angle = grid.place(17)
    assert grid.matrices[17] == pytest.approx(axis_rotation(axis, angle))
    assert 0 < grid.angles.min() < grid.angles.max() < math.pi
    nearest = max(np.trace(matrix.T @ transforms.random_rotation(np.random.default_rng(0))) for matrix in grid.matrices)
    assert nearest > 1 + 2 * math.cos(math.radians(40))


def test_orbit_of_a_preferred_axis_shows_the_axis() -> None:
    one = orbit(exact(broken.Directional()), broken.molecule(), Grid.of(60, 4))
    along = np.abs(one.grid.axes[:, 2])
    # Turning about the preferred axis changes nothing.
    assert one.errors[along > 0.95].max() < 0.5 * one.errors[along < 0.3].max()


def test_aggregate_view_is_over_all_structures() -> None:
    structures = [broken.molecule(), broken.crystal()]
    effort = Effort(axes=12, angles=3, single_axes=20, single_angles=4)
    every = orbits(exact(broken.Directional()), structures, effort)
    assert [one.errors.shape for one in every] == [(12, 3), (12, 3), (20, 4)]
    view = aggregate_view(every[:2])
    errors = np.stack([one.errors for one in every[:2]])
    assert view["mean_by_axis"] == pytest.approx(errors.mean(axis=(0, 2)))
    assert view["worst_by_structure"] == pytest.approx(errors.max(axis=(1, 2)))
    assert np.array(view["quantiles_by_angle"]).shape == (3, 3)
    assert np.array(view["quantiles_by_structure"]).shape == (2, 3)
    assert every[2].structure is structures[int(np.argmax(view["worst_by_structure"]))]


def test_worst_rotations_can_be_looked_at(tmp_path: Path) -> None:
    subject = exact(broken.Directional())
    structures = [broken.molecule(), broken.crystal()]
    every = [orbit(subject, structure, Grid.of(30, 4)) for structure in structures]
    worst = worst_rotations(every, 4)
    assert worst[0].error == max(one.errors.max() for one in every)
    assert len(worst) == 4
    assert all(sum(w.structure is s for w in worst) <= OF_ONE for s in structures)
    path = tmp_path / "worst.extxyz"
    write_structures(path, as_structures(subject, worst))
    frames = list(read_structures(path))
    assert len(frames) == 8
    for rotation, original, turned in zip(worst, frames[::2], frames[1::2], strict=True):
        matrix = axis_rotation(rotation.axis, rotation.angle)
        assert turned.positions == pytest.approx(original.positions @ matrix.T, abs=1e-7)
        assert original.forces is not None
        assert turned.forces is not None
        assert turned.arrays["expected_forces"] == pytest.approx(original.forces @ matrix.T, abs=1e-7)
        error = turned.forces - turned.arrays["expected_forces"]
        assert turned.arrays["force_error"] == pytest.approx(error, abs=1e-7)
        assert float(turned.info["relative_error"]) == pytest.approx(rotation.error, rel=1e-6)
        assert int(turned.info["worst_atom"]) == int(np.abs(error).max(axis=1).argmax())
        assert turned.info["frame"] == "rotated"


@pytest.mark.parametrize("elements", [[1], [1, 6, 8], [1, 6, 7, 8, 16, 17, 29, 79]])
def test_probes_are_at_bonded_distances(elements: list[int]) -> None:
    structures = probe_structures(elements, seed=2)
    present = {int(z) for structure in structures for z in structure.numbers}
    assert present == set(elements)
    *molecules, crystal = structures
    assert crystal.pbc.all()
    assert all(not molecule.pbc.any() for molecule in molecules)
    for molecule in molecules:
        radii = np.array([COVALENT_RADII[z] for z in molecule.numbers])
        apart = np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=-1)
        bonds = (apart / (radii[:, None] + radii))[~np.eye(len(molecule), dtype=bool)].reshape(len(molecule), -1)
        assert bonds.min(axis=1) == pytest.approx(1.0, abs=0.11)
    angles = crystal.cell @ crystal.cell.T
    assert np.abs(angles[np.triu_indices(3, 1)]).max() > 0.01
    again = probe_structures(elements, seed=2)
    assert all((a.positions == b.positions).all() for a, b in zip(structures, again, strict=True))


def test_groups_by_name() -> None:
    assert chosen_groups(["smoothness,equivariance"]) == ("equivariance", "smoothness")
    assert chosen_groups(["smoothness", "equivariance"]) == ("equivariance", "smoothness")
    assert set(chosen_groups(["all"])) == {*DEFAULT, "expressivity"}
    with pytest.raises(InputError, match="no group of audits 'equivarience'") as caught:
        chosen_groups(["equivarience"])
    assert "Did you mean 'equivariance'?" in caught.value.hint
    with pytest.raises(InputError, match="no group"):
        chosen_groups([","])
    require_outputs(["energy"], ["equivariance", "extensivity"])


def test_further_outputs_are_part_of_every_symmetry() -> None:
    from eqcli.audit.run import run_audit

    def dipole(graph, _):  # type: ignore[no-untyped-def]
        return {"dipole": broken.moments(graph)[1]}

    sound = run_audit(broken.of_toy(dipole, dipole=law("vector")), [broken.molecule()], groups=["equivariance"])
    assert sound.passed
    rotation = sound.check("rotation")
    assert rotation is not None
    assert 0 < rotation.figures["dipole"] < 1e-12
    wrong = run_audit(broken.of_toy(dipole, dipole=law("pseudovector")), [broken.molecule()], groups=["equivariance"])
    assert {check.key for check in wrong.failed} == {"reflection"}
