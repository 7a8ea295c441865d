"""Legacy VTK files: ascii and binary, versions 3 and 5, arrays, polygons and strips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.point_cloud import read_cloud
from tests.io.clouds import CORNERS, TRIANGLES, full_cloud, written

KINDS = {"float": "f4", "double": "f8", "int": "i4", "unsigned_char": "u1", "vtktypeint64": "i8"}


class Maker:
    """Builds the two forms of a file with the same calls."""

    def __init__(self, binary: bool, dataset: str = "POLYDATA") -> None:
        self.binary = binary
        form = "BINARY" if binary else "ASCII"
        self.content = f"# vtk DataFile Version 3.0\nmade by a test\n{form}\nDATASET {dataset}\n".encode()

    def add(self, line: str, values: np.ndarray | None = None, kind: str = "float") -> Maker:
        self.content += line.encode() + b"\n"
        if values is not None:
            numbers = np.asarray(values).reshape(-1)
            if self.binary:
                self.content += numbers.astype(">" + KINDS[kind]).tobytes() + b"\n"
            else:
                self.content += (" ".join(repr(v) for v in numbers.astype(KINDS[kind]).tolist()) + "\n").encode()
        return self


@pytest.mark.parametrize("binary", [False, True])
def test_points_with_arrays_of_every_sort(tmp_path: Path, binary: bool) -> None:
    cloud = full_cloud(8)
    assert cloud.colours is not None
    made = Maker(binary).add("POINTS 8 float", cloud.points)
    made.add("VERTICES 8 16", np.stack([np.ones(8), np.arange(8)], axis=1), "int")
    made.add("CELL_DATA 8").add("SCALARS cells int\nLOOKUP_TABLE default", np.arange(8), "int")
    made.add("POINT_DATA 8").add("NORMALS n double", cloud.normals, "double")
    made.add("SCALARS intensity float 1\nLOOKUP_TABLE default", cloud.intensity)
    colours = cloud.colours if binary else cloud.colours / 255
    made.add("COLOR_SCALARS rgb 3", colours, "unsigned_char" if binary else "double")
    made.add("VECTORS speed float", np.arange(24))
    made.add("TENSORS stress float", np.arange(72))
    made.add("FIELD FieldData 2").add("label 1 8 int", cloud.fields["label"], "int")
    made.add("whole 1 1 int", np.ones(1), "int")
    read = read_cloud(written(tmp_path, "a.vtk", made.content))
    assert (read.points == cloud.points).all()
    assert read.normals == pytest.approx(cloud.normals)
    assert (read.colours == cloud.colours).all()
    assert (read.intensity == cloud.intensity).all()
    assert (read.fields["label"] == cloud.fields["label"]).all()
    assert read.fields["speed"].tolist() == np.arange(24).reshape(8, 3).tolist()
    assert read.fields["stress"].shape == (8, 9)
    assert "cells" not in read.fields
    assert "whole" not in read.fields


def on_a_face(points: np.ndarray) -> bool:
    distances = np.column_stack([points, 1 - points @ [1, 1 / 2, 1 / 3]])
    return bool((np.abs(distances).min(axis=1) < 1e-6).all())


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("version", [3, 5])
def test_polygons_are_sampled(tmp_path: Path, binary: bool, version: int) -> None:
    made = Maker(binary).add("POINTS 4 double", CORNERS, "double").add("METADATA\nINFORMATION 0\n")
    if version == 3:
        made.add("POLYGONS 4 16", np.column_stack([np.full(4, 3), TRIANGLES]), "int")
    else:
        made.add("POLYGONS 5 12").add("OFFSETS vtktypeint64", np.arange(5) * 3, "vtktypeint64")
        made.add("CONNECTIVITY vtktypeint64", TRIANGLES, "vtktypeint64")
    read = read_cloud(written(tmp_path, "a.vtk", made.content), samples=300)
    assert len(read) == 300
    assert on_a_face(read.points)


def test_polygons_of_several_lengths_and_strips_face_the_same_way(tmp_path: Path) -> None:
    square = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [2, 0, 0]])
    made = Maker(False).add("POINTS 5 float", square).add("POLYGONS 2 9", np.array([3, 1, 4, 3, 4, 0, 1, 3, 2]), "int")
    read = read_cloud(written(tmp_path, "a.vtk", made.content), samples=100)
    assert (read.normals == [0, 0, 1]).all()
    made = Maker(False).add("POINTS 5 float", square).add("TRIANGLE_STRIPS 1 5", np.array([4, 0, 1, 2, 3]), "int")
    read = read_cloud(written(tmp_path, "b.vtk", made.content), samples=100)
    assert (read.normals == [0, 0, 1]).all()
    assert read.points[:, :2].max() > 0.9


@pytest.mark.parametrize("binary", [False, True])
def test_the_points_of_a_grid(tmp_path: Path, binary: bool) -> None:
    made = Maker(binary, "UNSTRUCTURED_GRID").add("POINTS 4 double", CORNERS, "double")
    made.add("CELLS 1 5", np.array([4, 0, 1, 2, 3]), "int").add("CELL_TYPES 1", np.array([10]), "int")
    made.add("POINT_DATA 4").add("SCALARS t double 1\nLOOKUP_TABLE default", np.arange(4), "double")
    read = read_cloud(written(tmp_path, "a.vtk", made.content))
    assert (read.points == CORNERS).all()
    assert read.fields["t"].tolist() == [0, 1, 2, 3]


TEXT = Maker(False).add("POINTS 4 double", CORNERS, "double").add("POINT_DATA 4").content.decode()


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("ASCII", "TEXT", 3, "ASCII or BINARY"),
        ("POLYDATA", "IMAGE", 4, "DATASET with one of"),
        ("POINTS 4", "POINTS four", 5, "a whole number is expected"),
        ("double", "quadruple", 5, "a type of numbers is expected"),
        ("POINTS 4", "POINTS 400000", 5, "more than this file has bytes"),
        ("POINTS 4", "POINTS 6", 7, "'POINT_DATA' is no number"),
        ("POINT_DATA 4", "POINT_DATA 5", 7, "POINT_DATA is of 5 points, and there are 4"),
        ("POINT_DATA 4", "NONSENSE 4", 7, "begins no block"),
        ("POINT_DATA 4", "POLYGONS 1 4\n3 0 1", 9, "the file ends after 3 of 4 numbers"),
        ("2.0", "two", 6, "'two' is no number"),
    ],
)
def test_damage_is_named(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in TEXT
    path = written(tmp_path, "a.vtk", TEXT.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        read_cloud(path)
    assert caught.value.where.file == path
    assert caught.value.where.line == line


def test_a_binary_file_that_ends_early(tmp_path: Path) -> None:
    content = Maker(True).add("POINTS 4 double", CORNERS, "double").content
    with pytest.raises(InputError, match=r"byte \d+: the file ends after 11 of 12 numbers"):
        read_cloud(written(tmp_path, "a.vtk", content[:-4]))
