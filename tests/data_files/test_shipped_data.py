"""The shipped data are what their README says: real, complete, independent and in the tool's units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.io import read

DATA = Path(__file__).resolve().parents[2] / "data"
FILES = sorted(DATA.glob("*/*.extxyz"))
COUNTS = {
    "ethanol/train": 504,
    "ethanol/test": 200,
    "chno/train": 100,
    "chno/test": 32,
    "diamond/train": 125,
    "diamond/test": 30,
    "intermetallics/train": 603,
    "intermetallics/test": 62,
}
ROUNDING = 1e-7
"""Eight decimals per component, summed over an atom count below a hundred."""
TORQUE_NOISE = 1e-5
"""eV: what the convergence of the self-consistent charges leaves of a torque that is zero in exact arithmetic."""
SAME_FRAME = 1e-3
"""Å: far above the rounding of a repeated frame, far below what thermal motion leaves between independent ones."""


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.fixture(params=FILES, ids=name, scope="module")
def frames(request):
    return read(request.param, index=":")


def test_all_of_it_is_under_five_megabytes():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 5_000_000


def test_counts_are_those_of_the_readme():
    assert {name(path): path.read_text().count("Properties=") for path in FILES} == COUNTS


def test_every_frame_has_energy_forces_and_a_config_type(frames):
    for atoms in frames:
        assert np.isfinite(atoms.get_potential_energy())
        assert np.isfinite(atoms.get_forces(apply_constraint=False)).all()
        assert atoms.info["config_type"]


def test_periodicity_is_written_and_stress_goes_with_it(frames):
    for atoms in frames:
        assert atoms.pbc.all() or not atoms.pbc.any()
        assert ("stress" in atoms.calc.results) == bool(atoms.pbc.all())


def test_molecules_have_dipoles_and_charges_that_belong_together(frames):
    """The dipole of GFN2 is that of the charges and of atomic dipoles, which are small beside it."""
    for atoms in frames:
        molecule = len(atoms) > 1 and not atoms.pbc.any()
        assert ("dipole" in atoms.calc.results) == ("charges" in atoms.calc.results) == molecule
        if molecule:
            charges = atoms.get_charges()
            assert abs(charges.sum()) < len(atoms) * 1e-8
            assert np.abs(atoms.get_dipole_moment() - charges @ atoms.positions).max() < 0.5


def test_stress_is_nine_numbers_and_symmetric():
    for line in (DATA / "diamond" / "train.extxyz").read_text().splitlines():
        if "stress=" in line:
            matrix = np.array(line.split('stress="')[1].split('"')[0].split(), dtype=float).reshape(3, 3)
            np.testing.assert_array_equal(matrix, matrix.T)


def test_net_force_vanishes(frames):
    for atoms in frames:
        assert np.abs(atoms.get_forces().sum(axis=0)).max() < len(atoms) * ROUNDING


def test_net_torque_of_molecules_vanishes(frames):
    molecules = [atoms for atoms in frames if not atoms.pbc.any()]
    for atoms in molecules:
        lever = atoms.positions - atoms.positions.mean(axis=0)
        torque = np.cross(lever, atoms.get_forces()).sum(axis=0)
        assert np.abs(torque).max() < TORQUE_NOISE


def test_units_are_electron_volts_and_angstroms(frames):
    """Bond lengths of about 1 to 1.6 Å, binding energies of a few eV per atom, forces of a few eV/Å."""
    for atoms in (a for a in frames if len(a) > 1 and {*a.symbols} <= {*"CHNO"}):
        distances = atoms.get_all_distances(mic=bool(atoms.pbc.any())) + 10 * np.eye(len(atoms))
        assert 0.75 < distances.min() < 1.7
        assert 0.1 < np.sqrt(np.mean(atoms.get_forces() ** 2)) < 10
        if atoms.pbc.any():
            assert np.abs(atoms.get_stress()).max() < 1


@pytest.mark.parametrize("folder", ["ethanol", "chno", "diamond"])
def test_isolated_atoms_bind_into_every_frame(folder):
    train = read(DATA / folder / "train.extxyz", index=":")
    free = {a.symbols[0]: a.get_potential_energy() for a in train if a.info["config_type"] == "IsolatedAtom"}
    for atoms in (a for a in train + read(DATA / folder / "test.extxyz", index=":") if len(a) > 1):
        binding = (sum(free[s] for s in atoms.symbols) - atoms.get_potential_energy()) / len(atoms)
        assert 2 < binding < 12


def fingerprint(atoms) -> np.ndarray:
    """Sorted interatomic distances, the same for a rotated, moved or relabelled copy."""
    distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))
    return np.sort(distances[np.triu_indices(len(atoms), 1)])


@pytest.mark.parametrize("folder", ["ethanol", "chno", "diamond"])
def test_no_test_frame_repeats_a_training_frame(folder):
    prints = {}
    for part in ("train", "test"):
        prints[part] = [fingerprint(a) for a in read(DATA / folder / f"{part}.extxyz", index=":") if len(a) > 1]
    for one in prints["test"]:
        same_size = [other for other in prints["train"] if other.shape == one.shape]
        assert min(np.abs(one - other).max() for other in same_size) > SAME_FRAME


def test_neighbouring_frames_of_a_trajectory_are_decorrelated():
    """Bond lengths, which do not see the rotation of the molecule, have forgotten those of the frame before."""
    frames = [a for a in read(DATA / "ethanol" / "train.extxyz", index=":") if len(a) > 1]
    prints = np.array([a.get_all_distances()[np.triu_indices(9, 1)] for a in frames])
    bonds = prints[:, prints.mean(axis=0) < 1.6]
    centred = bonds - bonds.mean(axis=0)
    overlap = (centred[1:] * centred[:-1]).mean() / (centred**2).mean()
    assert abs(overlap) < 0.1


def test_the_start_structure_is_a_distorted_crystal():
    start = read(DATA / "diamond" / "start.cif")
    assert start.pbc.all()
    assert set(start.symbols) == {"C"}
    angles = start.cell.angles()
    assert np.abs(angles - 90).max() > 1
