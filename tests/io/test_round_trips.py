"""What is written reads back: to the last bit where the format can hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eqcli.io import DatasetWriter, read_structures, write_structures
from eqcli.io.ase_bridge import from_ase, to_ase
from eqcli.io.extxyz_writer import format_frame
from eqcli.io.structure import Structure
from eqcli.io.xyz_header import format_entry, parse_header
from tests.io.structures import assert_same, distances, names, same, structures, values

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
fewer = settings(few, max_examples=15)


def round_trip(path: Path, written: list[Structure]) -> list[Structure]:
    assert write_structures(path, written, overwrite=True) == len(written)
    return list(read_structures(path))


@few
@given(st.lists(structures(), min_size=1, max_size=3))
def test_extxyz_is_exact(tmp_path: Path, written: list[Structure]) -> None:
    for a, b in zip(written, round_trip(tmp_path / "a.extxyz", written), strict=True):
        assert_same(a, b)


@fewer
@given(st.lists(structures(), min_size=1, max_size=3))
def test_dataset_is_exact(tmp_path: Path, written: list[Structure]) -> None:
    for a, b in zip(written, round_trip(tmp_path / "a.h5", written), strict=True):
        assert_same(a, b)


@settings(deadline=None)
@given(names, values)
def test_header_entries_are_exact(key: str, value: object) -> None:
    entries = parse_header(format_entry(key, value))
    assert list(entries) == [key]
    assert same(entries[key], value)


@few
@given(structures(periodic=True, rich=False), st.booleans())
def test_poscar_is_exact(tmp_path: Path, structure: Structure, held: bool) -> None:
    structure.fixed = np.arange(len(structure)) % 2 == 0 if held else None
    (back,) = round_trip(tmp_path / "POSCAR", [structure])
    np.testing.assert_array_equal(back.positions, structure.positions)
    np.testing.assert_array_equal(back.cell, structure.cell)
    np.testing.assert_array_equal(back.numbers, structure.numbers)
    assert (back.fixed is None) == (structure.fixed is None)
    if held:
        np.testing.assert_array_equal(back.fixed, structure.fixed)


def spread_out(structure: Structure) -> Structure:
    """Atoms on a grid in the cell, since formats with symmetry refuse atoms on top of each other."""
    n = len(structure)
    fractions = np.stack([np.arange(n) / n, np.arange(n) * 0.37 % 1, np.arange(n) * 0.61 % 1], axis=1)
    structure.positions = (fractions + 0.05) @ structure.cell
    return structure


@fewer
@given(structures(periodic=True, rich=False).map(spread_out))
def test_cif_keeps_the_crystal(tmp_path: Path, structure: Structure) -> None:
    (back,) = round_trip(tmp_path / "a.cif", [structure])
    np.testing.assert_array_equal(back.numbers, structure.numbers)
    np.testing.assert_allclose(distances(back), distances(structure), atol=1e-9)
    np.testing.assert_allclose(back.volume, structure.volume, rtol=1e-12)
    assert back.pbc.all()


@fewer
@given(structures(rich=False))
def test_pdb_keeps_three_decimals(tmp_path: Path, structure: Structure) -> None:
    structure.positions = np.clip(structure.positions, -900, 900)
    if structure.pbc.all():
        structure.positions = spread_out(structure).positions
    (back,) = list(read_structures(_written(tmp_path / "a.pdb", structure)))
    np.testing.assert_array_equal(back.numbers, structure.numbers)
    if structure.pbc.all():
        # Angles have two decimals there: 0.005 degrees move an atom of a 20 Å cell by 2 mÅ.
        np.testing.assert_allclose(distances(back), distances(structure), atol=2e-2)
    else:
        np.testing.assert_allclose(back.positions, structure.positions, atol=5.1e-4)


@fewer
@given(structures(rich=False))
def test_mmcif_keeps_all_digits(tmp_path: Path, structure: Structure) -> None:
    if structure.pbc.all():
        structure.positions = spread_out(structure).positions
    n = len(structure)
    structure.arrays["atom_name"] = np.array([f"X{i}'" for i in range(n)])
    structure.arrays["formal_charge"] = np.array([-1] + [0] * (n - 1))
    back, again = round_trip(tmp_path / "a.mmcif", [structure, structure])
    np.testing.assert_array_equal(back.numbers, structure.numbers)
    assert back.arrays["atom_name"].tolist() == structure.arrays["atom_name"].tolist()
    assert back.arrays["formal_charge"].tolist() == structure.arrays["formal_charge"].tolist()
    if structure.pbc.all():
        np.testing.assert_allclose(distances(back), distances(structure), atol=1e-9)
    else:
        np.testing.assert_array_equal(back.positions, structure.positions)
    np.testing.assert_array_equal(again.positions, back.positions)


@fewer
@given(structures(periodic=False, rich=False), st.integers(-2, 2))
def test_sdf_keeps_four_decimals(tmp_path: Path, structure: Structure, charge: int) -> None:
    structure.arrays["formal_charge"] = np.array([charge] + [0] * (len(structure) - 1))
    (back,) = list(read_structures(_written(tmp_path / "a.sdf", structure)))
    np.testing.assert_array_equal(back.numbers, structure.numbers)
    np.testing.assert_allclose(back.positions, structure.positions, atol=5.1e-5)
    assert back.charge == charge


@settings(fewer, max_examples=8)
@given(structures())
def test_ase_database_keeps_atoms_and_labels(tmp_path: Path, structure: Structure) -> None:
    structure.info = {}
    (back,) = list(read_structures(_written(tmp_path / "a.db", structure)))
    for name in ("positions", "cell", "pbc", "numbers", "forces", "stress"):
        expected = getattr(structure, name)
        assert (expected is None) == (getattr(back, name) is None), name
        if expected is not None:
            np.testing.assert_array_equal(getattr(back, name), expected)
    assert back.energy == structure.energy
    assert back.charge == structure.charge
    if structure.fixed is not None and structure.fixed.any():
        np.testing.assert_array_equal(back.fixed, structure.fixed)


def _written(path: Path, structure: Structure) -> Path:
    write_structures(path, [structure], overwrite=True)
    return path


@few
@given(structures())
def test_ase_reads_our_extxyz(tmp_path: Path, structure: Structure) -> None:
    ase_io = pytest.importorskip("ase.io")
    structure.info = {}
    structure.arrays = {}
    path = tmp_path / "a.extxyz"
    path.write_text(format_frame(structure), encoding="utf-8")
    atoms = ase_io.read(path)
    np.testing.assert_array_equal(atoms.positions, structure.positions)
    np.testing.assert_array_equal(atoms.numbers, structure.numbers)
    np.testing.assert_array_equal(atoms.pbc, structure.pbc)
    np.testing.assert_array_equal(np.array(atoms.cell), structure.cell)
    if structure.energy is not None:
        assert atoms.get_potential_energy() == structure.energy
    if structure.forces is not None:
        np.testing.assert_array_equal(atoms.get_forces(apply_constraint=False), structure.forces)
    if structure.stress is not None:
        np.testing.assert_array_equal(atoms.get_stress(voigt=False, apply_constraint=False), structure.stress)
    if structure.fixed is not None and structure.fixed.any():
        np.testing.assert_array_equal(atoms.constraints[0].index, np.flatnonzero(structure.fixed))


@fewer
@given(structures())
def test_ase_atoms_and_back(structure: Structure) -> None:
    back = from_ase(to_ase(structure))
    if structure.fixed is not None and not structure.fixed.any():
        structure.fixed = None
    assert_same(structure, back)


def test_left_handed_crystals_are_not_mirrored(tmp_path: Path) -> None:
    cell = np.diag([8.0, 9.0, -10.0])
    positions = np.array([[1.0, 1, -1], [2.5, 1, -1], [1, 3, -1], [1, 1, -4]])
    structure = Structure(np.array([6, 1, 9, 17]), positions, cell, np.array([True] * 3))
    for name in ("a.cif", "a.pdb", "a.mmcif"):
        write_structures(tmp_path / name, [structure])
        (back,) = list(read_structures(tmp_path / name))
        triple = np.linalg.det(_nearest(back)) / np.linalg.det(_nearest(structure))
        assert triple == pytest.approx(1.0, abs=1e-2), name


def _nearest(structure: Structure) -> np.ndarray:
    """Vectors from the first atom to the nearest images of the next three."""
    delta = structure.positions[1:4] - structure.positions[0]
    fractions = delta @ np.linalg.inv(structure.cell)
    return (fractions - np.round(fractions)) @ structure.cell


def test_a_dataset_that_a_writer_made_reads_as_a_format(tmp_path: Path) -> None:
    water = Structure(np.array([8, 1, 1]), np.eye(3), energy=-1.5)
    with DatasetWriter(tmp_path / "a.h5") as writer:
        writer.append(water)
    (back,) = list(read_structures(tmp_path / "a.h5"))
    assert_same(water, back)
