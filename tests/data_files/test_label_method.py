"""The method behind the shipped labels: its signs and component order, by finite differences."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tblite", reason="tblite makes the shipped labels: pip install eqcli[data]")

from ase.build import bulk, molecule
from tblite.ase import TBLite

VOIGT = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
STRESS_TOLERANCE = 2e-5  # eV/Å^3
FORCE_TOLERANCE = 1e-4  # eV/Å


def energy(atoms, method):
    atoms.calc = TBLite(method=method, accuracy=0.1, verbosity=0)
    return atoms.get_potential_energy()


def test_stress_is_the_strain_derivative_of_the_energy_tensile_positive_in_ase_order():
    crystal = bulk("C", "diamond", a=3.6, cubic=True)
    skew = np.array([[0.01, 0.012, -0.02], [0.0, -0.015, 0.017], [0.0, 0.0, 0.02]])
    crystal.set_cell(crystal.cell @ (np.eye(3) + skew), scale_atoms=True)
    crystal.rattle(0.05, seed=1)
    energy(crystal, "GFN1-xTB")
    stress = crystal.get_stress(voigt=True)
    step = 1e-4
    for component, (i, j) in enumerate(VOIGT):
        values = []
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            moved = crystal.copy()
            moved.set_cell(crystal.cell @ (np.eye(3) + strain), scale_atoms=True)
            values.append(energy(moved, "GFN1-xTB"))
        derivative = (values[0] - values[1]) / (2 * step) / crystal.get_volume()
        assert stress[component] == pytest.approx(derivative, abs=STRESS_TOLERANCE), f"component {i}{j}"
    assert len(np.unique(np.round(stress, 3))) == 6, "components must differ, or their order is not tested"


def test_forces_are_minus_the_gradient():
    ethanol = molecule("CH3CH2OH")
    ethanol.rattle(0.05, seed=2)
    energy(ethanol, "GFN2-xTB")
    forces = ethanol.get_forces()
    step = 1e-3
    for atom, axis in [(0, 0), (2, 1), (8, 2)]:
        values = []
        for sign in (1, -1):
            moved = ethanol.copy()
            moved.positions[atom, axis] += sign * step
            values.append(energy(moved, "GFN2-xTB"))
        assert forces[atom, axis] == pytest.approx(-(values[0] - values[1]) / (2 * step), abs=FORCE_TOLERANCE)
