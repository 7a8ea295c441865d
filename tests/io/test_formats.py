"""Which file is what, and what reading and writing refuse; ASE's own files; tables."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import Failure, InputError
from eqcli.io import (
    FORMATS,
    DatasetFile,
    Format,
    LabelConvention,
    Structure,
    format_of,
    read_structures,
    write_structures,
)
from eqcli.io.extxyz_writer import PROVENANCE_KEY

WATER = Structure(
    np.array([8, 1, 1]), np.array([[0, 0, 0.1], [0.76, 0, 0.59], [-0.76, 0, 0.59]]), energy=-2.0, forces=np.eye(3)
)
SALT = Structure(
    np.array([11, 17]),
    np.array([[0.0, 0, 0], [2, 2, 2]]),
    np.eye(3) * 4,
    np.array([True] * 3),
    stress=np.array([[1.0, 4, 5], [4, 2, 6], [5, 6, 3]]),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.XYZ", Format.EXTXYZ),
        ("a.extxyz.gz", Format.EXTXYZ),
        ("POSCAR", Format.POSCAR),
        ("POSCAR.cif", Format.CIF),
        ("poscar_12", Format.POSCAR),
        ("a.hdf5", Format.DATASET),
        ("a.ent.gz", Format.PDB),
        ("a.b.sdf", Format.SDF),
        ("a.xyz.tar.gz", Format.TAR),
        ("drugs_crude.msgpack.tar.gz", Format.TAR),
    ],
)
def test_by_name(name: str, expected: Format) -> None:
    assert format_of(name) is expected


@pytest.mark.parametrize("name", ["a.foo", "a", "a.h5.gz", "a.gz"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(InputError):
        format_of(name)


def test_an_unknown_ending_lists_the_known() -> None:
    with pytest.raises(InputError) as caught:
        format_of("a.foo")
    assert all(spec.suffixes[0] in caught.value.hint for spec in FORMATS.values())


@pytest.mark.parametrize("suffix", [s for spec in FORMATS.values() if spec.reads for s in spec.suffixes])
def test_every_reader_meets_rubbish_with_an_error(tmp_path: Path, suffix: str) -> None:
    for i, content in enumerate((b"", b"\x00\xff\xfe rubbish \n\n 3 x" * 40, b"[1, 2", b"3\n")):
        path = tmp_path / f"{i}{suffix}"
        path.write_bytes(content)
        failures: list[Failure] = []
        assert list(read_structures(path, on_failure=failures.append)) == []
        assert failures, content
        with pytest.raises(InputError) as caught:
            list(read_structures(path))
        assert caught.value.where.file == path


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "water.xyz").write_text("1\n\nH 0 0 0\n")
    with pytest.raises(InputError, match=r"water\.xyz"):
        read_structures(tmp_path / "watr.xyz")


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    write_structures(tmp_path / "a.xyz", [WATER])
    with pytest.raises(InputError, match="exists"):
        write_structures(tmp_path / "a.xyz", [WATER])
    assert write_structures(tmp_path / "a.xyz", [WATER, WATER], overwrite=True) == 2


@pytest.mark.parametrize("suffix", [spec.suffixes[0] for spec in FORMATS.values() if spec.writes])
def test_a_failing_write_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    def broken():
        yield SALT
        raise RuntimeError("no more")

    with pytest.raises((RuntimeError, InputError)):
        write_structures(tmp_path / f"a{suffix}", broken())
    with pytest.raises(InputError, match="no structures"):
        write_structures(tmp_path / f"a{suffix}", [])
    assert list(tmp_path.iterdir()) == []


def test_a_file_can_be_rewritten_from_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    write_structures(path, [WATER, WATER])
    assert write_structures(path, read_structures(path), overwrite=True) == 2


@pytest.mark.parametrize("name", ["a.traj", "a.npy", "a.tar.gz", "a.json.zip", "a.json.gz", "a.xyz.gz"])
def test_formats_that_are_read_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="not written"):
        write_structures(tmp_path / name, [WATER])


def test_tables_are_write_only(tmp_path: Path) -> None:
    relaxed = replace(WATER, info={"relax_steps": 3, "converged": False, "name": "water"})
    write_structures(tmp_path / "a.csv", [relaxed, SALT])
    with pytest.raises(InputError, match="not read"):
        list(read_structures(tmp_path / "a.csv"))
    with (tmp_path / "a.csv").open() as file:
        water, salt = list(csv.DictReader(file))
    assert water["formula"] == "H2O"
    assert (water["relax_steps"], water["converged"], salt["converged"]) == ("3", "False", "")
    assert "name" not in water
    assert float(water["energy_per_atom_eV"]) == -2 / 3
    assert float(water["max_force_eV_per_A"]) == 1
    assert water["stress_xx_eV_per_A3"] == ""
    assert salt["energy_eV"] == ""
    voigt = [float(salt[f"stress_{c}_eV_per_A3"]) for c in ("xx", "yy", "zz", "yz", "xz", "xy")]
    assert voigt == [1, 2, 3, 6, 5, 4]


def test_provenance_stands_in_the_first_frame_alone(tmp_path: Path) -> None:
    write_structures(tmp_path / "a.xyz", [WATER, WATER], provenance={"eqcli": "1", "command": ["a b", 'c"d']})
    first, second = list(read_structures(tmp_path / "a.xyz"))
    assert first.info[PROVENANCE_KEY] == {"eqcli": "1", "command": ["a b", 'c"d']}
    assert second.info == {}


@pytest.mark.parametrize(
    "suffix", [".cif", ".vasp", ".pdb", ".sdf", ".db", ".mol", ".json", ".cif.zip", ".vasp.zip", ".h5"]
)
def test_provenance_does_not_disturb_the_reader(tmp_path: Path, suffix: str) -> None:
    write_structures(tmp_path / f"a{suffix}", [SALT], provenance={"command": ["a\nb", "x" * 300]})
    (back,) = list(read_structures(tmp_path / f"a{suffix}"))
    assert back.numbers.tolist() == [11, 17]


WRITTEN = sorted({s for spec in FORMATS.values() if spec.writes for s in spec.suffixes} - {".json.zip"})


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_format_but_tables_tells_where_it_comes_from(tmp_path: Path, suffix: str) -> None:
    origin = {"eqcli": "12.34.56", "commit": "fedcba9876543210"}
    given = replace(SALT, info={"bonds": []}) if suffix in FORMATS[Format.SMILES].suffixes else SALT
    write_structures(tmp_path / f"a{suffix}", [given], provenance=origin)
    content = (tmp_path / f"a{suffix}").read_bytes()
    assert (b"12.34.56" in content) == (suffix not in (".csv", ".zip", ".cif.zip", ".vasp.zip", ".poscar.zip"))
    if suffix.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / f"a{suffix}") as archive:
            assert all(b"12.34.56" in archive.read(name) for name in archive.namelist())
            assert json.loads(archive.read("provenance.json")) == origin
    if suffix == ".h5":
        with DatasetFile(tmp_path / "a.h5") as dataset:
            assert dataset.provenance == origin
    if suffix == ".json":
        assert json.loads(content)[0][PROVENANCE_KEY] == origin


def test_ase_trajectory(tmp_path: Path) -> None:
    trajectory = pytest.importorskip("ase.io.trajectory")
    from eqcli.io.ase_bridge import to_ase

    held = Structure(**{**vars(SALT), "fixed": np.array([True, False]), "energy": -1.0})
    with trajectory.Trajectory(tmp_path / "a.traj", "w") as file:
        file.write(to_ase(held))
        file.write(to_ase(held))
    _, second = list(read_structures(tmp_path / "a.traj"))
    np.testing.assert_array_equal(second.positions, SALT.positions)
    np.testing.assert_array_equal(second.stress, SALT.stress)
    assert second.energy == -1
    assert second.fixed.tolist() == [True, False]
    assert second.pbc.all()


def test_data_of_an_ase_row_is_a_label_only_when_named(tmp_path: Path) -> None:
    db = pytest.importorskip("ase.db")
    from ase import Atoms

    with db.connect(tmp_path / "a.db") as rows:
        data = {"U0": np.array([-2.0]), "free_energy": -3.0, "F": np.ones((2, 3))}
        rows.write(Atoms("HF", [[0, 0, 0], [0, 0, 1]]), key_value_pairs={"group": "x"}, data=data)
    (plain,) = list(read_structures(tmp_path / "a.db"))
    assert plain.energy is None
    assert plain.info["group"] == "x"
    labels = LabelConvention(energy="U0", forces="F", energy_unit="Hartree")
    (named,) = list(read_structures(tmp_path / "a.db", labels))
    assert named.energy == pytest.approx(-2 * 27.211386245988)
    assert named.forces is not None


def test_other_databases(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("create table t (x int)")
    connection.close()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(InputError, match="not an ASE database"):
        list(read_structures(tmp_path / "a.db"))
    assert (tmp_path / "a.db").read_bytes() == before


def test_the_package_loads_without_heavy_libraries() -> None:
    code = (
        "import sys, eqcli.io, eqcli.io.conventions, eqcli.io.formats, eqcli.tasks.convert;"
        "heavy = {'torch', 'ase', 'rdkit', 'pymatgen', 'gemmi', 'h5py', 'scipy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_names_of_the_package() -> None:
    import eqcli.io as io

    for name in io.__all__:
        assert callable(getattr(io, name)) or name == "FORMATS"
    with pytest.raises(AttributeError):
        io.nothing  # noqa: B018


def test_ase_database_keeps_what_belongs_to_atoms_apart(tmp_path: Path) -> None:
    ring = Structure(
        np.array([6, 6, 6]),
        np.array([[0.0, 0, 0], [1.5, 0, 0], [0.7, 1.3, 0]]),
        # As many bonds as atoms.
        info={"bonds": [[0, 1, 1], [1, 2, 1], [2, 0, 1]], "ragged": [[1], [1, 2], [3]]},
        arrays={"weight": np.array([1.0, 2.0, 3.0]), "atom_name": np.array(["C1", "C2", "C3"])},
    )
    write_structures(tmp_path / "a.db", [ring])
    (back,) = read_structures(tmp_path / "a.db")
    assert {key: back.info[key] for key in ring.info} == ring.info
    assert sorted(back.arrays) == sorted(ring.arrays)
    for name, values in ring.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], values)


def test_ase_database_keeps_atoms_held_in_some_directions(tmp_path: Path) -> None:
    free = np.array([[False] * 3, [True, True, False], [True] * 3])
    structure = Structure(
        np.array([6, 6, 1]),
        np.array([[0.0, 0, 0], [1.5, 0, 0], [1.5, 1, 0]]),
        np.eye(3) * 5,
        np.array([True] * 3),
        fixed=~free.any(axis=1),
        arrays={"move_mask": free},
    )
    write_structures(tmp_path / "a.db", [structure])
    (back,) = read_structures(tmp_path / "a.db")
    np.testing.assert_array_equal(back.free_directions, free)


def test_ase_database_of_others_with_held_directions(tmp_path: Path) -> None:
    from ase import Atoms
    from ase.constraints import FixAtoms, FixCartesian
    from ase.db import connect

    atoms = Atoms("C3", [[0, 0, 0], [1.5, 0, 0], [3, 0, 0]], cell=[5, 5, 5], pbc=True)
    atoms.set_constraint([FixAtoms([0]), FixCartesian(1, mask=[False, False, True])])
    with connect(tmp_path / "a.db") as database:
        database.write(atoms)
    (back,) = read_structures(tmp_path / "a.db")
    np.testing.assert_array_equal(back.free_directions, [[False] * 3, [True, True, False], [True] * 3])
