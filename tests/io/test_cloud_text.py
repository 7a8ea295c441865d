"""Points in text: separators, headers, columns without names, chemistry's own .xyz."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.point_cloud import read_cloud, write_cloud
from tests.io.clouds import full_cloud, plain_cloud, written

POINTS = [[1.5, -2.0, 3.25], [0.5, 1e-3, -7.0], [2.0, 2.5, 1e6]]


def rows(*, mark: str = " ", more: list[list[object]] | None = None) -> str:
    extra = more or [[] for _ in POINTS]
    return "".join(mark.join(map(str, [*p, *e])) + "\n" for p, e in zip(POINTS, extra, strict=True))


@pytest.mark.parametrize("name", ["a.xyz", "a.txt", "a.asc", "a.csv", "a.pts"])
@pytest.mark.parametrize("mark", [" ", "   ", "\t", ",", ", ", " ; ", ";"])
def test_separators(tmp_path: Path, name: str, mark: str) -> None:
    assert read_cloud(written(tmp_path, name, rows(mark=mark))).points.tolist() == POINTS


@pytest.mark.parametrize(
    "content",
    [
        "# made by a program\n\n" + rows(),
        "// comment\n" + rows() + "\n\n",
        "\ufeff" + rows(),
        rows().replace("\n", "\r\n"),
        rows().replace("\n", "\r"),
        rows() + "\x1a",
        rows().rstrip("\n"),
        "  " + rows().replace("\n", "  \n  "),
        rows(mark=",").replace("\n", ",\n"),
        rows(mark=";").replace(".", ","),
        "3\n" + rows(),
    ],
)
def test_comments_blanks_line_ends_and_decimal_commas(tmp_path: Path, content: str) -> None:
    assert read_cloud(written(tmp_path, "a.xyz", content)).points.tolist() == POINTS


def test_text_of_windows_in_utf_16(tmp_path: Path) -> None:
    assert read_cloud(written(tmp_path, "a.txt", rows().encode("utf-16"))).points.tolist() == POINTS


@pytest.mark.parametrize(
    "head", ["x,y,z,nx,ny,nz", "# x, y, z, nx, ny, nz", "//X,Y,Z,Nx,Ny,Nz", '"x","y","z","nx","ny","nz"']
)
def test_named_columns(tmp_path: Path, head: str) -> None:
    content = head + "\n" + rows(mark=",", more=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    read = read_cloud(written(tmp_path, "a.csv", content))
    assert read.points.tolist() == POINTS
    assert read.normals is not None
    assert read.normals.tolist() == np.eye(3).tolist()
    assert read.notes == []


def test_columns_in_any_order_with_units_words_and_whole_numbers(tmp_path: Path) -> None:
    content = "id;class;z [mm];y [mm];x [mm];Intensity\n7;tree;3;2;1;0.5\n8;wall;6;5;4;0.25\n"
    read = read_cloud(written(tmp_path, "a.csv", content))
    assert read.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read.units == "mm"
    assert read.fields["id"].tolist() == [7, 8]
    assert read.fields["class"].tolist() == ["tree", "wall"]
    assert read.intensity is not None
    assert read.intensity.tolist() == [0.5, 0.25]


def test_columns_of_paraview(tmp_path: Path) -> None:
    content = '"v","Points:0","Points:1","Points:2"\n' + "".join(f"9,{p[0]},{p[1]},{p[2]}\n" for p in POINTS)
    assert read_cloud(written(tmp_path, "a.csv", content)).points.tolist() == POINTS


COLOURS = [[255, 0, 17], [3, 200, 90], [0, 0, 1]]
NORMALS = [[0.6, 0.8, 0.0], [0.0, -1.0, 0.0], [-0.48, 0.6, 0.64]]


def joined(*parts: list[list[float]]) -> list[list[object]]:
    return [[v for part in parts for v in part[i]] for i in range(3)]


@pytest.mark.parametrize(
    ("name", "more", "known"),
    [
        ("a.xyz", joined(COLOURS), "c"),
        ("a.xyz", joined([[float(v) for v in c] for c in COLOURS]), "c"),
        ("a.xyz", joined([[v / 255 for v in c] for c in COLOURS]), "c"),
        ("a.xyz", joined(COLOURS, [[255]] * 3), "ca"),
        ("a.xyz", joined(NORMALS), "n"),
        ("a.xyzn", joined(NORMALS), "n"),
        ("a.xyz", joined(COLOURS, NORMALS), "cn"),
        ("a.txt", joined(COLOURS, [[0.25], [700], [3]], NORMALS), "cn?"),
        ("a.pts", joined([[12], [200], [31]], COLOURS), "ic"),
        ("a.xyz", joined([[-120.5], [200], [31]], COLOURS), "ic"),
        ("a.xyz", joined([[0.1], [0.2], [0.3]]), "i"),
        ("a.xyz", joined([[-0.1, 700], [5, 3], [2, 2]]), "??"),
    ],
)
def test_columns_without_names(tmp_path: Path, name: str, more: list[list[object]], known: str) -> None:
    read = read_cloud(written(tmp_path, name, rows(more=more)))
    assert read.points.tolist() == POINTS
    assert (read.colours is not None) == ("c" in known)
    assert (read.normals is not None) == ("n" in known)
    assert (read.intensity is not None) == ("i" in known)
    assert ("alpha" in read.fields) == ("a" in known)
    assert sum(field.startswith("column_") for field in read.fields) == known.count("?")
    if read.colours is not None:
        assert read.colours.tolist() == COLOURS
    if read.normals is not None:
        assert read.normals.tolist() == NORMALS
    assert any("told by their values" in note for note in read.notes) == (known.strip("?") != "")


@pytest.mark.parametrize("name", ["water.xyz", "water.xyz.gz"])
def test_an_xyz_file_of_chemistry_holds_atoms(tmp_path: Path, name: str) -> None:
    content = b"3\nwater\nO 0 0 0.1\nH 0.7 0 -0.5\nH -0.7 0 -0.5\n"
    read = read_cloud(written(tmp_path, name, gzip.compress(content) if name.endswith("gz") else content))
    assert read.fields["number"].tolist() == [8, 1, 1]
    assert read.fields["symbol"].tolist() == ["O", "H", "H"]
    assert read.units == "Angstrom"
    assert read.weights is None
    assert read.points[1].tolist() == [0.7, 0, -0.5]


def test_a_count_before_points_is_not_chemistry(tmp_path: Path) -> None:
    read = read_cloud(written(tmp_path, "a.xyz", "3\n" + rows()))
    assert read.units is None
    assert len(read) == 3


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (rows() + "1 2\n", 4, "3 numbers were expected in this line, and there are 2"),
        ("# c\n\n" + rows() + "1 2 three\n", 6, "'three' is no number"),
        ("3\n1 2 3\n4 5 6\n", 3, "3 points are announced and 2 follow"),
        ("1 2\n3 4\n", 1, "three coordinates are needed"),
        ("name,value\na,1\n", 1, "neither a row of numbers nor names"),
        ("x,y,z,i\n1,2,3\n", 2, "4 columns are named and the first row has 3"),
        ("x,y,z,c\n1,2,3,a\n1,b,3,a\n", 3, "'b' is no number"),
        ("# nothing\n", 2, "no rows of numbers"),
        ("1 2 3\n4 5 6\n\n1_0 2 3\n", 4, "is no number"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path: Path, content: str, line: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_cloud(written(tmp_path, "a.csv", content))
    assert caught.value.where.file == tmp_path / "a.csv"
    assert caught.value.where.line == line


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="byte 8: this is not text") as caught:
        read_cloud(written(tmp_path, "a.xyz", b"1 2 3\n4 \x00\x01\x02"))
    assert caught.value.where.line == 2


def test_numbers_that_are_none_stay(tmp_path: Path) -> None:
    read = read_cloud(written(tmp_path, "a.xyz", "1 2 3\nnan NaN 1\n-inf 1 2\n1.#QNAN 0 -nan(ind)\n"))
    assert np.isfinite(read.points).all(axis=1).tolist() == [True, False, False, False]


def test_written_text_names_its_columns_only_where_it_must(tmp_path: Path) -> None:
    write_cloud(plain_cloud(), tmp_path / "plain.xyz")
    assert (np.loadtxt(tmp_path / "plain.xyz") == plain_cloud().points).all()
    write_cloud(full_cloud(), tmp_path / "full.xyz")
    assert np.loadtxt(tmp_path / "full.xyz").shape == (60, 13)
    write_cloud(full_cloud(), tmp_path / "normals.xyzn")
    assert np.loadtxt(tmp_path / "normals.xyzn").shape == (60, 6)
    with pytest.raises(InputError, match="no normals"):
        write_cloud(plain_cloud(), tmp_path / "plain.xyzn")
    assert not (tmp_path / "plain.xyzn").exists()
