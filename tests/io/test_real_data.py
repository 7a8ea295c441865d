"""Files from the wild, compared with other programs' readings of them."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import Failure
from eqcli.io import LabelConvention, Structure, label_report, read_structures
from eqcli.io.structure import formula
from tests.io.structures import distances

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning")]


def read(path: Path, labels: LabelConvention | None = None, index: str | None = None) -> list[Structure]:
    failures: list[Failure] = []
    structures = list(read_structures(path, labels, index=index, on_failure=failures.append))
    assert failures == []
    return structures


def test_rmd17_boxes_are_no_periods_and_capital_energies_are_found(shared: Path) -> None:
    for name in ("ethanol", "benzene"):
        path = shared / "rmd17" / name / "train_01.xyz"
        structures = read(path)
        assert len(structures) == 1000
        assert not any(s.pbc.any() for s in structures)
        assert all(s.energy is not None and s.forces is not None and s.stress is None for s in structures)
    assert structures[0].energy == pytest.approx(-6306.572, abs=1e-3)
    assert max(np.abs(s.positions).max() for s in structures) > 100


def test_extxyz_agrees_with_ase(shared: Path) -> None:
    ase_io = pytest.importorskip("ase.io")
    for name in ("oc20_toy/toy_c3h8_relax.extxyz", "pet_methane/bulk_small_unit_cell.xyz", "pet_methane/bulk.xyz"):
        ours = read(shared / name)
        for a, b in zip(ours, ase_io.iread(shared / name, index=":"), strict=True):
            np.testing.assert_array_equal(a.positions, b.positions)
            np.testing.assert_array_equal(a.numbers, b.numbers)
            np.testing.assert_array_equal(a.cell, np.array(b.cell))
            np.testing.assert_array_equal(a.pbc, b.pbc)
            if a.forces is not None:
                np.testing.assert_array_equal(a.forces, b.get_forces(apply_constraint=False))
            if a.fixed is not None:
                np.testing.assert_array_equal(np.flatnonzero(a.fixed), b.constraints[0].index)


def test_cells_without_a_statement_are_periodic(shared: Path) -> None:
    assert all(s.pbc.all() for s in read(shared / "metatrain_small" / "carbon_reduced_100.xyz"))


def test_kcal_data_is_noticed(shared: Path) -> None:
    path = shared / "metatrain_small" / "ethanol_reduced_100.xyz"
    assert "kcal/mol" in " ".join(label_report(path).warnings())
    report = label_report(path, LabelConvention(energy_unit="kcal/mol"))
    assert report.warnings() == []
    energies = [s.energy for s in read(path, LabelConvention(energy_unit="kcal/mol"))]
    assert np.mean(np.array(energies)) == pytest.approx(-4209.7, abs=1)


def test_mlearn_stresses(shared: Path) -> None:
    labels = LabelConvention(
        energy_per_atom=True, stress_unit="kbar", stress_sign="vasp", stress_order="xx yy zz xy xz yz"
    )
    structures = read(shared / "mlearn" / "Cu.json", labels)
    assert len(structures) == 324
    assert structures[0].energy == pytest.approx(-3.984110546448598 * 107)
    assert structures[0].stress is not None
    assert structures[0].stress[1, 2] * -1602.176634 == pytest.approx(-2.92780313)
    assert "kbar" in " ".join(label_report(shared / "mlearn" / "Cu.json").warnings())


def test_poscars_agree_with_ase(shared: Path) -> None:
    ase_io = pytest.importorskip("ase.io")
    paths = sorted((shared / "jarvis_sample").glob("*.vasp"))
    for path in paths:
        (ours,) = read(path)
        theirs = ase_io.read(path, format="vasp")
        np.testing.assert_array_equal(ours.numbers, theirs.numbers)
        np.testing.assert_allclose(ours.positions, theirs.positions, atol=1e-10)
        np.testing.assert_allclose(ours.cell, np.array(theirs.cell), atol=1e-12)
    assert len(paths) > 40


def test_cifs_agree_with_pymatgen(shared: Path) -> None:
    cif = pytest.importorskip("pymatgen.io.cif")
    paths = sorted((shared / "cgcnn_sample").glob("*.cif")) + sorted(
        (shared / "crystals" / "molecular_crystals").glob("*.cif")
    )
    compared = 0
    for path in paths[::3]:
        (ours,) = read(path)
        (theirs,) = cif.CifParser(path).parse_structures(primitive=False)
        assert sorted(ours.numbers.tolist()) == sorted(theirs.atomic_numbers), path.name
        assert ours.volume == pytest.approx(theirs.volume, rel=1e-6)
        if len(ours) <= 60:
            compared += 1
            reference = Structure(np.array(theirs.atomic_numbers), theirs.cart_coords, theirs.lattice.matrix, ours.pbc)
            np.testing.assert_allclose(
                np.sort(distances(ours), axis=None), np.sort(distances(reference), axis=None), atol=2e-3
            )
    assert compared > 8


def test_gdb_molecules(shared: Path) -> None:
    molecules = read(shared / "molecules" / "gdb1k" / "gdb1k.sdf", index=":50")
    assert all(1 in m.numbers and m.info["bonds"] for m in molecules)


def test_protein_files(shared: Path) -> None:
    gemmi = pytest.importorskip("gemmi")
    for path in sorted((shared / "docking" / "raw_pdb").glob("*.pdb.gz"))[:8]:
        ours = read(path)[0]
        model = gemmi.read_structure(str(path))[0]
        records = {(c.name, str(r.seqid), a.name) for c in model for r in c for a in r}
        assert len(ours) <= sum(1 for c in model for r in c for a in r)
        assert len(ours) >= 0.98 * len(records), path.name


def test_qm9_database(shared: Path) -> None:
    path = shared / "schnetpack_qm9" / "test_qm9.db"
    assert all(s.energy is None for s in read(path))
    labels = LabelConvention(energy="energy_U0", energy_unit="Hartree")
    assert read(path, labels)[0].energy == pytest.approx(-40.47893 * 27.211386, abs=1e-3)


def test_oxide_database(shared: Path) -> None:
    structures = read(shared / "oc20_toy" / "oxides.db")
    assert len(structures) == 295
    assert all(s.energy is not None and s.pbc.all() for s in structures)


@pytest.mark.parametrize(
    ("name", "rows", "numbers", "words"),
    [
        ("perov_5/train.csv", 3787, ["heat_all", "heat_ref", "dir_gap", "ind_gap"], ["formula"]),
        ("carbon_24/train.csv", 2032, ["energy_per_atom"], ["material_id"]),
        (
            "mp_20_biternary/train.csv.gz",
            7140,
            ["formation_energy_per_atom", "band_gap", "e_above_hull", "spacegroup.number"],
            ["material_id", "pretty_formula"],
        ),
        ("mpts_52/train.csv.gz", 5000, ["energy_above_hull", "formation_energy_per_atom", "year"], ["material_id"]),
    ],
)
def test_published_tables_of_crystals(shared: Path, name: str, rows: int, numbers: list[str], words: list[str]) -> None:
    start = time.process_time()
    structures = read(shared / "crystals" / name)
    assert rows / (time.process_time() - start) > 500
    assert len(structures) == rows
    assert [s.where.frame for s in structures] == list(range(rows))
    for structure in structures:
        assert structure.pbc.all()
        assert structure.energy is None
        assert all(isinstance(structure.info[key], int | float) for key in numbers)
        assert all(isinstance(structure.info[key], str) for key in words)
    for structure in structures[:: rows // 200]:
        stated = structure.info.get("formula") or structure.info.get("pretty_formula")
        assert stated is None or elements_of(stated) == elements_of(formula(structure.numbers))


def elements_of(text: str) -> set[str]:
    return set(re.findall(r"[A-Z][a-z]?", text))
