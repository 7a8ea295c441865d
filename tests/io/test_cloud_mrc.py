"""Density maps as weighted points: places, thresholds, damage."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.cloud_mrc import otsu_threshold
from eqcli.io.point_cloud import PointCloud, read_cloud
from tests.io.clouds import written

mrcfile = pytest.importorskip("mrcfile")


def blob(shape: tuple[int, int, int], centre: tuple[float, float, float], width: float = 2.0) -> np.ndarray:
    """A Gaussian around `centre` (x, y, z in voxels), in an array [z, y, x]."""
    z, y, x = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
    return np.exp(-squared / (2 * width**2)).astype(np.float32)


def saved(path: Path, data: np.ndarray, voxel: float | tuple[float, float, float] = 1.0, **header: Any) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        file.voxel_size = voxel
        for name, value in header.items():
            file.header[name] = value
    return path


def centre(cloud: PointCloud) -> np.ndarray:
    assert cloud.weights is not None
    return np.average(cloud.points, axis=0, weights=cloud.weights)


def test_points_lie_where_the_density_is(tmp_path: Path) -> None:
    read = read_cloud(saved(tmp_path / "a.mrc", blob((20, 24, 30), (12, 9, 8)), (1.5, 2.0, 2.5)))
    assert centre(read) == pytest.approx([12 * 1.5, 9 * 2.0, 8 * 2.5], abs=1e-6)
    assert read.units == "Angstrom"
    assert read.weights is not None
    assert read.weights.max() == pytest.approx(1)
    assert "threshold of Otsu" in read.notes[0]
    # All points above the level, and no other: a ball.
    level = read.weights.min()
    expected = blob((20, 24, 30), (12, 9, 8)) >= np.float32(level)
    assert len(read) == expected.sum()


def test_the_origin_counts_and_otherwise_the_start(tmp_path: Path) -> None:
    data = blob((20, 20, 20), (9, 9, 9))
    with_origin = saved(tmp_path / "a.mrc", data, 2.0, nxstart=5)
    with mrcfile.open(with_origin, mode="r+") as file:
        file.header.origin = (10.0, 20.0, 30.0)
    assert centre(read_cloud(with_origin)) == pytest.approx([28, 38, 48], abs=1e-6)
    with_start = saved(tmp_path / "b.mrc", data, 2.0, nxstart=5, nystart=-3, nzstart=1)
    assert centre(read_cloud(with_start)) == pytest.approx([28, 12, 20], abs=1e-6)


def test_axes_in_another_order_are_the_same_map(tmp_path: Path) -> None:
    data = blob((20, 24, 30), (12, 9, 8))
    plain = read_cloud(saved(tmp_path / "a.mrc", data, 1.5))
    # Columns along z, rows along x, sections along y: the array is [y, x, z].
    turned = saved(tmp_path / "b.mrc", data.transpose(1, 2, 0), 1.5, mapc=3, mapr=1, maps=2, mx=30, my=24, mz=20)
    with mrcfile.open(turned, mode="r+") as file:
        file.header.cella = (45.0, 36.0, 30.0)
    read = read_cloud(turned)
    assert {tuple(p) for p in read.points.round(6)} == {tuple(p) for p in plain.points.round(6)}


def test_oblique_cells(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.mrc", blob((16, 16, 16), (8, 6, 7)), 1.0)
    with mrcfile.open(path, mode="r+") as file:
        file.header.cellb = (90.0, 120.0, 90.0)
    # c leans against a: z of the grid is (cos 120, 0, sin 120).
    assert centre(read_cloud(path)) == pytest.approx([8 - 7 / 2, 6, 7 * np.sqrt(3) / 2], abs=1e-5)


def test_zeros_around_the_molecule_do_not_change_the_points(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = blob((20, 20, 20), (9, 9, 9)) + 0.05 * rng.random((20, 20, 20)).astype(np.float32)
    tight = read_cloud(saved(tmp_path / "a.mrc", data))
    wide = read_cloud(saved(tmp_path / "b.mrc", np.pad(data, 15), nxstart=-15, nystart=-15, nzstart=-15))
    assert np.allclose(tight.points, wide.points)


def test_the_threshold_divides_two_classes() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(1, 0.1, 900), rng.normal(3, 0.1, 300)])
    assert 1.4 < otsu_threshold(values) < 2.6
    assert otsu_threshold(np.full(5, 2.0)) < 2


@pytest.mark.parametrize("kind", ["i1", "i2", "u2", "f2"])
def test_other_types_of_numbers(tmp_path: Path, kind: str) -> None:
    data = (blob((12, 12, 12), (6, 5, 4)) * 100).astype(kind)
    assert centre(read_cloud(saved(tmp_path / "a.map", data))) == pytest.approx([6, 5, 4], abs=0.05)


def test_compressed_and_under_another_name(tmp_path: Path) -> None:
    content = saved(tmp_path / "a.mrc", blob((12, 12, 12), (6, 5, 4))).read_bytes()
    plain = read_cloud(tmp_path / "a.mrc")
    assert (read_cloud(written(tmp_path, "a.map.gz", gzip.compress(content))).points == plain.points).all()
    other = read_cloud(written(tmp_path, "a.ccp4", content))
    assert (other.points == plain.points).all()


def test_what_is_no_map(tmp_path: Path) -> None:
    content = saved(tmp_path / "a.mrc", blob((12, 12, 12), (6, 5, 4))).read_bytes()
    with pytest.raises(InputError, match="ends early"):
        read_cloud(written(tmp_path, "b.mrc", content[:-100]))
    with pytest.raises(InputError, match="1024 bytes"):
        read_cloud(written(tmp_path, "c.mrc", content[:500]))
    with pytest.raises(InputError, match="no positive density"):
        read_cloud(saved(tmp_path / "d.mrc", -blob((6, 6, 6), (3, 3, 3))))
    with pytest.raises(InputError, match="one volume of real numbers"):
        read_cloud(saved(tmp_path / "e.mrc", blob((6, 6, 6), (3, 3, 3)).astype(np.complex64)))
    with pytest.raises(InputError, match="2 dimensions"):
        read_cloud(saved(tmp_path / "f.mrc", np.ones((6, 6), dtype=np.float32)))
    with pytest.raises(InputError, match="no size of a voxel"):
        read_cloud(saved(tmp_path / "g.mrc", blob((6, 6, 6), (3, 3, 3)), 0.0))
