"""PCD: ascii, binary and compressed; packed colours, organised clouds, damage."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.cloud_lzf import LzfError, decompress
from eqcli.io.point_cloud import PointCloud, cleaned, read_cloud, write_cloud
from tests.io.clouds import compress, full_cloud, pcd, plain_cloud, written


def text_of(points: np.ndarray) -> str:
    return "".join(" ".join(repr(float(v)) for v in row) + "\n" for row in points)


def compressed(columns: list[np.ndarray]) -> bytes:
    plain = b"".join(c.tobytes() for c in columns)
    packed = compress(plain)
    return np.array([len(packed), len(plain)], dtype="<u4").tobytes() + packed


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_points_in_every_form(tmp_path: Path, data: str) -> None:
    points = plain_cloud(40).points.astype("<f4")
    points[10:30] = points[3]
    rows = {
        "ascii": text_of(points),
        "binary": points.tobytes(),
        "binary_compressed": compressed(list(points.T.copy())),
    }
    read = read_cloud(written(tmp_path, "a.pcd", pcd(data, rows[data], 40)))
    assert (read.points == points).all()
    assert read.viewpoint is not None
    assert read.viewpoint.tolist() == [0, 0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("seed", range(6))
def test_decompression_undoes_compression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = rng.integers(0, 2 ** (seed + 1), 3000, dtype=np.uint8).tobytes() + b"ab" * 500 + bytes(700)
    packed = compress(plain)
    assert len(packed) < len(plain)
    assert decompress(packed, len(plain)) == plain


def test_decompression_refuses_what_is_damaged() -> None:
    plain = b"abcabcabcabc" * 20
    packed = compress(plain)
    for size in (len(plain) - 1, len(plain) + 1):
        with pytest.raises(LzfError):
            decompress(packed, size)
    with pytest.raises(LzfError):
        decompress(packed[:-1], len(plain))
    with pytest.raises(LzfError, match="before the first"):
        decompress(bytes([0, 65, 32, 9]), 10)


def test_300_000_points_are_decompressed_quickly() -> None:
    plain = np.random.default_rng(0).normal(size=300_000 * 3).astype("<f4").tobytes()
    packed = b"".join(bytes([len(plain[i : i + 32]) - 1]) + plain[i : i + 32] for i in range(0, len(plain), 32))
    start = time.perf_counter()
    assert decompress(packed, len(plain)) == plain
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    ("data", "kind"),
    [("ascii as integer", "F"), ("ascii as integer", "U"), ("ascii as float", "F"), ("binary", "F"), ("binary", "U")],
)
def test_packed_colours(tmp_path: Path, data: str, kind: str) -> None:
    cloud = full_cloud(30)
    assert cloud.colours is not None
    red, green, blue = cloud.colours.astype(np.uint32).T
    bits = red << 16 | green << 8 | blue
    points = cloud.points.astype("<f4")
    if data == "binary":
        rows: bytes | str = np.column_stack([points, bits.view("<f4")]).astype("<f4").tobytes()
    else:
        words = bits if data.endswith("integer") else [repr(float(v)) for v in bits.view("<f4")]
        rows = "".join(f"{p[0]} {p[1]} {p[2]} {w}\n" for p, w in zip(points, words, strict=True))
    content = pcd(data.split()[0], rows, 30, "x y z rgb", TYPE=f"F F F {kind}")
    assert (read_cloud(written(tmp_path, "a.pcd", content)).colours == cloud.colours).all()


def test_opacity_padding_and_fields_of_several_numbers(tmp_path: Path) -> None:
    kind = np.dtype(
        [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("_", "u1", (4,)), ("rgba", "<u4"), ("fpfh", "<f4", (5,))]
    )
    rows = np.zeros(7, dtype=kind)
    rows["z"], rows["rgba"], rows["fpfh"] = np.arange(7), 0x80_0A_0B_0C, np.arange(35).reshape(7, 5)
    content = pcd(
        "binary", rows.tobytes(), 7, "x y z _ rgba fpfh", SIZE="4 4 4 1 4 4", TYPE="F F F U U F", COUNT="1 1 1 4 1 5"
    )
    read = read_cloud(written(tmp_path, "a.pcd", content))
    assert read.colours is not None
    assert read.colours[3].tolist() == [10, 11, 12]
    assert (read.fields["alpha"] == 128).all()
    assert (read.fields["fpfh"] == rows["fpfh"]).all()
    assert "_" not in read.fields


def test_an_organised_cloud_keeps_its_gaps_until_it_is_cleaned(tmp_path: Path) -> None:
    points = plain_cloud(12).points.astype("<f4")
    points[[2, 7]] = np.nan
    for data, rows in (("binary", points.tobytes()), ("ascii", text_of(points))):
        read = read_cloud(written(tmp_path, "a.pcd", pcd(data, rows, 12, WIDTH="4", HEIGHT="3")))
        assert len(read) == 12
        assert "organised cloud, 4 wide and 3 high" in read.notes[0]
        clean = cleaned(read)
        assert (clean.points == np.delete(points, [2, 7], axis=0)).all()
        assert clean.notes[-1].endswith("not finite were left out: 2")


def test_points_far_from_the_origin_are_written_as_doubles(tmp_path: Path) -> None:
    for shift, size in ((0.0, "4"), (5e6, "8")):
        cloud = PointCloud(np.random.default_rng(0).normal(size=(50, 3)) + shift)
        write_cloud(cloud, tmp_path / "a.pcd")
        assert f"SIZE {size} {size} {size}".encode() in (tmp_path / "a.pcd").read_bytes()
        assert np.abs(read_cloud(tmp_path / "a.pcd").points - cloud.points).max() < 1e-6


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        ({"POINTS": "9"}, 10, "POINTS is 9, and WIDTH times HEIGHT is 8"),
        ({"WIDTH": "eight"}, 7, "WIDTH needs 1 whole numbers"),
        ({"SIZE": "4 4"}, 4, "SIZE needs 3 whole numbers"),
        ({"SIZE": "4 4 3"}, 5, "TYPE and SIZE"),
        ({"TYPE": "F F"}, 5, "TYPE and SIZE"),
        ({"COUNT": "1 1 99999999999"}, 6, "COUNT is from 1"),
        ({"VIEWPOINT": "0 0 0 1"}, 9, "7 numbers were expected"),
        ({"FIELDS": "x y w"}, None, "no columns x, y and z"),
        ({"VERSION": "0.7\nNONSENSE 1"}, 3, "'NONSENSE' is no line of a PCD header"),
    ],
)
def test_damaged_headers(tmp_path: Path, change: dict[str, str], line: int | None, message: str) -> None:
    content = pcd("binary", plain_cloud(8).points.astype("<f4").tobytes(), 8, **change)
    with pytest.raises(InputError, match=message) as caught:
        read_cloud(written(tmp_path, "a.pcd", content))
    assert caught.value.where.line == line


def test_files_that_end_early(tmp_path: Path) -> None:
    points = plain_cloud(8).points.astype("<f4")
    whole = pcd("binary", points.tobytes(), 8)
    with pytest.raises(InputError, match=rf"byte {len(whole) - 7}: the file ends after 7 of the 8 points"):
        read_cloud(written(tmp_path, "a.pcd", whole[:-7]))
    with pytest.raises(InputError, match="7 of the 8 points") as caught:
        read_cloud(written(tmp_path, "b.pcd", pcd("ascii", text_of(points[:7]), 8)))
    assert caught.value.where.line == 19
    whole = pcd("binary_compressed", compressed(list(points.T.copy())), 8)
    with pytest.raises(InputError, match="compressed bytes"):
        read_cloud(written(tmp_path, "c.pcd", whole[:-9]))
    with pytest.raises(InputError, match="no line DATA"):
        read_cloud(written(tmp_path, "d.pcd", whole[:60]))


def test_a_bad_row_of_text_is_named(tmp_path: Path) -> None:
    rows = text_of(plain_cloud(8).points).split("\n")
    rows[5] = "0.1 0.2"
    with pytest.raises(InputError, match="3 numbers were expected") as caught:
        read_cloud(written(tmp_path, "a.pcd", pcd("ascii", "\n".join(rows), 8)))
    assert caught.value.where.line == 11 + 6
