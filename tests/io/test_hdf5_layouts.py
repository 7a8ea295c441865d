"""SPICE and ANI in the layouts of their distributions, told apart from the tool's own datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import Format, LabelConvention, Structure, hdf5_layouts, label_report, read_structures, write_structures
from eqcli.io.formats import readable_format
from eqcli.units import ENERGY, LENGTH

HARTREE, BOHR = ENERGY["Hartree"], LENGTH["Bohr"]
RNG = np.random.default_rng(1)
MOLECULES = {"103147721": [8, 1, 1], "ala-ala": [7, 1, 1, 1]}


def write_spice(path: Path, conformations: int = 3) -> dict[str, dict[str, Any]]:
    contents = {}
    with h5py.File(path, "w") as file:
        for name, numbers in MOLECULES.items():
            n, m = len(numbers), conformations
            charges = RNG.normal(size=(m, n, 1))
            charges -= charges.mean(axis=1, keepdims=True) - (1 / n if name == "ala-ala" else 0)
            contents[name] = {
                "atomic_numbers": np.array(numbers, dtype=np.int16),
                "conformations": RNG.normal(size=(m, n, 3)).astype(np.float32),
                "dft_total_energy": RNG.normal(size=m) - 100,
                "dft_total_gradient": RNG.normal(size=(m, n, 3)).astype(np.float32),
                "formation_energy": RNG.normal(size=m),
                "mbis_charges": charges.astype(np.float32),
                "scf_dipole": RNG.normal(size=(m, 3)).astype(np.float32),
                "subset": np.array([b"SPICE PubChem Set 1"], dtype=object),
                "smiles": np.array([b"[H:1][O:2][H:3]"], dtype=object),
            }
            group = file.create_group(name)
            for key, values in contents[name].items():
                group.create_dataset(key, data=values, dtype=h5py.string_dtype() if values.dtype == object else None)
            for key, unit in (("conformations", "bohr"), ("dft_total_energy", "hartree"),
                              ("dft_total_gradient", "hartree/bohr")):  # fmt: skip
                group[key].attrs["units"] = unit
    return contents


def read(path: Path, labels: LabelConvention | None = None) -> list[Structure]:
    return list(read_structures(path, labels))


@pytest.mark.parametrize("chunk", [1, 2, 1000])
def test_spice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(hdf5_layouts, "CHUNK", chunk)
    contents = write_spice(tmp_path / "SPICE-2.0.1.hdf5")
    assert readable_format(tmp_path / "SPICE-2.0.1.hdf5") is Format.SPICE
    structures = read(tmp_path / "SPICE-2.0.1.hdf5")
    assert len(structures) == 6
    for i, structure in enumerate(structures):
        name = list(MOLECULES)[i // 3]
        group, j = contents[name], i % 3
        assert structure.numbers.tolist() == MOLECULES[name]
        np.testing.assert_allclose(structure.positions, group["conformations"][j].astype(float) * BOHR, rtol=1e-14)
        assert structure.energy == pytest.approx(group["dft_total_energy"][j] * HARTREE, rel=1e-14)
        gradient = group["dft_total_gradient"][j].astype(float)
        np.testing.assert_allclose(structure.forces, -gradient * (HARTREE / BOHR), rtol=1e-13)
        assert structure.info["formation_energy"] == group["formation_energy"][j]
        assert structure.info["scf_dipole"] == group["scf_dipole"][j].tolist()
        np.testing.assert_array_equal(structure.arrays["mbis_charges"], group["mbis_charges"][j])
        assert (structure.info["name"], structure.info["subset"]) == (name, "SPICE PubChem Set 1")
        assert structure.charge == (1.0 if name == "ala-ala" else 0.0)
        assert structure.where.frame == i


def test_formation_energies_where_they_are_named(tmp_path: Path) -> None:
    contents = write_spice(tmp_path / "a.hdf5")
    energy = read(tmp_path / "a.hdf5", LabelConvention(energy="formation_energy"))[0].energy
    assert energy == pytest.approx(contents["103147721"]["formation_energy"][0] * HARTREE)


def test_the_summary_names_gradient_and_units(tmp_path: Path) -> None:
    write_spice(tmp_path / "a.hdf5")
    text = "\n".join(label_report(tmp_path / "a.hdf5").lines())
    assert "forces are the negative of 'dft_total_gradient'" in text
    assert "unit Hartree/Bohr, fixed by the layout" in text
    stated = LabelConvention(energy_unit="kcal/mol", length_unit="nm")
    assert "unit kcal/mol/nm" in "\n".join(label_report(tmp_path / "a.hdf5", stated).lines())


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("atomic_numbers", None, "no array 'atomic_numbers'"),
        ("atomic_numbers", np.array([8, 1]), "2 atomic numbers and 3 atoms"),
        ("atomic_numbers", np.array([8, 1, 0]), "no atomic number"),
        ("conformations", np.zeros((3, 3)), "3 x 3"),
    ],
)
def test_a_malformed_group_does_not_spoil_the_others(tmp_path: Path, key: str, values: Any, message: str) -> None:
    write_spice(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        del file["103147721"][key]
        if values is not None:
            file["103147721"][key] = values
    failures: list[Failure] = []
    assert len(list(read_structures(tmp_path / "a.hdf5", on_failure=failures.append))) == 3
    assert len(failures) == 1
    assert message in failures[0].reason
    assert "/103147721" in failures[0].reason


def test_another_unit_is_refused(tmp_path: Path) -> None:
    write_spice(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        file["ala-ala/conformations"].attrs["units"] = "angstrom"
    with pytest.raises(InputError, match="stated to be in angstrom") as caught:
        read(tmp_path / "a.hdf5")
    assert caught.value.where.key == "conformations"


def test_what_was_not_computed_is_absent(tmp_path: Path) -> None:
    write_spice(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        file["103147721/dft_total_gradient"][1] = np.nan
        del file["ala-ala/dft_total_gradient"]
    forces = [s.forces is None for s in read(tmp_path / "a.hdf5")]
    assert forces == [False, True, False, True, True, True]


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    write_spice(tmp_path / "a.hdf5")
    whole = (tmp_path / "a.hdf5").read_bytes()
    (tmp_path / "a.hdf5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.hdf5")
    assert caught.value.where.file == tmp_path / "a.hdf5"


def ani1(path: Path) -> tuple[Any, Any]:
    """Two molecules deep in groups, symbols as bytes."""
    xyz, energies = RNG.normal(size=(4, 3, 3)).astype(np.float32), RNG.normal(size=4) - 76
    with h5py.File(path, "w") as file:
        group = file.create_group("gdb11_s01/gdb11_s01-2")
        group["coordinates"], group["energies"] = xyz, energies
        group["coordinatesHE"], group["energiesHE"] = xyz, energies + 1
        group["species"] = np.array([b"O", b"H", b"H"])
        group["smiles"] = np.array([b"[", b"O"])
    return xyz, energies


def ani1x(path: Path) -> tuple[Any, Any]:
    """A formula with two methods; one energy of the better one is missing."""
    xyz, energies = RNG.normal(size=(4, 3, 3)).astype(np.float32), RNG.normal(size=4) - 76
    with h5py.File(path, "w") as file:
        group = file.create_group("H2O1")
        group["coordinates"], group["atomic_numbers"] = xyz, np.array([8, 1, 1], dtype=np.uint8)
        group["wb97x_dz.energy"], group["wb97x_dz.forces"] = energies, xyz * 2
        group["ccsd(t)_cbs.energy"] = np.array([1.0, np.nan, 3.0, 4.0])
        group["wb97x_dz.cm5_charges"] = np.zeros((4, 3), dtype=np.float32)
    return xyz, energies


def torchani(path: Path) -> tuple[Any, Any]:
    """Molecules of the same size in one group."""
    xyz, energies = RNG.normal(size=(4, 3, 3)).astype(np.float32), RNG.normal(size=4) - 76
    with h5py.File(path, "w") as file:
        group = file.create_group("003")
        group["coordinates"], group["energies"], group["forces"] = xyz, energies, xyz * 2
        group["species"] = np.array([[8, 1, 1]] * 3 + [[16, 1, 1]])
    return xyz, energies


@pytest.mark.parametrize("write", [ani1, ani1x, torchani])
@pytest.mark.parametrize("chunk", [3, 1000])
def test_ani(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, chunk: int) -> None:
    monkeypatch.setattr(hdf5_layouts, "CHUNK", chunk)
    path = tmp_path / "a.h5"
    xyz, energies = write(path)
    assert readable_format(path) is Format.ANI
    structures = read(path)
    assert [s.energy for s in structures] == pytest.approx((energies * HARTREE).tolist(), rel=1e-14)
    for i, structure in enumerate(structures):
        np.testing.assert_array_equal(structure.positions, xyz[i].astype(float))
        assert structure.numbers.tolist() == [16 if write is torchani and i == 3 else 8, 1, 1]
        if write is ani1:
            assert structure.forces is None
        else:
            np.testing.assert_allclose(structure.forces, (xyz[i] * 2).astype(float) * HARTREE, rtol=1e-14)


def test_another_method_of_ani1x(tmp_path: Path) -> None:
    ani1x(tmp_path / "a.h5")
    labels = LabelConvention(energy="ccsd(t)_cbs.energy")
    energies = [s.energy for s in read(tmp_path / "a.h5", labels)]
    assert energies == [pytest.approx(HARTREE), None, pytest.approx(3 * HARTREE), pytest.approx(4 * HARTREE)]


def test_unknown_symbols_of_ani(tmp_path: Path) -> None:
    ani1(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["gdb11_s01/gdb11_s01-2/species"]
        file["gdb11_s01/gdb11_s01-2/species"] = np.array([b"O", b"H", b"Qq"])
    with pytest.raises(InputError, match="'Qq', which is no chemical element"):
        read(tmp_path / "a.h5")


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_own_datasets_stay_what_they_are(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_structures(path, [Structure(np.array([1]), np.zeros((1, 3)), energy=-1.0)])
    assert readable_format(path) is Format.DATASET
    assert read(path)[0].energy == -1


def test_other_hdf5_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["coordinates"] = np.zeros((3, 2, 3))
    with pytest.raises(InputError) as caught:
        read(tmp_path / "a.h5")
    assert caught.value.where.file == tmp_path / "a.h5"
