"""LAS and LAZ: scale, offset, dimensions and units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.cloud_las import unit_of_wkt
from eqcli.io.point_cloud import PointCloud, read_cloud, write_cloud
from tests.io.clouds import full_cloud, plain_cloud, written

laspy = pytest.importorskip("laspy")
pytest.importorskip("lazrs")

UTM = (
    'PROJCS["UTM",GEOGCS["WGS 84",UNIT["degree",0.0174532925199433]],PROJECTION["TM"],'
    'UNIT["metre",1,AUTHORITY["E",9001]]]'
)
FEET = 'PROJCS["X",GEOGCS["N",UNIT["degree",0.0174532925199433]],UNIT["US survey foot",0.304800609601219]]'
DEGREES = 'GEOGCS["WGS 84",DATUM["W",SPHEROID["W",6378137,298.25]],UNIT["degree",0.0174532925199433]]'
WKT2 = 'PROJCRS["a",BASEGEOGCRS["b",ANGLEUNIT["degree",0.0174]],CS[Cartesian,2],LENGTHUNIT["foot",0.3048]]'


def made(path: Path, wkt: str | None = None, points: int = 50, form: int = 3) -> np.ndarray:
    """A file as other programs write it; gives the positions that it states."""
    rng = np.random.default_rng(0)
    header = laspy.LasHeader(point_format=form, version="1.4")
    header.scales, header.offsets = np.full(3, 0.01), np.array([500_000.0, 4_000_000.0, 100.0])
    if wkt:
        header.vlrs.append(laspy.vlrs.known.WktCoordinateSystemVlr(wkt))
    las = laspy.LasData(header)
    las.X, las.Y, las.Z = rng.integers(-10_000, 10_000, (3, points))
    las.intensity = rng.integers(0, 60_000, points)
    las.classification = rng.integers(0, 20, points)
    if form == 3:
        las.red, las.green, las.blue = rng.integers(0, 256, (3, points)) * 256
    las.write(path)
    return np.stack([las.X, las.Y, las.Z], axis=1) * 0.01 + header.offsets


@pytest.mark.parametrize("name", ["a.las", "a.laz"])
def test_files_of_other_programs(tmp_path: Path, name: str) -> None:
    points = made(tmp_path / name, UTM)
    read = read_cloud(tmp_path / name)
    assert np.allclose(read.points, points, rtol=0, atol=1e-6)
    assert read.units == "m"
    stored = laspy.read(tmp_path / name)
    assert read.intensity is not None
    assert (read.intensity == stored.intensity).all()
    assert (read.fields["classification"] == stored.classification).all()
    assert read.colours is not None
    assert np.abs(read.colours[:, 0].astype(int) - np.asarray(stored.red) // 256).max() <= 1
    assert "gps_time" not in read.fields


@pytest.mark.parametrize(
    ("wkt", "unit", "degrees"),
    [
        (UTM, "m", False),
        (FEET, "us-ft", False),
        (WKT2, "ft", False),
        (DEGREES, None, True),
        (f'COMPD_CS["c",{FEET},VERT_CS["v",UNIT["metre",1]]]', "us-ft", False),
        ('PROJCS["X",UNIT["fathom",1.8288]]', None, False),
        ("nonsense", None, False),
    ],
)
def test_units_of_coordinate_systems(tmp_path: Path, wkt: str, unit: str | None, degrees: bool) -> None:
    assert unit_of_wkt(wkt) == (unit, degrees)
    made(tmp_path / "a.las", wkt)
    read = read_cloud(tmp_path / "a.las")
    assert read.units == unit
    assert any("degrees" in note for note in read.notes) == degrees


def test_without_a_coordinate_system_there_is_no_unit(tmp_path: Path) -> None:
    made(tmp_path / "a.las", form=0)
    read = read_cloud(tmp_path / "a.las")
    assert read.units is None
    assert read.colours is None


@pytest.mark.parametrize("name", ["a.las", "a.laz"])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_positions_are_kept_to_a_billionth_of_the_extent(tmp_path: Path, name: str, size: float) -> None:
    cloud = PointCloud(plain_cloud().points * size + 3 * size, units="m")
    write_cloud(cloud, tmp_path / name)
    read = read_cloud(tmp_path / name)
    # Steps are rounded up to a power of ten, and rounding is half a step.
    assert np.abs(read.points - cloud.points).max() <= 5.1e-9 * np.ptp(cloud.points, axis=0).max()
    assert read.units == "m"


def test_compression_makes_it_smaller(tmp_path: Path) -> None:
    write_cloud(full_cloud(2000), tmp_path / "a.las")
    write_cloud(full_cloud(2000), tmp_path / "a.laz")
    assert (tmp_path / "a.laz").stat().st_size < (tmp_path / "a.las").stat().st_size


def test_points_that_are_none_are_not_written(tmp_path: Path) -> None:
    cloud = plain_cloud()
    cloud.points[3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        write_cloud(cloud, tmp_path / "a.las")


@pytest.mark.parametrize("name", ["a.las", "a.laz"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_files_that_end_early(tmp_path: Path, name: str, share: float) -> None:
    made(tmp_path / name, UTM, points=400)
    content = (tmp_path / name).read_bytes()
    with pytest.raises(InputError, match="byte"):
        read_cloud(written(tmp_path, f"cut{name}", content[: int(len(content) * share)]))


def test_another_file_named_las(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="begins with LASF"):
        read_cloud(written(tmp_path, "a.las", b"1 2 3\n"))
