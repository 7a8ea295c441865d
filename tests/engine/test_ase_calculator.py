"""The ASE calculator against finite differences, and its conventions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from eqcli.engine import hosted
from eqcli.engine.ase_calculator import PotentialCalculator
from eqcli.errors import InputError
from tests.toy_model import REFERENCE_ENERGIES, toy_model


def crystal(left_handed: bool = False) -> Atoms:
    cell = np.array([[3.0, 0.2, 0.5], [-0.3, 3.3, 0.4], [0.1, -0.2, 2.9]])
    if left_handed:
        cell = cell[[1, 0, 2]]
    positions = np.array([[0.1, 0.0, 0.0], [1.4, 1.7, 1.3]])
    return Atoms("CO", positions=positions, cell=cell, pbc=True, calculator=PotentialCalculator(toy_model()))


def slab() -> Atoms:
    atoms = crystal()
    atoms.pbc = (True, True, False)
    return atoms


def molecule() -> Atoms:
    positions = [[0.0, 0, 0], [1.3, 0.1, 0], [-0.4, 1.1, 0.3]]
    return Atoms("OHH", positions=positions, calculator=PotentialCalculator(toy_model()))


SYSTEMS = {"molecule": molecule, "slab": slab, "crystal": crystal, "left-handed": lambda: crystal(left_handed=True)}


@pytest.mark.parametrize("make", SYSTEMS.values(), ids=SYSTEMS.keys())
def test_forces_are_minus_the_gradient(make):
    atoms = make()
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-6)


@pytest.mark.parametrize("left_handed", [False, True])
def test_stress_is_the_strain_derivative_per_volume(left_handed):
    atoms = crystal(left_handed)
    stress = atoms.get_stress()
    assert np.abs(stress).min() > 1e-4
    np.testing.assert_allclose(stress, calculate_numerical_stress(atoms, eps=1e-5), atol=1e-7)


def test_pressure_is_minus_the_volume_derivative():
    atoms = crystal()
    pressure = -atoms.get_stress()[:3].mean()
    energies = []
    for scale in (1 - 1e-5, 1 + 1e-5):
        scaled = crystal()
        scaled.set_cell(atoms.cell * scale, scale_atoms=True)
        energies.append((scaled.get_volume(), scaled.get_potential_energy()))
    (v0, e0), (v1, e1) = energies
    assert pressure == pytest.approx(-(e1 - e0) / (v1 - v0), rel=1e-6)


def test_the_hand_of_the_cell_does_not_matter():
    np.testing.assert_allclose(crystal().get_stress(), crystal(left_handed=True).get_stress(), atol=1e-12)


@pytest.mark.parametrize("make", [molecule, slab])
def test_there_is_no_stress_without_three_periods(make):
    atoms = make()
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()
    assert np.isfinite(atoms.get_potential_energy())


def test_atomic_energies_add_up():
    atoms = crystal()
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


def test_results_are_kept_until_the_atoms_change(monkeypatch):
    calls = []
    evaluate = hosted.evaluate
    monkeypatch.setattr(hosted, "evaluate", lambda *a, **k: calls.append(1) or evaluate(*a, **k))
    atoms = crystal()
    atoms.get_forces(), atoms.get_stress(), atoms.get_potential_energy()
    assert len(calls) == 1
    atoms.positions[0, 0] += 1e-9
    atoms.get_potential_energy()
    assert len(calls) == 2
    atoms.pbc = False
    atoms.get_potential_energy()
    assert len(calls) == 3


def test_an_isolated_atom_has_its_reference_energy():
    atoms = Atoms("C", positions=[[5.0, 5.0, 5.0]], calculator=PotentialCalculator(toy_model()))
    assert atoms.get_potential_energy() == REFERENCE_ENERGIES[6]
    np.testing.assert_array_equal(atoms.get_forces(), np.zeros((1, 3)))


def test_two_precisions_side_by_side():
    exact, rough = (PotentialCalculator(toy_model(dtype)) for dtype in (torch.float64, torch.float32))
    before = torch.get_default_dtype()
    energies = []
    for calculator in (exact, rough, exact):
        atoms = crystal()
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    assert energies[0] == energies[2]
    assert energies[1] != energies[0]
    assert energies[1] == pytest.approx(energies[0], abs=1e-5)
    assert torch.get_default_dtype() == before


def test_unknown_elements_and_charges_are_refused():
    iron = Atoms("Fe", calculator=PotentialCalculator(toy_model()))
    with pytest.raises(InputError, match="Fe"):
        iron.get_potential_energy()
    ion = molecule()
    ion.info["charge"] = 1
    with pytest.raises(InputError, match="charge"):
        ion.get_potential_energy()


def test_long_dynamics_conserves_the_energy():
    from ase.md.verlet import VelocityVerlet
    from ase.units import fs

    atoms = molecule()
    atoms.set_velocities(np.random.default_rng(0).normal(size=(3, 3)) * 0.01)
    start = atoms.get_total_energy()
    VelocityVerlet(atoms, 0.1 * fs).run(100)
    assert atoms.get_total_energy() == pytest.approx(start, abs=1e-4)
    assert atoms.get_kinetic_energy() > 1e-3


def test_properties_are_among_the_results() -> None:
    """A dipole and charges under ASE's names, everything else under its own; no energy is no error."""
    from eqcli.engine.model_file import ModelFile, make_potential
    from eqcli.models.potentials.configs.mace import MACEConfig

    heads = {"mu": {"kind": "dipole"}, "q": {"kind": "charges"}, "gap": {"kind": "scalar", "unit": "Hartree"}}
    small = {"cutoff": 3.0, "channels": 2, "radial_MLP": (4,), "MLP_irreps": "2x0e", "max_ell": 1}
    torch.manual_seed(0)
    config = MACEConfig.model_validate({**small, "heads": heads, "energy": False})
    potential = make_potential(config, [1, 8]).eval().requires_grad_(False)
    atoms = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    atoms.calc = PotentialCalculator(ModelFile(potential, {"precision": "float64"}))
    dipole = atoms.get_dipole_moment()
    results = atoms.calc.results
    assert set(results) == {"mu", "dipole", "q", "charges", "gap"}
    np.testing.assert_array_equal(dipole, results["mu"])
    assert abs(atoms.get_charges().sum()) < 1e-12
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_potential_energy()
    atoms.set_cell([9, 9, 9])
    atoms.pbc = True
    atoms.calc.get_property("gap", atoms)
    assert set(atoms.calc.results) == {"q", "charges", "gap"}
