"""QM9 in the layouts of its distributions: SD file and table, original files, archive, SchNetPack's database."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.db import connect

from eqcli.errors import Failure, InputError
from eqcli.io import LabelConvention, Structure, label_report, qm9, read_structures
from eqcli.units import ENERGY

VALUES = dict(zip(qm9.UNITS, np.arange(1, 16) * 1.25, strict=True))
HEADER = "mol_id,A,B,C,mu,alpha,homo,lumo,gap,r2,zpve,u0,u298,h298,g298,cv,u0_atom,u298_atom,h298_atom,g298_atom"
XYZ = (
    "3\n"
    "gdb {index}\t1.25\t2.5\t3.75\t5.\t6.25\t7.5\t8.75\t10\t11.25\t12.5\t13.75\t15\t16.25\t17.5\t18.75\t\n"
    "O\t-0.0343604951\t 0.9775395708\t 0.0076015923\t-0.589706\n"
    "H\t 0.0647664923\t 2.0572151*^-6\t 0.0015346341\t 0.294853\n"
    "H\t 0.8717903737\t 1.3007924048\t 6.93133*^-2\t 0.294853\n"
    "1671.4222\t3803.6305\t3907.698\n"
    "O\tO\t\n"
    "InChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2\n"
)
LIST = "The list of molecules\n====\n\n   Index   SMILES\n       2  O  x 1.5\n\n"


def molblock(name: str, element: str = "O") -> str:
    atoms = "".join(
        f"{x:10.4f}{0:10.4f}{0:10.4f} {e:<3} 0  0  0  0  0\n" for x, e in ((0, element), (1, "H"), (2, "H"))
    )
    return f"{name}\n  -OEChem-03231823253D\n\n  3  0  0     0  0  0  0  0  0999 V2000\n{atoms}M  END\n$$$$\n"


def row(name: str) -> str:
    return ",".join([name, *(repr(float(v)) for v in VALUES.values()), "-1.0", "-2.0", "-3.0", "-4.0"])


def write_sdf(folder: Path, names: tuple[str, ...] = ("gdb_1", "gdb_2", "gdb_3"), rows: int | None = None) -> Path:
    (folder / "gdb9.sdf").write_text("".join(map(molblock, names)))
    (folder / "gdb9.sdf.csv").write_text("\n".join([HEADER, *map(row, names[:rows])]) + "\n")
    return folder / "gdb9.sdf"


def properties(structure: Structure) -> dict[str, float]:
    return {name: structure.info[name] for name in qm9.UNITS}


def read(path: Path, labels: LabelConvention | None = None) -> list[Structure]:
    return list(read_structures(path, labels))


def test_properties_come_from_the_table(tmp_path: Path) -> None:
    structures = read(write_sdf(tmp_path))
    assert [s.info["name"] for s in structures] == ["gdb_1", "gdb_2", "gdb_3"]
    for i, structure in enumerate(structures, 1):
        assert properties(structure) == VALUES
        assert (structure.info["index"], structure.info["U0_atom"], structure.energy) == (i, -1.0, None)


def test_a_named_property_is_an_energy_in_its_unit(tmp_path: Path) -> None:
    path = write_sdf(tmp_path)
    for name, value, unit in (("U0", VALUES["U0"], "Hartree"), ("u0", VALUES["U0"], "Hartree"),
                              ("G_atom", -4.0, "kcal/mol")):  # fmt: skip
        assert read(path, LabelConvention(energy=name))[0].energy == pytest.approx(value * ENERGY[unit])
    stated = LabelConvention(energy="U0", energy_unit="Hartree")
    assert read(path, stated)[0].energy == pytest.approx(VALUES["U0"] * ENERGY["Hartree"])
    assert read(path, LabelConvention(energy="U0", energy_unit="eV"))[0].energy == VALUES["U0"]


def test_uncharacterised_molecules_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    path = write_sdf(tmp_path)
    (tmp_path / "uncharacterized.txt").write_text(LIST)
    structures = read(path)
    assert [(s.info["name"], s.where.frame) for s in structures] == [("gdb_1", 0), ("gdb_3", 1)]
    assert "the 1 molecules of uncharacterized.txt are left out" in "\n".join(label_report(path).lines())
    (tmp_path / "uncharacterized.txt").write_text("nothing\n")
    with pytest.raises(InputError, match="names no molecule"):
        read(path)


def test_rows_and_records_must_agree(tmp_path: Path) -> None:
    path = write_sdf(tmp_path)
    (tmp_path / "gdb9.sdf.csv").write_text("\n".join([HEADER, row("gdb_1"), row("gdb_3")]) + "\n")
    with pytest.raises(InputError, match="the row is of gdb_3, and the record of gdb_2") as caught:
        read(path)
    assert (caught.value.where.file, caught.value.where.line) == (tmp_path / "gdb9.sdf.csv", 3)
    with pytest.raises(InputError, match="ends after 2 molecules"):
        read(write_sdf(tmp_path, rows=2))


def test_a_bad_number_in_the_table(tmp_path: Path) -> None:
    path = write_sdf(tmp_path)
    table = tmp_path / "gdb9.sdf.csv"
    table.write_text(table.read_text().replace("gdb_2,1.25", "gdb_2,x"))
    with pytest.raises(InputError, match="'x' is not a number") as caught:
        read(path)
    assert (caught.value.where.line, caught.value.where.key) == (3, "A")


def test_a_malformed_record_keeps_its_row(tmp_path: Path) -> None:
    path = write_sdf(tmp_path)
    path.write_text(path.read_text().replace(molblock("gdb_2"), molblock("gdb_2", "Qq")))
    failures: list[Failure] = []
    assert [s.info["name"] for s in read_structures(path, on_failure=failures.append)] == ["gdb_1", "gdb_3"]
    assert len(failures) == 1


def test_other_tables_beside_an_sd_file_are_left_alone(tmp_path: Path) -> None:
    path = write_sdf(tmp_path)
    (tmp_path / "gdb9.sdf.csv").write_text("a,b\n1,2\n")
    assert "U0" not in read(path)[0].info


def test_the_table_alone_points_to_its_file(tmp_path: Path) -> None:
    write_sdf(tmp_path)
    with pytest.raises(InputError, match=r"gdb9\.sdf"):
        read(tmp_path / "gdb9.sdf.csv")


def check_water(structure: Structure, index: int) -> None:
    assert structure.numbers.tolist() == [8, 1, 1]
    assert structure.positions[1, 1] == 2.0572151e-6
    assert structure.positions[2, 2] == 0.0693133
    assert properties(structure) == VALUES
    assert structure.info["name"] == f"gdb_{index}"
    assert structure.info["frequencies"] == [1671.4222, 3803.6305, 3907.698]
    assert (structure.info["smiles"], structure.info["inchi_relaxed"]) == ("O", "InChI=1S/H2O/h1H2")
    np.testing.assert_array_equal(structure.arrays["mulliken_charges"], [-0.589706, 0.294853, 0.294853])
    assert (structure.energy, structure.charge) == (None, 0.0)


def test_original_files(tmp_path: Path) -> None:
    path = tmp_path / "dsgdb9nsd_000003.xyz"
    path.write_text(XYZ.format(index=3))
    (structure,) = read(path)
    check_water(structure, 3)
    assert read(path, LabelConvention(energy="H"))[0].energy == pytest.approx(16.25 * ENERGY["Hartree"])
    assert "QM9" in "\n".join(label_report(path).lines())


def test_original_files_joined(tmp_path: Path) -> None:
    (tmp_path / "all.xyz").write_text("".join(XYZ.format(index=i) for i in range(1, 5)))
    for i, structure in enumerate(read(tmp_path / "all.xyz"), 1):
        check_water(structure, i)
        assert (structure.where.frame, structure.where.line) == (i - 1, 8 * (i - 1) + 1)


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ("H\t 0.0647", "Q\t 0.0647", "'Q' is not a chemical element", 4),
        ("2.0572151*^-6", "2.0*-6", "could not convert", 4),
        ("\t-0.589706", "", "atom 1 of 3 has 4 columns", 3),
        ("1671.4222\t3803.6305\t3907.698\n", "\n", "no line of frequencies", 6),
        ("InChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2\n", "", "no line of InChI", 7),
    ],
)
def test_malformed_original_files(tmp_path: Path, old: str, new: str, message: str, line: int) -> None:
    (tmp_path / "a.xyz").write_text(XYZ.format(index=3).replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "a.xyz")
    assert (caught.value.where.frame, caught.value.where.line) == (0, line)


def write_archive(path: Path, contents: dict[str, str]) -> Path:
    with tarfile.open(path, "w:bz2") as archive:
        for name, text in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_the_archive(tmp_path: Path) -> None:
    contents = {f"dsgdb9nsd_{i:06}.xyz": XYZ.format(index=i) for i in range(1, 4)} | {"readme.txt": "x"}
    path = write_archive(tmp_path / "dsgdb9nsd.xyz.tar.bz2", contents)
    for i, structure in enumerate(read(path), 1):
        check_water(structure, i)
        assert f"dsgdb9nsd_{i:06}.xyz" in str(structure.where)
    (tmp_path / "uncharacterized.txt").write_text(LIST)
    assert [s.info["index"] for s in read(path)] == [1, 3]


def test_archives_that_are_none(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.tar.bz2", {f"{i}.xyz": XYZ.format(index=i) for i in range(200)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut off"):
        read(path)
    with pytest.raises(InputError, match=r"no \.xyz files"):
        read(write_archive(tmp_path / "b.tar.bz2", {"rmd17.npz": "x"}))
    bad = write_archive(tmp_path / "c.tar.bz2", {"1.xyz": "1\n\nH 0 0 0\n", "2.xyz": XYZ.format(index=2)})
    failures: list[Failure] = []
    assert [s.info["index"] for s in read_structures(bad, on_failure=failures.append)] == [2]
    assert "after a line 'gdb'" in failures[0].reason


def write_database(path: Path, units: dict[str, str], data: dict[str, Any]) -> Path:
    with connect(path) as database:
        database.metadata = {"_property_unit_dict": units, "_distance_unit": "Ang", "atomrefs": {}}
        database.write(Atoms("HF", [[0, 0, 0], [0, 0, 0.9]]), data=data)
    return path


def test_schnetpack_states_units(tmp_path: Path) -> None:
    units = {"energy": "kcal/mol", "forces": "kcal/mol/Ang"}
    path = write_database(tmp_path / "a.db", units, {"energy": np.array([-2.0]), "forces": np.ones((2, 3))})
    (structure,) = read(path)
    assert structure.energy == pytest.approx(-2 * ENERGY["kcal/mol"])
    np.testing.assert_allclose(structure.forces, ENERGY["kcal/mol"])
    assert read(path, LabelConvention(energy_unit="eV"))[0].energy == -2


def test_schnetpacks_qm9(shared: Path) -> None:
    path = shared / "schnetpack_qm9" / "test_qm9.db"
    structures = read(path)
    assert len(structures) == 20
    assert set(qm9.UNITS) <= structures[0].info.keys()
    assert (structures[0].info["A"], structures[0].info["alpha"], structures[0].energy) == (157.7118, 13.21, None)
    expected = structures[0].info["U0"] * ENERGY["Hartree"]
    assert expected == pytest.approx(-40.47893 * ENERGY["Hartree"])
    for name in ("U0", "energy_U0"):
        assert read(path, LabelConvention(energy=name))[0].energy == pytest.approx(expected, rel=1e-12)
