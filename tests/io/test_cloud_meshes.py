"""Meshes as clouds: OBJ, OFF, STL and glTF; samples uniform by area."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import InputError, MissingDependency
from eqcli.io.mesh_sampling import triangles_of, triangles_of_runs
from eqcli.io.point_cloud import read_cloud
from tests.io.clouds import CORNERS, TRIANGLES, written

AREAS = np.array([1.0, 1.5, 3.0, 3.5])
"""Of the faces in the planes z = 0, y = 0, x = 0 and of the slope."""


def obj() -> str:
    vertices = "".join(f"v {x} {y} {z}\n" for x, y, z in CORNERS)
    return (
        "# a tetrahedron\no it\n" + vertices + "".join(f"f {a + 1}/1/1 {b + 1}//2 {c + 1}\n" for a, b, c in TRIANGLES)
    )


def off() -> str:
    vertices = "".join(f"{x} {y} {z}\n" for x, y, z in CORNERS)
    return "OFF\n4 4 6\n" + vertices + "".join(f"3 {a} {b} {c} 0.5 0.5 0.5\n" for a, b, c in TRIANGLES)


def stl_text() -> str:
    facets = ""
    for triangle in TRIANGLES:
        facets += "facet normal 0 0 0\n outer loop\n"
        facets += "".join(f"  vertex {x} {y} {z}\n" for x, y, z in CORNERS[triangle]) + " endloop\nendfacet\n"
    return f"solid it\n{facets}endsolid it\n"


def stl_binary(head: bytes = b"solid binary") -> bytes:
    kind = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    rows = np.zeros(len(TRIANGLES), dtype=kind)
    rows["corners"] = CORNERS[TRIANGLES]
    return head.ljust(80) + len(rows).to_bytes(4, "little") + rows.tobytes()


FILES: dict[str, str | bytes] = {
    "a.obj": obj(),
    "a.off": off(),
    "text.stl": stl_text(),
    "binary.stl": stl_binary(),
    "zero.STL": stl_binary(b"\0\0"),
}


def faces_of(points: np.ndarray) -> np.ndarray:
    """Which face of the tetrahedron each point lies on, in the order of `AREAS`."""
    distances = np.column_stack([points[:, 2], points[:, 1], points[:, 0], 1 - points @ [1, 1 / 2, 1 / 3]])
    assert (np.abs(distances).min(axis=1) < 1e-7).all()
    assert distances.min() > -1e-7
    return np.abs(distances).argmin(axis=1)


@pytest.mark.parametrize("name", FILES)
def test_samples_lie_on_the_faces_as_often_as_their_areas_say(tmp_path: Path, name: str) -> None:
    read = read_cloud(written(tmp_path, name, FILES[name]), samples=9000, seed=4)
    face = faces_of(read.points)
    expected = 9000 * AREAS / AREAS.sum()
    # Chi squared with 3 degrees of freedom: 21 is passed once in ten thousand.
    assert ((np.bincount(face, minlength=4) - expected) ** 2 / expected).sum() < 21
    # Within a face, too: the mean is the centroid, with a deviation below 3 / sqrt(n).
    for i, triangle in enumerate(TRIANGLES):
        own = read.points[face == i]
        assert np.abs(own.mean(axis=0) - CORNERS[triangle].mean(axis=0)).max() < 5 / np.sqrt(len(own))
    outward = np.array([[0, 0, -1], [0, -1, 0], [-1, 0, 0], np.array([6, 3, 2]) / 7])
    assert np.allclose(read.normals, outward[face], atol=1e-6)
    assert "a mesh of 4 triangles: 9000 points" in read.notes[0]


@pytest.mark.parametrize("name", FILES)
def test_the_seed_decides(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, FILES[name])
    first, again, other = (read_cloud(path, samples=50, seed=seed).points for seed in (1, 1, 2))
    assert (first == again).all()
    assert not (first == other).all(axis=1).any()


def test_polygons_become_fans() -> None:
    polygons = [[0, 1, 2], [5, 6, 7, 8, 9], [3, 4], [], [2, 1, 0, 3]]
    expected = [[0, 1, 2], [5, 6, 7], [5, 7, 8], [5, 8, 9], [2, 1, 0], [2, 0, 3]]
    assert triangles_of(polygons).tolist() == expected
    lengths, corners = np.array([len(p) for p in polygons]), np.array([c for p in polygons for c in p])
    assert triangles_of_runs(lengths, corners).tolist() == expected


def test_obj_with_colours_names_from_the_end_and_continued_lines(tmp_path: Path) -> None:
    content = "v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0 0 0.5\nf -3 \\\n -2 -1\n"
    read = read_cloud(written(tmp_path, "a.obj", content), samples=500)
    assert read.colours is not None
    shares = np.column_stack([1 - read.points[:, 0] - read.points[:, 1], read.points[:, 0], read.points[:, 1]])
    # The corners' colours were rounded to bytes, and so are the mixtures.
    assert np.abs(shares * [255, 255, 128] - read.colours).max() <= 0.5 + 1e-9


def test_obj_of_points_alone(tmp_path: Path) -> None:
    content = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0 1\nvn 0 1 0\nvn 1 0 0\np 1 2 3\n"
    read = read_cloud(written(tmp_path, "a.obj", content))
    assert read.points.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert read.normals is not None
    assert read.normals.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert read.notes == []


@pytest.mark.parametrize(
    "head", ["OFF\n4 4 6\n", "OFF 4 4 6\n", "OFF4 4 6\n", "off\n# a comment\n\n4 4 6 # counts\n", "OFF\n4 4\n"]
)
def test_heads_of_off(tmp_path: Path, head: str) -> None:
    path = written(tmp_path, "a.off", off().replace("OFF\n4 4 6\n", head))
    assert (faces_of(read_cloud(path, samples=200).points) >= 0).all()


def test_off_with_normals_and_colours_and_no_faces(tmp_path: Path) -> None:
    read = read_cloud(written(tmp_path, "a.off", "CNOFF\n2 0 0\n1 2 3 0 0 1 10 20 30 255\n4 5 6 0 1 0 1 2 3 255\n"))
    assert read.normals is not None
    assert read.normals.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert read.colours is not None
    assert read.colours.tolist() == [[10, 20, 30], [1, 2, 3]]


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("a.obj", "# nothing\n", None, "there are no vertices"),
        ("a.obj", "v 0 0\n", 1, "a vertex of 2 numbers"),
        ("a.obj", "v 0 0 0\nv 0 0 0 1 1 1\n", 2, "a vertex of 6 numbers, and the first has 3"),
        ("a.obj", "v 0 0 x\n", 1, "'x' is no number"),
        ("a.obj", obj() + "f 1 2 zero\n", 11, "is no face"),
        ("a.obj", obj() + "f 1 2 0\n", 11, "count from 1"),
        ("a.obj", obj() + "f 1 2 9\n", None, "triangle 4 names vertex 8"),
        ("a.off", "OF\n", 1, "begins with the word OFF"),
        ("a.off", "OFF BINARY\n", 1, "binary OFF"),
        ("a.off", "OFF\n4 four 6\n", 2, "numbers of vertices"),
        ("a.off", off().replace("4 4 6", "4 5 6"), 10, "4 vertices and 5 faces are announced; there are 4 and 4"),
        ("a.off", off().replace("0.0 2.0 0.0", "0.0 two 0.0"), 5, "'two' is no number"),
        ("a.off", off().replace("3 0 2 1", "3 0 2 b"), 7, "is no face"),
        ("a.stl", stl_text().replace("endsolid it", ""), None, "before the line endsolid"),
        ("a.stl", stl_text().replace("  vertex 0.0 0.0 0.0\n", "", 1), None, "no whole number of triangles"),
        ("a.stl", stl_text().replace("vertex 0.0 2.0 0.0", "vertex 0.0 y 0.0", 1), 5, "'y' is no number"),
        ("a.stl", stl_binary()[:-30], None, "4 triangles are announced, and there are 3.4"),
        ("a.stl", b"\0" * 40, None, "at least 84 bytes"),
    ],
)
def test_damaged_meshes(tmp_path: Path, name: str, content: str | bytes, line: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_cloud(written(tmp_path, name, content))
    assert caught.value.where.file == tmp_path / name
    if line is not None:
        assert caught.value.where.line == line


def test_scenes_of_gltf_are_put_together_in_metres(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    scene = trimesh.Scene()
    for shift in (0.0, 10.0):
        move = np.eye(4)
        move[0, 3] = shift
        scene.add_geometry(trimesh.Trimesh(CORNERS, TRIANGLES, process=False), transform=move)
    scene.export(tmp_path / "a.glb")
    read = read_cloud(tmp_path / "a.glb", samples=600)
    assert read.units == "m"
    far = read.points[:, 0] > 5
    assert 200 < far.sum() < 400
    faces_of(read.points - np.where(far, 10, 0)[:, None] * [1, 0, 0])
    with pytest.raises(InputError, match="damaged"):
        read_cloud(written(tmp_path, "b.glb", (tmp_path / "a.glb").read_bytes()[:200]))
    with pytest.raises(InputError, match="a GLB file begins with glTF"):
        read_cloud(written(tmp_path, "c.glb", bytes(range(200))))


def test_without_trimesh_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".")[0] in ("trimesh", "laspy", "mrcfile"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    for name, content in (("a.glb", b"glTF"), ("a.las", b"LASF"), ("a.mrc", bytes(1024))):
        with pytest.raises(MissingDependency) as caught:
            read_cloud(written(tmp_path, name, content))
        assert "eqcli[registration]" in caught.value.hint
    # Meshes in OBJ, OFF and STL need no package.
    for name, content in FILES.items():
        assert len(read_cloud(written(tmp_path, name, content), samples=5)) == 5


@pytest.mark.parametrize("samples", [0, -1])
def test_no_samples_are_refused(tmp_path: Path, samples: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        read_cloud(written(tmp_path, "a.obj", obj()), samples=samples)
