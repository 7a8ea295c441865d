"""Clouds, meshes and maps of other programs, compared with other packages' readings."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.cloud_units import in_units, scale_note
from eqcli.io.point_cloud import PointCloud, cleaned, read_cloud, write_cloud

pytestmark = pytest.mark.shared


@pytest.fixture
def data(shared: Path) -> Path:
    folder = shared / "registration"
    if not folder.is_dir():
        pytest.skip("the clouds are not among the shared data")
    return folder


@pytest.mark.parametrize("name", ["redkitchen_cloud_bin_0.ply", "redkitchen_cloud_bin_4.ply"])
def test_fragments_agree_with_plyfile(data: Path, name: str) -> None:
    plyfile = pytest.importorskip("plyfile")
    vertex = plyfile.PlyData.read(data / "fragments" / name)["vertex"]
    read = read_cloud(data / "fragments" / name)
    assert (read.points == np.stack([vertex[a] for a in "xyz"], axis=1)).all()
    assert len(cleaned(read)) > 200_000


MESHES = ["cycloidal.ply", "fuze.ply", "ballA.off", "featuretype.STL", "Duck.glb"]


@pytest.mark.parametrize("name", MESHES)
def test_samples_of_meshes_lie_on_the_meshes_of_trimesh(data: Path, name: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    mesh = trimesh.load_scene(data / "formats" / name, process=False).to_mesh()
    read = read_cloud(data / "formats" / name, samples=20_000)
    assert (read.points >= mesh.bounds[0] - 1e-6 * mesh.extents.max()).all()
    assert (read.points <= mesh.bounds[1] + 1e-6 * mesh.extents.max()).all()
    # The mean of the surface, within five deviations of the mean of the samples.
    deviation = read.points.std(axis=0) / np.sqrt(len(read))
    centroid = (mesh.triangles_center * mesh.area_faces[:, None]).sum(axis=0) / mesh.area
    assert (np.abs(read.points.mean(axis=0) - centroid) < 5 * deviation).all()


@pytest.mark.parametrize("name", ["cow", "fandisk", "rocker-arm", "spot", "suzanne", "teapot"])
def test_meshes_of_obj_agree_with_trimesh(data: Path, name: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    import gzip
    import io

    content = gzip.decompress((data / "meshes" / f"{name}.obj.gz").read_bytes())
    mesh = trimesh.load_scene(io.BytesIO(content), file_type="obj", process=False, skip_materials=True).to_mesh()
    read = read_cloud(data / "meshes" / f"{name}.obj.gz", samples=20_000)
    centroid = (mesh.triangles_center * mesh.area_faces[:, None]).sum(axis=0) / mesh.area
    deviation = read.points.std(axis=0) / np.sqrt(len(read))
    assert (np.abs(read.points.mean(axis=0) - centroid) < 5 * deviation).all()
    assert np.allclose(np.linalg.norm(read.normals, axis=1), 1)


def test_text_of_cloudcompare_and_agisoft(data: Path) -> None:
    for name, count in (("points_cloudcompare.xyz", 101), ("points_agisoft.xyz", 100)):
        read = read_cloud(data / "formats" / name)
        assert len(read) == count
        assert read.colours is not None
        assert read.colours[0].tolist() == [117, 73, 49]
        assert read.points[0].tolist() == [665187.522077, 5648349.895035, 241.767693]


def test_a_mesh_whose_faces_say_more_than_its_header(data: Path) -> None:
    read = read_cloud(data / "formats" / "fuze_ascii.ply", samples=100)
    assert len(read) == 100
    assert "1000 faces have more numbers" in read.notes[0]


def test_the_small_files(data: Path) -> None:
    assert len(read_cloud(data / "formats" / "bunny.pcd")) == 397
    binary, text = (read_cloud(data / "formats" / f"points_{kind}.ply").points for kind in ("bin", "ascii"))
    assert len(binary) == 5
    assert len(text) == 5
    assert (np.abs(read_cloud(data / "formats" / "comments.off", samples=99).points).max(axis=0) <= 1.633).all()


def test_lidar_in_three_formats(data: Path) -> None:
    for name, count in (("000000.bin", 124668), ("000001.bin", 124605)):
        read = read_cloud(data / "lidar" / "kitti_00" / name)
        assert len(read) == count
        assert read.units == "m"
        assert "rows of three numbers" in read.notes[0]
        assert 50 < np.ptp(read.points[:, 0]) < 250
    folder = data / "lidar" / "libpointmatcher"
    first, second = read_cloud(folder / "car_cloud400.csv"), read_cloud(folder / "car_cloud401.csv")
    assert (len(first), len(second)) == (24989, 25193)
    assert np.median(np.linalg.norm(first.normals, axis=1)) == pytest.approx(1, abs=1e-3)
    # The same scans are there in VTK, moved: the distances from point to point are alike.
    for name, scan in (("cloud.00000.vtk", first), ("cloud.00001.vtk", second)):
        steps = [np.linalg.norm(np.diff(c.points, axis=0), axis=1) for c in (read_cloud(folder / name), scan)]
        assert np.allclose(steps[0], steps[1], atol=1e-3)
    path = read_cloud(folder / "trajectory.vtk")
    assert len(path) == 525
    assert path.fields["orientationX"].shape == (525, 3)
    assert path.fields["t_splitTime_low32"][0] == 4125520008
    for name in ("carCloudList.csv", "cloudList.csv"):
        with pytest.raises(InputError, match="neither a row of numbers nor names of columns"):
            read_cloud(folder / name)


@pytest.mark.parametrize("name", ["EMD-3197.map", "emd_3001.map.gz"])
def test_maps_lie_where_mrcfile_says(data: Path, name: str) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    read = read_cloud(data / "cryoem_maps" / name)
    with mrcfile.open(data / "cryoem_maps" / name) as file:
        density, size = file.data, [float(file.voxel_size[a]) for a in "xyz"]
    assert read.weights is not None
    assert (np.sort(read.weights) == np.sort(density[density > read.weights.min() - 1e-7].astype(float))).all()
    # Neighbours along an axis are a voxel apart.
    assert np.diff(np.unique(read.points[:, 1].round(4))).min() == pytest.approx(size[1], rel=1e-3)


def test_a_scan_in_millimetres_is_noticed_and_a_mesh_in_a_room_is_not(data: Path) -> None:
    room = read_cloud(data / "fragments" / "redkitchen_cloud_bin_0.ply")
    other = read_cloud(data / "fragments" / "redkitchen_cloud_bin_4.ply")
    assert scale_note(room, other) is None
    wrong = PointCloud(other.points * 1000)
    note = scale_note(room, wrong)
    assert note is not None
    assert "mm against m" in note
    assert scale_note(room, in_units(wrong, "mm", "m")) is None
    for name in ("000000.bin", "000001.bin"):
        scan = read_cloud(data / "lidar" / "kitti_00" / name)
        assert scale_note(room, PointCloud(scan.points)) is None


@pytest.mark.parametrize("suffix", ["ply", "pcd", "npy"])
def test_a_million_points_take_seconds(tmp_path: Path, suffix: str, data: Path) -> None:
    points = read_cloud(data / "fragments" / "redkitchen_cloud_bin_0.ply").points
    cloud = PointCloud(np.concatenate([points + i for i in range(4)])[:1_000_000])
    start = time.perf_counter()
    write_cloud(cloud, tmp_path / f"a.{suffix}")
    read = read_cloud(tmp_path / f"a.{suffix}")
    assert time.perf_counter() - start < 5
    assert np.abs(read.points - cloud.points).max() < 1e-5
