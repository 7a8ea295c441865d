"""PLY: every form of it, against plyfile, and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.point_cloud import read_cloud, write_cloud
from tests.io.clouds import CORNERS, TRIANGLES, full_cloud, plain_cloud, ply, written

ORDERS = ("ascii", "binary_little_endian", "binary_big_endian")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["float", "double"])
def test_points_of_every_order_and_type(tmp_path: Path, order: str, kind: str) -> None:
    cloud = plain_cloud()
    read = read_cloud(written(tmp_path, "a.ply", ply(order, cloud, kind)))
    assert (read.points == cloud.points).all()
    assert read.units is None
    assert read.notes == []


# plyfile 1.1.5 writes numbers beside lists of binary files in the order of the machine, so ">" is made by hand below.
@pytest.mark.parametrize(("text", "order"), [(True, "="), (False, "<")])
def test_files_of_plyfile_with_colours_normals_lists_and_other_elements(tmp_path: Path, text: bool, order: str) -> None:
    plyfile = pytest.importorskip("plyfile")
    cloud = full_cloud(20)
    kinds = [("x", "f4"), ("y", "f4"), ("z", "f4"), ("nx", "f4"), ("ny", "f4"), ("nz", "f4")]
    kinds += [("red", "u1"), ("green", "u1"), ("blue", "u1"), ("intensity", "f4"), ("label", "i4"), ("near", "O")]
    rows = np.empty(20, dtype=kinds)
    assert cloud.normals is not None
    assert cloud.colours is not None
    for i, axis in enumerate("xyz"):
        rows[axis], rows["n" + axis] = cloud.points[:, i], cloud.normals[:, i]
        rows[("red", "green", "blue")[i]] = cloud.colours[:, i]
    rows["intensity"], rows["label"] = cloud.intensity, cloud.fields["label"]
    for i in range(20):
        rows["near"][i] = np.arange(i % 4, dtype="i4")
    camera = plyfile.PlyElement.describe(np.array([(1.5,), (2.5,)], dtype=[("view", "f4")]), "camera")
    vertex = plyfile.PlyElement.describe(rows, "vertex", val_types={"near": "i4"})
    data = plyfile.PlyData([camera, vertex], text=text, byte_order=order, comments=["made by a test"])
    data.write(tmp_path / "a.ply")
    read = read_cloud(tmp_path / "a.ply")
    assert (read.points == cloud.points).all()
    assert np.allclose(read.normals, cloud.normals, atol=1e-6)
    assert (read.colours == cloud.colours).all()
    assert np.allclose(read.intensity, cloud.intensity, atol=1e-6)
    assert (read.fields["label"] == cloud.fields["label"]).all()
    assert read.notes == ["lists of vertices were passed over: near"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("lengths", [(2, 2, 2), (1, 0, 3)])
def test_lists_of_vertices_of_both_orders(tmp_path: Path, order: str, lengths: tuple[int, ...]) -> None:
    name = {"<": "little", ">": "big"}[order]
    head = f"ply\nformat binary_{name}_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    content = (head + "property list uchar short near\nproperty double z\nend_header\n").encode()
    for i, length in enumerate(lengths):
        content += np.array([i, 10 + i], order + "f4").tobytes() + bytes([length])
        content += np.arange(length, dtype=order + "i2").tobytes() + np.array([20.5 + i], order + "f8").tobytes()
    read = read_cloud(written(tmp_path, "a.ply", content))
    assert read.points.tolist() == [[0, 10, 20.5], [1, 11, 21.5], [2, 12, 22.5]]


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_faces_make_a_mesh_also_with_polygons(tmp_path: Path, text: bool, mixed: bool) -> None:
    plyfile = pytest.importorskip("plyfile")
    corners = np.array([tuple(c) for c in CORNERS], dtype=[(axis, "f8") for axis in "xyz"])
    faces = np.empty(len(TRIANGLES), dtype=[("vertex_indices", "O"), ("quality", "f4")])
    for i, triangle in enumerate(TRIANGLES):
        faces["vertex_indices"][i] = np.array([*triangle, triangle[0]] if mixed and i == 1 else triangle, dtype="i4")
    elements = [plyfile.PlyElement.describe(corners, "vertex"), plyfile.PlyElement.describe(faces, "face")]
    plyfile.PlyData(elements, text=text).write(tmp_path / "a.ply")
    read = read_cloud(tmp_path / "a.ply", samples=200)
    assert len(read) == 200
    # Every point lies on one of the four planes, with that plane's normal.
    assert read.normals is not None
    on_slope = np.abs(read.points @ [1, 1 / 2, 1 / 3] - 1) < 1e-9
    assert (on_slope | (np.abs(read.points) < 1e-12).any(axis=1)).all()
    slope = np.array([1, 1 / 2, 1 / 3]) / np.linalg.norm([1, 1 / 2, 1 / 3])
    assert np.allclose(read.normals[on_slope], slope)


def test_the_written_file_is_read_alike_by_plyfile(tmp_path: Path) -> None:
    plyfile = pytest.importorskip("plyfile")
    cloud = full_cloud()
    write_cloud(cloud, tmp_path / "a.ply")
    vertex = plyfile.PlyData.read(tmp_path / "a.ply")["vertex"]
    assert (np.stack([vertex[a] for a in "xyz"], axis=1) == cloud.points).all()
    assert cloud.colours is not None
    assert (vertex["blue"] == cloud.colours[:, 2]).all()
    assert (vertex["label"] == cloud.fields["label"]).all()


def test_line_ends_of_windows_and_blank_lines_in_text(tmp_path: Path) -> None:
    content = ply("ascii", plain_cloud(5)).replace(b"end_header\n", b"end_header\n\n").replace(b"\n", b"\r\n")
    assert (read_cloud(written(tmp_path, "a.ply", content)).points == plain_cloud(5).points).all()


def test_numbers_that_are_none_stay_and_are_seen(tmp_path: Path) -> None:
    content = ply("ascii", plain_cloud(5)) + b""
    lines = content.split(b"\n")
    lines[-2] = b"nan -nan(ind) 1.#QNAN"
    read = read_cloud(written(tmp_path, "a.ply", b"\n".join(lines)))
    assert np.isnan(read.points[4]).all()
    assert np.isfinite(read.points[:4]).all()


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (b"element vertex 9", b"element vertex many", 3, "no line of a PLY header"),
        (b"property float x", b"property complex x", 4, "no line of a PLY header"),
        (b"format ascii 1.0\n", b"", 6, "states no format"),
        (b"float z", b"float w", None, "no columns x, y and z"),
        (b"property float y", b"property float x", 5, "the property 'x' is there twice"),
        (b"element vertex 9", b"element vertex 12", 17, "9 of the 12 rows"),
        (b"end_header\n", b"", None, "no line of a PLY header"),
        (b"element vertex", b"element corner", 7, "no element 'vertex'"),
    ],
)
def test_damaged_headers(tmp_path: Path, old: bytes, new: bytes, line: int | None, message: str) -> None:
    content = ply("ascii", plain_cloud(9))
    assert old in content
    with pytest.raises(InputError, match=message) as caught:
        read_cloud(written(tmp_path, "a.ply", content.replace(old, new)))
    assert caught.value.where.file == tmp_path / "a.ply"
    if line:
        assert caught.value.where.line == line


def test_a_bad_row_of_text_is_named(tmp_path: Path) -> None:
    lines = ply("ascii", plain_cloud(9)).split(b"\n")
    lines[7 + 4] = b"1.0 two 3.0"
    with pytest.raises(InputError, match="'two' is no number") as caught:
        read_cloud(written(tmp_path, "a.ply", b"\n".join(lines)))
    assert caught.value.where.line == 12


@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_binary_file_that_ends_early_names_the_byte(tmp_path: Path, order: str) -> None:
    content = ply(order, plain_cloud(9))
    with pytest.raises(InputError, match=rf"byte {len(content) - 12}: the file ends after 8 of the 9 rows"):
        read_cloud(written(tmp_path, "a.ply", content[:-5]))


def test_a_face_of_a_vertex_that_does_not_exist(tmp_path: Path) -> None:
    content = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    content += "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 7\n"
    with pytest.raises(InputError, match="triangle 0 names vertex 7"):
        read_cloud(written(tmp_path, "a.ply", content))


def test_flat_faces_leave_the_vertices(tmp_path: Path) -> None:
    content = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    content += "element face 1\nproperty list uchar int vertex_index\nend_header\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2\n"
    read = read_cloud(written(tmp_path, "a.ply", content))
    assert len(read) == 3
    assert "none of the 1 triangles has an area" in read.notes[0]
