"""What is written is read back, in every format; names, endings and structures."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.cloud_writing import WRITERS
from eqcli.io.point_cloud import PointCloud, cleaned, read_cloud, write_cloud
from tests.io.clouds import full_cloud, plain_cloud, ply, written

LOSSLESS = ("ply", "pcd", "xyz", "npy", "npz", "vtk")
UNITS = ("ply", "xyz", "npz", "vtk", "las", "laz")
VIEWPOINT = ("ply", "pcd", "npz")


def needed(suffix: str) -> None:
    if suffix in ("las", "laz"):
        pytest.importorskip("laspy")
        pytest.importorskip("lazrs")


@pytest.mark.parametrize("suffix", [*LOSSLESS, "las", "laz"])
def test_everything_comes_back(tmp_path: Path, suffix: str) -> None:
    needed(suffix)
    cloud = full_cloud()
    write_cloud(cloud, tmp_path / f"a.{suffix}")
    read = read_cloud(tmp_path / f"a.{suffix}")
    near = 0 if suffix in LOSSLESS else 1e-8
    assert np.abs(read.points - cloud.points).max() <= near
    assert (read.normals == cloud.normals).all()
    assert (read.colours == cloud.colours).all()
    assert (read.intensity == cloud.intensity).all()
    assert (read.weights == cloud.weights).all()
    assert set(read.fields) == {"label", "height"}
    assert (read.fields["label"] == cloud.fields["label"]).all()
    assert (read.fields["height"] == cloud.fields["height"]).all()
    assert read.units == ("mm" if suffix in UNITS else None)
    if suffix in VIEWPOINT:
        assert read.viewpoint is not None
        assert (read.viewpoint == cloud.viewpoint).all()


@pytest.mark.parametrize("suffix", [s[1:] for s in WRITERS])
def test_points_alone_come_back(tmp_path: Path, suffix: str) -> None:
    needed(suffix)
    cloud = plain_cloud()
    if suffix == "xyzn":
        cloud.normals = full_cloud().normals
    write_cloud(cloud, tmp_path / f"a.{suffix}")
    read = read_cloud(tmp_path / f"a.{suffix}")
    assert np.abs(read.points - cloud.points).max() < 1e-8
    assert (read.normals is None) == (suffix != "xyzn")
    assert read.colours is None
    assert read.fields == {}
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{suffix}"]


@pytest.mark.parametrize("suffix", ["ply", "xyz", "npy", "npz", "vtk"])
def test_doubles_keep_every_bit(tmp_path: Path, suffix: str) -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)) * 10.0 ** np.arange(-20, 30)[:, None]
    write_cloud(PointCloud(points), tmp_path / f"a.{suffix}")
    assert (read_cloud(tmp_path / f"a.{suffix}").points == points).all()


@pytest.mark.parametrize("suffix", ["ply", "pcd", "xyz", "npy", "npz", "vtk", "bin"])
def test_points_that_are_none_stay_none(tmp_path: Path, suffix: str) -> None:
    cloud = plain_cloud()
    cloud.points[7] = np.nan
    write_cloud(cloud, tmp_path / f"a.{suffix}")
    read = read_cloud(tmp_path / f"a.{suffix}")
    assert np.flatnonzero(np.isnan(read.points).any(axis=1)).tolist() == [7]
    assert len(cleaned(read)) == 59


def test_odd_fields_are_written_under_plain_names(tmp_path: Path) -> None:
    cloud = plain_cloud(5)
    cloud.fields = {
        "two words": np.arange(5.0),
        "x": np.arange(5),
        "points": np.ones(5),
        "true": np.array([True, False, True, True, False]),
        "vector": np.arange(10.0).reshape(5, 2),
        "name": np.array(list("abcde")),
    }
    for suffix in LOSSLESS:
        write_cloud(cloud, tmp_path / f"a.{suffix}")
        read = read_cloud(tmp_path / f"a.{suffix}")
        assert (read.points == cloud.points).all()
        values = [v.astype(float).tolist() for v in read.fields.values() if v.dtype.kind != "U" and v.ndim == 1]
        assert [1.0, 0.0, 1.0, 1.0, 0.0] in values
        assert [0.0, 1.0, 2.0, 3.0, 4.0] in values


@pytest.mark.parametrize("name", ["a.stl", "a.png", "a", "a.ply.gz"])
def test_other_endings_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        write_cloud(plain_cloud(), tmp_path / name)
    assert ".ply, .pcd, .xyz" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["ply", "pcd", "xyz", "npy", "npz", "vtk", "bin", "las"])
def test_compressed_files_of_any_sort(tmp_path: Path, suffix: str) -> None:
    needed(suffix)
    write_cloud(plain_cloud(), tmp_path / f"a.{suffix}")
    content = (tmp_path / f"a.{suffix}").read_bytes()
    plain = read_cloud(tmp_path / f"a.{suffix}").points
    assert (read_cloud(written(tmp_path, f"b.{suffix}.gz", gzip.compress(content))).points == plain).all()
    assert (read_cloud(written(tmp_path, f"c.{suffix}", gzip.compress(content))).points == plain).all()
    with pytest.raises(InputError, match="compressed file is damaged"):
        read_cloud(written(tmp_path, f"d.{suffix}.gz", gzip.compress(content)[:-12]))
    with pytest.raises(InputError, match="no gzip file"):
        read_cloud(written(tmp_path, f"e.{suffix}.gz", content))


@pytest.mark.parametrize("suffix", ["ply", "pcd", "npy", "vtk", "las"])
@pytest.mark.parametrize("wrong", ["xyz", "bin", "obj", "dat", "pdb"])
def test_a_wrong_ending_is_noticed(tmp_path: Path, suffix: str, wrong: str) -> None:
    needed(suffix)
    write_cloud(plain_cloud(), tmp_path / f"a.{suffix}")
    read = read_cloud(written(tmp_path, f"b.{wrong}", (tmp_path / f"a.{suffix}").read_bytes()))
    assert np.abs(read.points - plain_cloud().points).max() < 1e-8
    assert read.notes == [f"read as {suffix.upper()}, which its first bytes are, although its name ends in '.{wrong}'"]


def test_unknown_names(tmp_path: Path) -> None:
    rows = "1 2 3\n4 5 6\n"
    for name in ("a.dat", "scan"):
        read = read_cloud(written(tmp_path, name, rows))
        assert read.points.tolist() == [[1, 2, 3], [4, 5, 6]]
        assert "rows of numbers" in read.notes[0]
    for name, content in (("a.what", "hello\n"), ("noname", "hello\n")):
        with pytest.raises(InputError, match=r"ending|name of this file") as caught:
            read_cloud(written(tmp_path, name, content))
        assert ".ply" in caught.value.hint
        assert ".pdb" in caught.value.hint


def test_missing_and_empty_files_and_folders(tmp_path: Path) -> None:
    written(tmp_path, "cloud.ply", ply("ascii", plain_cloud()))
    with pytest.raises(InputError, match="no such file") as caught:
        read_cloud(tmp_path / "clout.ply")
    assert "cloud.ply" in caught.value.hint
    with pytest.raises(InputError, match="a folder"):
        read_cloud(tmp_path)
    for suffix in ("ply", "pcd", "xyz", "npy", "bin", "obj", "las", "vtk", "mrc", "stl", "off", "pdb", "what"):
        with pytest.raises(InputError, match="empty") as caught:
            read_cloud(written(tmp_path, f"empty.{suffix}", b""))
        assert caught.value.where.file == tmp_path / f"empty.{suffix}"


POSCAR = "NaCl\n5.64\n1 0 0\n0 1 0\n0 0 1\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
PDB = "ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00 10.00           N\nEND\n"


@pytest.mark.parametrize("name", ["POSCAR", "a.vasp", "a.vasp.gz", "POSCAR.gz"])
def test_crystals_are_atoms_also_compressed(tmp_path: Path, name: str) -> None:
    content = gzip.compress(POSCAR.encode()) if name.endswith("gz") else POSCAR.encode()
    read = read_cloud(written(tmp_path, name, content))
    assert read.fields["number"].tolist() == [11, 17]
    assert read.points[1] == pytest.approx([2.82] * 3)
    assert read.units == "Angstrom"
    with pytest.raises(InputError) as caught:
        read_cloud(written(tmp_path, name, gzip.compress(b"NaCl\nx\n") if name.endswith("gz") else b"NaCl\nx\n"))
    assert caught.value.where.file == tmp_path / name


def test_proteins_keep_the_names_of_their_atoms(tmp_path: Path) -> None:
    read = read_cloud(written(tmp_path, "a.pdb", PDB))
    assert read.points.tolist() == [[11.104, 6.134, -6.504]]
    assert read.fields["atom_name"].tolist() == ["N"]
    assert read.fields["residue_name"].tolist() == ["ALA"]
    assert read.fields["symbol"].tolist() == ["N"]
    assert read.weights is None
