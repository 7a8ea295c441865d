"""Drawn pairs: truth, overlap, symmetry, reproducibility and independence of the two clouds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from eqcli.data.pair_drawn import Disturbance, random_motion
from eqcli.data.pair_generation import DrawnPair, PairSource
from eqcli.data.pair_scenes import room, street
from eqcli.data.pair_shapes import symmetric_shape
from eqcli.data.pair_surfaces import complete_shape, measured_overlap, outward
from eqcli.errors import InputError
from eqcli.io.point_cloud import PointCloud, write_cloud

CLEAN = {"noise": (0.0, 0.0), "outliers": 0.0}


def small(**settings) -> PairSource:
    return PairSource(**{"kinds": {"object": 1.0}, "voxels": (900, 1200), "pool": 3, **settings})


def moved(pair: DrawnPair) -> np.ndarray:
    return pair.source @ pair.truth[:3, :3].T + pair.truth[:3, 3]


@pytest.mark.parametrize("view", ["crop", "sight"])
def test_truth_and_overlap(view: str) -> None:
    source = small(views={view: 1.0}, overlap=(0.2, 0.7), **CLEAN)
    for seed in range(8):
        pair = source.draw(np.random.default_rng(seed))
        assert 0.2 <= pair.overlap <= 0.7
        assert measured_overlap(moved(pair), pair.target) == pytest.approx(pair.overlap, abs=0.005)
        assert np.allclose(pair.truth[:3, :3] @ pair.truth[:3, :3].T, np.eye(3))
        assert np.linalg.det(pair.truth[:3, :3]) == pytest.approx(1.0)
        assert pair.kind == f"object/{view}"
        assert pair.source.dtype == pair.target.dtype == np.float32


def test_overlaps_spread_over_the_range() -> None:
    source = small(overlap=(0.1, 0.8))
    overlaps = [source.draw(np.random.default_rng(seed)).overlap for seed in range(30)]
    counts, _ = np.histogram(overlaps, 3, (0.1, 0.8))
    assert counts.min() >= 4


@pytest.mark.parametrize("kind", ["object", "scene", "outdoor"])
def test_same_generator_same_pair_whatever_was_drawn(kind: str) -> None:
    settings = {"kinds": {kind: 1.0}, "pool": 1}
    fresh, used = small(**settings), small(**settings)
    for seed in range(1):
        used.draw(np.random.default_rng(seed), turn=500)
    first, second = (source.draw(np.random.default_rng(9), turn=7) for source in (fresh, used))
    assert np.array_equal(first.source, second.source)
    assert np.array_equal(first.target, second.target)
    assert np.array_equal(first.truth, second.truth)


def test_seed_and_turn_change_the_shapes() -> None:
    base = small(pool=1, uses=2)
    first = base.draw(np.random.default_rng(0))
    for other in (small(pool=1, uses=2, seed=1).draw(np.random.default_rng(0)), base.draw(np.random.default_rng(0), 2)):
        assert first.source.shape != other.source.shape or not np.array_equal(first.source, other.source)


def test_no_point_is_in_both_clouds() -> None:
    pair = small(overlap=(0.5, 0.8), **CLEAN).draw(np.random.default_rng(0))
    distance, _ = cKDTree(moved(pair)).query(pair.target)
    assert (distance < 1e-4).mean() < 0.01


def test_small_rotations_are_obeyed() -> None:
    rng = np.random.default_rng(0)
    angles = [np.degrees(np.arccos((np.trace(random_motion(rng, 30.0)[:3, :3]) - 1) / 2)) for _ in range(200)]
    assert max(angles) <= 30.0
    assert max(angles) > 25.0


def test_noise_and_outliers() -> None:
    views = np.random.default_rng(0).uniform(0, 30, (2, 4000, 3))
    pair = Disturbance(noise=(0.2, 0.2), outliers=0.0).drawn((views[0], views[1]), 0.5, "", np.random.default_rng(1))
    clean = Disturbance(noise=(0.0, 0.0), outliers=0.0).drawn((views[0], views[1]), 0.5, "", np.random.default_rng(1))
    distance, _ = cKDTree(clean.target).query(pair.target)
    assert 0.1 < np.median(distance) < 0.6
    many = Disturbance(noise=(0.0, 0.0), outliers=0.5).drawn((views[0], views[1]), 0.5, "", np.random.default_rng(1))
    assert len(many.source) > 4000


def test_symmetries_stand_in_the_frame_of_the_target() -> None:
    rng = np.random.default_rng(1)
    complete = complete_shape("object", symmetric_shape(rng, 20000), 1500, rng)
    assert complete.symmetries is not None
    points = complete.points.astype(np.float64)
    disturbance = Disturbance((0.0, 0.0), 0.0)
    pair = disturbance.drawn((points, points), 1.0, "", rng, symmetries=complete.symmetries, scale=0.5)
    assert pair.symmetries is not None
    tree = cKDTree(pair.target)
    for motion in pair.symmetries[:: max(1, len(pair.symmetries) // 6)]:
        turned = pair.target @ motion[:3, :3].T + motion[:3, 3]
        assert np.quantile(tree.query(turned)[0], 0.98) < 0.5
        # A true motion followed by a symmetry is as good.
        distance, _ = tree.query(moved(replace(pair, truth=motion @ pair.truth)))
        assert np.quantile(distance, 0.98) < 0.5


@pytest.mark.parametrize("kind", ["object", "scene", "outdoor"])
def test_kinds(kind: str) -> None:
    source = small(kinds={kind: 1.0}, pool=1)
    pair = source.draw(np.random.default_rng(0))
    assert pair.kind.startswith(kind)
    assert min(len(pair.source), len(pair.target)) >= source.points[0]
    assert max(len(pair.source), len(pair.target)) <= source.points[1] * 1.05
    assert measured_overlap(moved(pair), pair.target) == pytest.approx(pair.overlap, abs=0.15)


def test_objects_occupy_about_the_voxels_asked_for() -> None:
    source = PairSource(kinds={"object": 1.0}, voxels=(2000, 2001), pool=4)
    occupied = [len(source._shape(slot, 0).coarse) for slot in range(4)]
    assert 1300 < np.median(occupied) < 2900


def test_bare_walls_are_not_shared_alone() -> None:
    source = small(kinds={"scene": 1.0}, overlap=(0.1, 0.3), pool=2, **CLEAN)
    for seed in range(4):
        pair = source.draw(np.random.default_rng(seed))
        distance, _ = cKDTree(pair.target).query(moved(pair))
        shared = moved(pair)[distance < 2]
        spread = np.linalg.svd(shared - shared.mean(0), compute_uv=False) / np.sqrt(len(shared))
        assert spread[2] > 0.3  # A plane has none.


def test_firmness_of_a_plane_and_of_a_corner() -> None:
    rng = np.random.default_rng(0)
    scene = room(rng, 30000)
    complete = complete_shape("scene", scene.shape, 3000, rng, scene.stations)
    normals, points = complete.normals[complete.coarse], complete.points[complete.coarse]
    every = np.ones(len(points), dtype=bool)
    floor = (normals[:, 2] > 0.99) & (points[:, 2] < points[:, 2].min() + 0.5)
    assert complete.firmness(floor, floor) == pytest.approx(0.0, abs=1e-3)
    assert complete.firmness(every, every) > 0.01


def test_scans_thin_with_distance() -> None:
    rng = np.random.default_rng(0)
    scene = street(rng, 2000)
    assert scene.stations.shape == (25, 3)
    source = PairSource(kinds={"outdoor": 1.0}, pool=1, outliers=0.0, noise=(0.0, 0.0))
    pair = source.draw(np.random.default_rng(1))
    distance, _ = cKDTree(pair.source).query(pair.source, 2)
    gap = distance[:, 1]
    assert np.quantile(gap, 0.95) > 4 * np.quantile(gap, 0.05)


def test_outward_turns_normals_about_and_gives_up_on_open_surfaces() -> None:
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(4000, 3))
    ball /= np.linalg.norm(ball, axis=-1, keepdims=True)
    points = ball * 12
    for sign in (1.0, -3.0):
        found = outward(points, sign * ball, rng)
        assert found is not None
        assert np.allclose(found, ball)
    sheet = np.column_stack([rng.uniform(0, 30, (4000, 2)), np.zeros(4000)])
    assert outward(sheet, np.tile([0.0, 0.0, 1.0], (4000, 1)), rng) is None


def test_files(tmp_path) -> None:
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(20000, 3)) * [1, 0.7, 0.4]
    ball /= np.linalg.norm(ball, axis=-1, keepdims=True)
    path = tmp_path / "stone.npy"
    write_cloud(PointCloud(ball * [3.0, 2.0, 1.0] + 100), path)
    source = PairSource(kinds={"file": 1.0}, files=[path], voxels=(1500, 1600), pool=1, in_voxels=False)
    pair = source.draw(np.random.default_rng(0))
    assert pair.kind == "file:stone/crop"
    assert np.ptp(pair.source, axis=0).max() < 10  # In the unit of the file.
    assert 0.05 < pair.voxel < 0.5


def test_bad_requests_are_told(tmp_path) -> None:
    with pytest.raises(InputError, match="no files"):
        PairSource(kinds={"file": 1.0})
    with pytest.raises(InputError, match="no kind"):
        PairSource(kinds={"objects": 1.0})
    path = tmp_path / "few.npy"
    write_cloud(PointCloud(np.random.default_rng(0).normal(size=(50, 3))), path)
    with pytest.raises(InputError, match="no two views"):
        PairSource(kinds={"file": 1.0}, files=[path], pool=1).draw(np.random.default_rng(0))
