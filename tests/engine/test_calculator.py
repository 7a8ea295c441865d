"""`from eqcli import calculator`: what it takes, and that it works where ASE's own calculators do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS, FIRE
from ase.phonons import Phonons

from eqcli import calculator
from eqcli.engine.ase_calculator import total_charge
from eqcli.errors import InputError
from tests.toy_model import register_toy, save_toy

QUICK = "import sys, {}; assert not [m for m in ('torch', 'ase', 'numpy') if m in sys.modules]"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register_toy(monkeypatch)
    return save_toy(tmp_path / "model.safetensors", torch.float32)


def water() -> Atoms:
    return Atoms("OHH", [[0.0, 0, 0], [1.3, 0.1, 0], [-0.4, 1.1, 0.3]])


@pytest.mark.parametrize("line", ["eqcli", "eqcli; from eqcli import calculator, lammps_model, torch_sim_model"])
def test_importing_loads_nothing_heavy(line):
    subprocess.run([sys.executable, "-c", QUICK.format(line)], check=True)


def test_the_precision_is_that_of_the_file_unless_stated(model):
    assert calculator(model, device="cpu").potential.dtype is torch.float32
    assert calculator(str(model), device="cpu", precision="float64").potential.dtype is torch.float64


@pytest.mark.parametrize("wrong", [{"precision": "half"}, {"backend": "magic"}, {"device": "abacus"}])
def test_unknown_choices_are_refused(model, wrong):
    with pytest.raises(InputError, match=next(iter(wrong.values()))):
        calculator(model, **wrong)


@pytest.mark.parametrize("optimizer", [BFGS, FIRE])
def test_optimisers_find_the_minimum(model, optimizer):
    atoms = water()
    atoms.calc = calculator(model, precision="float64")
    start = atoms.get_potential_energy()
    assert optimizer(atoms, logfile=None).run(fmax=1e-5, steps=500)
    assert atoms.get_potential_energy() < start
    assert np.abs(atoms.get_forces()).max() < 1e-5


def test_a_crystal_keeps_its_energy_in_dynamics_and_the_error_is_of_second_order(model):
    drifts = []
    for step in (1.0, 0.5):
        atoms = bulk("C", a=3.2).repeat(2)
        atoms.calc = calculator(model, precision="float64")
        MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(1))
        energies = []
        dynamics = VelocityVerlet(atoms, step * units.fs)
        dynamics.attach(lambda a=atoms, e=energies: e.append(a.get_total_energy()))
        dynamics.run(int(40 / step))
        drifts.append(np.ptp(energies))
    assert drifts[0] < 0.01
    assert drifts[0] / drifts[1] == pytest.approx(4.0, rel=0.2)


def test_phonons_have_three_modes_without_frequency(model, tmp_path):
    atoms = bulk("C", a=3.0)
    phonons = Phonons(atoms, calculator(model, precision="float64"), (2, 2, 2), name=str(tmp_path / "phonons"))
    phonons.run()
    phonons.read(acoustic=False)
    frequencies = np.abs(phonons.band_structure([[0.0, 0.0, 0.0]])[0])
    assert np.sort(frequencies)[:3].max() < 1e-2 * frequencies.max()
    assert np.sort(frequencies)[3] > 0.1 * frequencies.max()


def test_the_charge_is_what_info_states_or_the_sum_of_the_initial_charges():
    atoms = water()
    assert total_charge(atoms) is None
    atoms.set_initial_charges([-0.834, 0.417, 0.41699])
    assert total_charge(atoms) == 0.0
    atoms.set_initial_charges([1.0, 0.0, 0.0])
    assert total_charge(atoms) == 1.0
    atoms.info["charge"] = -1
    assert total_charge(atoms) == -1.0


def test_a_charge_that_is_set_later_is_seen(model):
    atoms = water()
    atoms.calc = calculator(model)
    atoms.get_potential_energy()
    atoms.info["charge"] = 2
    with pytest.raises(InputError, match="charge"):
        atoms.get_potential_energy()
