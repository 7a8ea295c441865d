"""Units of clouds, and scales that differ by a mistaken unit."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.cloud_units import METRES, in_like_units, in_units, scale_note
from eqcli.io.point_cloud import PointCloud


def surface(count: int, size: float = 1.0, seed: int = 0) -> PointCloud:
    """Points of an ellipsoid."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    return PointCloud(points / np.linalg.norm(points, axis=1, keepdims=True) * [1, 0.7, 0.4] * size)


@pytest.mark.parametrize("factor", [1000, 100, 10, 25.4, 304.8])
@pytest.mark.parametrize("off", [0.9, 1.0, 1.1])
def test_a_factor_of_units_is_noticed_either_way(factor: float, off: float) -> None:
    small, large = surface(3000), surface(3000, factor * off, seed=1)
    first, second = scale_note(small, large), scale_note(large, small)
    assert first is not None
    assert second is not None
    assert f"differ by {factor:g} " in first
    assert first.startswith("the target is")
    assert second.startswith("the source is")


def test_half_the_points_and_other_points_do_not_hide_it() -> None:
    assert scale_note(surface(1500), surface(3000, 1000, seed=1)) is not None
    assert scale_note(surface(20_000), surface(3000, 1000, seed=1)) is not None


@pytest.mark.parametrize("factor", [1, 1.5, 3, 5, 15, 50, 500, 3000])
def test_other_ratios_are_not(factor: float) -> None:
    assert scale_note(surface(3000), surface(3000, factor, seed=1)) is None


@pytest.mark.parametrize("factor", [10, 25.4, 100, 304.8])
def test_a_small_object_in_a_large_scene_is_no_mistake(factor: float) -> None:
    # The same scanner: the scene is larger by the very factor, and its points lie as far apart as the object's.
    strips = [np.stack(np.meshgrid(np.arange(n), np.arange(4)), axis=-1).reshape(-1, 2) for n in (100, 100 * factor)]
    item, scene = (PointCloud(np.column_stack([strip, np.zeros(len(strip))])) for strip in strips)
    assert scale_note(item, scene) is None
    assert scale_note(scene, item) is None
    # Three times coarser is still no factor of ten or more.
    coarse = PointCloud(scene.points[np.arange(len(scene)) % 3 == 0] * [1, 3, 1])
    assert scale_note(item, coarse) is None


def test_a_thinned_cloud_is_no_mistake() -> None:
    dense, thin = surface(40_000), surface(400, seed=1)
    assert scale_note(dense, thin) is None


def test_a_few_far_points_do_not_count() -> None:
    large = surface(3000, 1000, seed=1)
    small = surface(3000)
    small.points[:5] = 1e7
    large.points[:5] = np.nan
    note = scale_note(small, large)
    assert note is not None
    assert "1000" in note


def test_stated_units_are_believed() -> None:
    small, large = surface(3000), surface(3000, 1000, seed=1)
    small.units, large.units = "m", "mm"
    assert scale_note(small, large) is None
    large.units = None
    assert scale_note(small, large) is not None


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.zeros((5, 3)), np.full((5, 3), np.nan)])
def test_clouds_without_extent_say_nothing(points: np.ndarray) -> None:
    assert scale_note(PointCloud(points), surface(100)) is None
    assert scale_note(surface(100), PointCloud(points)) is None


@pytest.mark.parametrize("unit", METRES)
def test_conversion_and_back(unit: str) -> None:
    cloud = PointCloud(np.eye(3), np.eye(3), viewpoint=np.array([1, 2, 3, 1, 0, 0, 0.0]))
    there = in_units(cloud, "m", unit)
    assert there.units == unit
    assert there.points == pytest.approx(np.eye(3) / METRES[unit])
    assert (there.normals == cloud.normals).all()
    assert there.viewpoint == pytest.approx([*np.array([1, 2, 3]) / METRES[unit], 1, 0, 0, 0])
    assert in_units(there, unit, "m").points == pytest.approx(np.eye(3))
    assert (cloud.points == np.eye(3)).all()


def test_known_conversions() -> None:
    one = PointCloud(np.ones((1, 3)))
    assert in_units(one, "in", "mm").points[0, 0] == pytest.approx(25.4)
    assert in_units(one, "ft", "in").points[0, 0] == pytest.approx(12)
    assert in_units(one, "nm", "Angstrom").points[0, 0] == pytest.approx(10)
    assert in_units(one, "ft", "mm").points[0, 0] == pytest.approx(304.8)
    assert in_units(one, "um", "cm").points[0, 0] == pytest.approx(1e-4)


def test_different_stated_units_are_converted_with_a_note() -> None:
    source, target = PointCloud(np.eye(3), units="mm"), PointCloud(np.eye(3), units="m")
    like = in_like_units(source, target)
    assert like.units == "m"
    assert like.points == pytest.approx(np.eye(3) / 1000)
    assert like.notes == ["converted from mm to m: lengths times 0.001"]
    assert source.notes == []
    assert in_like_units(PointCloud(np.eye(3)), target).units is None


def test_unknown_units_are_refused() -> None:
    with pytest.raises(InputError, match="'parsec' is no unit of length"):
        in_units(PointCloud(np.eye(3)), "parsec", "m")
