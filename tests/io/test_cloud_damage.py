"""Files damaged at random: a reader gives a cloud or an InputError that names the file, and nothing else."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.point_cloud import read_cloud, write_cloud
from tests.io.clouds import CORNERS, TRIANGLES, compress, full_cloud, pcd, plain_cloud, ply, written

ROUNDS = 40


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


def contents(name: str, folder: Path) -> bytes:
    """A sound file of each sort, small so that much of it is header."""
    cloud = plain_cloud(12)
    if name.startswith("written"):
        full = full_cloud(12)
        full.units = "m"
        write_cloud(full, folder / name)
        return (folder / name).read_bytes()
    if name == "faces.ply":
        faces = "element face 2\nproperty list uchar int vertex_indices\nend_header\n"
        text = ply("ascii", cloud).decode().replace("end_header\n", faces)
        return (text + "3 0 1 2\n4 1 2 3 4\n").encode()
    if name == "packed.pcd":
        plain = cloud.points.astype("<f4").T.tobytes()
        packed = compress(plain)
        return pcd("binary_compressed", np.array([len(packed), len(plain)], "<u4").tobytes() + packed, 12)
    if name == "map.mrc":
        import mrcfile

        with mrcfile.new(folder / name) as file:
            file.set_data(np.random.default_rng(0).random((4, 4, 4)).astype(np.float32))
            file.voxel_size = 1.0
        return (folder / name).read_bytes()
    if name == "scene.glb":
        import trimesh

        return trimesh.Trimesh(CORNERS, TRIANGLES).export(file_type="glb")
    vertices = "".join(f"v {x} {y} {z}\n" for x, y, z in CORNERS)
    return {
        "points.csv": b"x,y,z,nx,ny,nz\n" + b"".join(b"%d,2.5,3,0,0,1\n" % i for i in range(12)),
        "ascii.pcd": pcd("ascii", "".join(f"{x} {y} {z}\n" for x, y, z in cloud.points), 12),
        "mesh.obj": (vertices + "".join(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in TRIANGLES)).encode(),
        "mesh.off": ("OFF\n4 4 6\n" + vertices.replace("v ", "") + "3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n").encode(),
        "text.vtk": b"# vtk DataFile Version 3.0\nt\nASCII\nDATASET POLYDATA\nPOINTS 3 float\n0 0 0 1 0 0 0 1 0\n"
        b"POLYGONS 1 4\n3 0 1 2\nPOINT_DATA 3\nSCALARS a int 1\nLOOKUP_TABLE default\n1 2 3\n",
    }[name]


FILES = [
    *(f"written.{s}" for s in ("ply", "pcd", "xyz", "npy", "npz", "vtk", "bin")),
    *("faces.ply", "packed.pcd", "points.csv", "ascii.pcd", "mesh.obj", "mesh.off", "text.vtk"),
    pytest.param("written.las", marks=needs("laspy")),
    pytest.param("written.laz", marks=[needs("laspy"), needs("lazrs")]),
    pytest.param("map.mrc", marks=needs("mrcfile")),
    pytest.param("scene.glb", marks=needs("trimesh")),
]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, changed in some bytes, with a piece twice or left out."""
    data = bytearray(content)
    sort = rng.integers(4)
    # The beginning, where the structure is told, is hit as often as all the rest.
    first = int(rng.integers(len(data) if rng.random() < 0.5 else min(len(data), 300)))
    if sort == 0:
        return bytes(data[:first])
    if sort == 1:
        for _ in range(int(rng.integers(1, 6))):
            data[min(first + int(rng.integers(8)), len(data) - 1)] = int(rng.integers(256))
        return bytes(data)
    length = int(rng.integers(1, 40))
    piece = data[first : first + length]
    return bytes(data[:first] + piece * (2 if sort == 2 else 0) + data[first + length :])


def outcome(path: Path) -> str:
    """ "cloud" or the message of the InputError; anything else fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cloud = read_cloud(path, samples=20)
        except InputError as error:
            found = error
        else:
            assert cloud.points.shape == (len(cloud), 3)
            return "cloud"
    assert found.where.file == path
    return str(found)


@pytest.mark.parametrize("name", FILES)
def test_damage_is_an_input_error_or_a_cloud(tmp_path: Path, name: str) -> None:
    content = contents(name, tmp_path)
    path = tmp_path / f"damaged.{name.rsplit('.', 1)[1]}"
    path.write_bytes(content)
    assert outcome(path) == "cloud"
    rng = np.random.default_rng(len(name))
    outcomes = []
    for _ in range(ROUNDS):
        path.write_bytes(damaged(content, rng))
        outcomes.append(outcome(path))
    assert sum(found != "cloud" for found in outcomes) > ROUNDS // 8


NOISY = "ply pcd xyz csv npy npz las laz vtk mrc map obj off stl glb gltf"


@pytest.mark.parametrize("suffix", NOISY.split(" "))
def test_noise_under_any_name_is_an_input_error(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    for size in (1, 90, 5000):
        path = written(tmp_path, f"noise.{suffix}", rng.integers(0, 256, size, dtype=np.uint8).tobytes())
        found = outcome(path)
        assert found != "cloud"
        assert "byte" in found or ":" in found.removeprefix(str(path))
