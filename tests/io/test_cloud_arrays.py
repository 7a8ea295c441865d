"""Clouds as arrays of NumPy and as raw scans of KITTI."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.point_cloud import PointCloud, read_cloud, write_cloud
from tests.io.clouds import full_cloud, plain_cloud, written


def saved(folder: Path, array: np.ndarray, name: str = "a.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


@pytest.mark.parametrize("kind", ["f8", "f4", ">f4", "f2", "i4", "u1"])
def test_rows_of_any_type(tmp_path: Path, kind: str) -> None:
    array = np.random.default_rng(0).integers(0, 100, (30, 3)).astype(kind)
    assert (read_cloud(saved(tmp_path, array)).points == array.astype(float)).all()
    assert (read_cloud(saved(tmp_path, np.asfortranarray(array))).points == array.astype(float)).all()


def test_further_columns(tmp_path: Path) -> None:
    cloud = full_cloud()
    assert cloud.normals is not None
    assert cloud.colours is not None
    assert cloud.intensity is not None
    four = read_cloud(saved(tmp_path, np.column_stack([cloud.points, cloud.intensity])))
    assert four.intensity is not None
    assert (four.intensity == cloud.intensity).all()
    six = read_cloud(saved(tmp_path, np.column_stack([cloud.points, cloud.normals])))
    assert (six.normals == cloud.normals).all()
    assert (read_cloud(saved(tmp_path, np.column_stack([cloud.points, cloud.colours]))).colours == cloud.colours).all()
    one = read_cloud(saved(tmp_path, np.column_stack([cloud.points, np.ones(60)])))
    assert one.intensity is None
    assert "homogeneous" in one.notes[0]


def test_other_shapes(tmp_path: Path) -> None:
    points = plain_cloud().points
    assert (read_cloud(saved(tmp_path, points.T)).points == points).all()
    assert (read_cloud(saved(tmp_path, points.reshape(6, 10, 3))).points == points).all()
    assert (read_cloud(saved(tmp_path, points[None])).points == points).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.eye(4), "a motion, not a cloud"),
        (np.zeros(9), "no list of points"),
        (np.zeros((9, 2)), "no list of points"),
        (np.zeros((9, 3), dtype=complex), "no coordinates"),
        (np.array(["a", "b"]), "no coordinates"),
        (np.zeros(3, dtype=[("a", "f4"), ("b", "f4")]), "no columns x, y and z"),
    ],
)
def test_arrays_that_are_no_clouds(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_cloud(saved(tmp_path, array))
    assert caught.value.where.file == tmp_path / "a.npy"


class Trap:
    """Unpickling it would fail the test."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was loaded",))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    trap = np.array([Trap(), None], dtype=object)
    with pytest.raises(InputError, match="never loaded"):
        read_cloud(saved(tmp_path, trap))
    np.savez(tmp_path / "a.npz", points=plain_cloud().points, trap=trap)
    read = read_cloud(tmp_path / "a.npz")
    assert len(read) == 60
    assert "passed over: trap" in read.notes[0]
    with pytest.raises(InputError):
        read_cloud(written(tmp_path, "b.npy", pickle.dumps(Trap())))


@pytest.mark.parametrize("key", ["points", "xyz", "pos", "arr_0", "Vertices", "anything"])
def test_archives_by_their_names(tmp_path: Path, key: str) -> None:
    np.savez_compressed(tmp_path / "a.npz", **{key: plain_cloud().points})
    assert (read_cloud(tmp_path / "a.npz").points == plain_cloud().points).all()


def test_archives_of_other_programs(tmp_path: Path) -> None:
    cloud = full_cloud()
    assert cloud.colours is not None
    parts = {
        "normals": cloud.normals,
        "colors": cloud.colours / 255,
        "intensity": cloud.intensity,
        "time": np.arange(60),
    }
    np.savez(tmp_path / "a.npz", points=cloud.points, gravity=np.zeros(3), **parts)
    read = read_cloud(tmp_path / "a.npz")
    assert (read.colours == cloud.colours).all()
    assert (read.normals == cloud.normals).all()
    assert read.fields["time"].tolist() == list(range(60))
    assert "gravity" not in read.fields


def test_an_archive_without_points(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=np.zeros(3), right=np.zeros(3))
    with pytest.raises(InputError, match="no array of points among the arrays of this file: left, right"):
        read_cloud(tmp_path / "a.npz")


def test_an_archive_of_md17_holds_atoms(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "rmd17.npz",
        nuclear_charges=np.array([8, 1, 1]),
        coords=np.random.default_rng(0).normal(size=(2, 3, 3)),
        energies=np.zeros(2),
        forces=np.zeros((2, 3, 3)),
        old_indices=np.arange(2),
        old_energies=np.zeros(2),
        old_forces=np.zeros((2, 3, 3)),
    )
    read = read_cloud(tmp_path / "rmd17.npz")
    assert read.fields["number"].tolist() == [8, 1, 1]
    assert "only the first structure" in read.notes[-1]


def test_damaged_arrays(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, plain_cloud().points)
    for cut in (5, 9, 60, 700):
        with pytest.raises(InputError, match="byte"):
            read_cloud(written(tmp_path, "a.npy", buffer.getvalue()[:cut]))
    np.savez(tmp_path / "b.npz", points=plain_cloud().points)
    content = (tmp_path / "b.npz").read_bytes()
    with pytest.raises(InputError, match="byte 0"):
        read_cloud(written(tmp_path, "c.npz", content[:-30]))
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("points.npy", b"no array")
    with pytest.raises(InputError):
        read_cloud(tmp_path / "d.npz")


def test_scans_of_kitti(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 4)).astype("<f4") * 20
    rows[:, 3] = np.linspace(0, 1, 40)
    read = read_cloud(written(tmp_path, "a.bin", rows.tobytes()))
    assert (read.points == rows[:, :3]).all()
    assert read.intensity is not None
    assert (read.intensity == rows[:, 3]).all()
    assert read.units == "m"
    assert read.notes == []


@pytest.mark.parametrize("count", [41, 40])
def test_scans_of_three_numbers_are_told(tmp_path: Path, count: int) -> None:
    points = np.random.default_rng(0).normal(size=(count, 3)).astype("<f4")
    read = read_cloud(written(tmp_path, "a.bin", points.tobytes()))
    assert (read.points == points).all()
    assert "rows of three numbers" in read.notes[0]


def test_bytes_that_are_no_scan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="100 bytes are no multiple of 16 or 12") as caught:
        read_cloud(written(tmp_path, "a.bin", bytes(100)))
    assert "byte 96" in str(caught.value)
    garbage = np.random.default_rng(0).integers(0, 256, 4800, dtype=np.uint8).tobytes()
    with pytest.raises(InputError, match="no coordinates in metres"):
        read_cloud(written(tmp_path, "a.bin", garbage))


def test_other_units_are_not_written_as_a_scan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="in metres, and this cloud is in mm") as caught:
        write_cloud(PointCloud(np.eye(3), units="mm"), tmp_path / "a.bin")
    assert caught.value.where.file == tmp_path / "a.bin"
    assert list(tmp_path.iterdir()) == []
