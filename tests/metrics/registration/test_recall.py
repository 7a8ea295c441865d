"""The published rules of recall, against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eqcli.metrics.registration.errors import FloatArray, MotionErrors, displacements, moved
from eqcli.metrics.registration.matches import inlier_ratio, right_matches
from eqcli.metrics.registration.recall import (
    RULES,
    information_rmse,
    match_rmse,
    successes,
    thresholds,
    true_matches,
)
from tests.metrics.registration.test_errors import motion, turn


def information_of(points: FloatArray) -> FloatArray:
    """The matrix of points of the target by its definition, one point after the other."""
    total = np.zeros((6, 6))
    for x, y, z in points:
        row = np.array([[1, 0, 0, 0, z, -y], [0, 1, 0, -z, 0, x], [0, 0, 1, y, -x, 0]], dtype=np.float64)
        total += row.T @ row
    return total


def small(seed: int, degrees: float, shift: float) -> FloatArray:
    rng = np.random.default_rng(seed)
    found = turn(rng.normal(size=3), degrees, np.zeros(3))
    found[:3, 3] = shift * rng.normal(size=3)
    return found


def test_true_matches_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    truth = motion(1)
    source, target = rng.uniform(size=(60, 3)), moved(rng.uniform(size=(80, 3)), truth)
    expected = []
    for i, p in enumerate(source):
        apart = [float(np.linalg.norm(truth[:3, :3] @ p + truth[:3, 3] - q)) for q in target]
        if min(apart) < 0.2:
            expected.append([i, int(np.argmin(apart))])
    assert 0 < len(expected) < 60
    assert true_matches(source, target, truth, 0.2).tolist() == expected


def test_the_rmse_over_matches_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(2)
    p, q, estimate = rng.normal(size=(30, 3)), rng.normal(size=(30, 3)), motion(3)
    squares = [float(((estimate[:3, :3] @ a + estimate[:3, 3] - b) ** 2).sum()) for a, b in zip(p, q, strict=True)]
    assert match_rmse(estimate, p, q) == pytest.approx(np.sqrt(np.mean(squares)))
    assert np.isnan(match_rmse(estimate, p[:0], q[:0]))


def test_the_matrix_gives_the_distance_of_a_translation_exactly() -> None:
    points = np.random.default_rng(4).normal(size=(100, 3)) + np.array([0.0, 0.0, 2.0])
    shifted = np.eye(4)
    shifted[:3, 3] = [0.03, -0.1, 0.2]
    assert information_rmse(shifted, np.eye(4), information_of(points)) == pytest.approx(np.linalg.norm(shifted[:3, 3]))


def test_the_published_rule_sees_half_of_a_turn() -> None:
    points = np.random.default_rng(5).normal(size=(200, 3))
    points -= points.mean(axis=0)
    turned = turn(np.array([1.0, 2.0, 3.0]), 1.0, np.zeros(3))
    exact = np.sqrt((displacements(turned, np.eye(4), points) ** 2).mean())
    assert information_rmse(turned, np.eye(4), information_of(points)) == pytest.approx(0.5 * exact, rel=1e-3)


def test_the_matrix_with_the_whole_turn_in_the_frame_of_the_target_gives_the_distances() -> None:
    rng = np.random.default_rng(6)
    truth = motion(7)
    source = rng.normal(size=(150, 3))
    target = moved(source, truth)
    estimate = small(8, 0.5, 0.01) @ truth
    between = estimate @ np.linalg.inv(truth)
    error = np.concatenate([between[:3, 3], Rotation.from_matrix(between[:3, :3]).as_rotvec()])
    information = information_of(target)
    whole = np.sqrt(error @ information @ error / information[0, 0])
    assert whole == pytest.approx(match_rmse(estimate, source, target), rel=2e-2)


def test_thresholds_are_lengths_of_the_clouds() -> None:
    metric = thresholds(1000.0, 25.0)
    assert (metric.distance, metric.inlier, metric.true, metric.unit) == pytest.approx((200.0, 100.0, 50.0, 1000.0))
    assert metric.kitti["kitti-strict"] == pytest.approx((1.5, 300.0))
    free = thresholds(None, 0.5)
    assert (free.distance, free.inlier, free.true, free.unit) == pytest.approx((4.0, 2.0, 1.0, 0.5))
    assert free.kitti["kitti-finest"] == pytest.approx((1.0, 0.5 / 3))


def test_each_rule_has_its_own_figure() -> None:
    limits = thresholds(1.0, 0.025)
    near = successes(limits, MotionErrors(0.9, 0.09), displacement=0.19, rmse=0.19, published=0.19)
    assert near == dict.fromkeys(RULES, True)
    far = successes(limits, MotionErrors(1.4, 0.09), displacement=0.21, rmse=0.19, published=0.22)
    assert far == {
        "3dmatch": True, "3dmatch-info": False, "pare": False, "kitti-loose": True, "kitti-strict": True,
        "kitti-finest": False,
    }  # fmt: skip
    unknown = successes(limits, MotionErrors(6.0, 0.0), displacement=np.nan, rmse=np.nan, published=np.nan)
    assert [unknown[name] for name in ("3dmatch", "3dmatch-info", "pare")] == [None, None, None]
    assert not unknown["kitti-loose"]


def test_the_inlier_ratio_counts_right_matches() -> None:
    truth = motion(9)
    source = np.random.default_rng(9).normal(size=(10, 3))
    target = moved(source, truth)
    target[:7] += [0.0, 0.5, 0.0]
    target[7] += [0.0, 0.0, 0.09]
    assert right_matches(source, target, truth, 0.1) == 3
    assert inlier_ratio(source, target, truth, 0.1) == pytest.approx(0.3)
    assert np.isnan(inlier_ratio(source[:0], target[:0], truth, 0.1))


def test_matches_of_a_symmetric_object_are_right_by_the_best_symmetry() -> None:
    truth = motion(10)
    half = turn(np.array([0.0, 0.0, 1.0]), 180.0, np.array([1.0, 0.0, 0.0]))
    source = np.random.default_rng(10).normal(size=(10, 3))
    target = moved(source, truth)
    target[:6] = moved(source[:6], half @ truth)
    assert inlier_ratio(source, target, truth, 0.1) == pytest.approx(0.4)
    assert inlier_ratio(source, target, truth, 0.1, half[None]) == pytest.approx(0.6)


@pytest.fixture(scope="module")
def kitchen(shared: Path) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Source, target, truth and matrix of the pair 0-4 of the red kitchen."""
    from plyfile import PlyData

    folder = shared / "registration" / "fragments"

    def block(name: str, rows: int) -> FloatArray:
        text = (folder / "benchmark_gt" / "3DMatch" / "7-scenes-redkitchen" / name).read_text(encoding="utf-8")
        lines = text.splitlines()
        at = next(k for k in range(0, len(lines), rows + 1) if lines[k].split()[:2] == ["0", "4"])
        return np.array([[float(v) for v in line.split()] for line in lines[at + 1 : at + 1 + rows]])

    def points(number: int) -> FloatArray:
        vertices = PlyData.read(folder / f"redkitchen_cloud_bin_{number}.ply")["vertex"]
        return np.stack([vertices[axis] for axis in "xyz"], axis=1).astype(np.float64)

    return points(4), points(0), block("gt.log", 4), block("gt.info", 6)


def test_the_published_matrix_is_that_of_true_matches(
    kitchen: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
) -> None:
    source, target, truth, information = kitchen
    index = true_matches(source, target, truth, 0.05)
    rng = np.random.default_rng(0)
    chosen = target[index[rng.choice(len(index), 5000), 1]]
    found = information_of(chosen)
    # Moments of the shared surface: sampled alike, and not alike in the frame of the source or with twice the vector.
    assert found / 5000 == pytest.approx(information / information[0, 0], abs=0.6)
    assert found[0, 4] == pytest.approx(information[0, 4], rel=0.06)
    assert found[3, 3] == pytest.approx(information[3, 3], rel=0.1)
    other = information_of(source[index[rng.choice(len(index), 5000), 0]])
    assert abs(other[3, 3] / information[3, 3] - 1) > 0.2


def test_the_published_rule_against_brute_force(
    kitchen: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
) -> None:
    source, target, truth, information = kitchen
    index = true_matches(source, target, truth, 0.05)
    p, q = source[index[:, 0]], target[index[:, 1]]
    floor = match_rmse(truth, p, q)
    assert 0.01 < floor < 0.05
    for seed, shift in [(0, 0.05), (1, 0.2), (2, 0.5)]:
        estimate = small(seed, 0.0, shift) @ truth
        # Two scans of one surface are `floor` apart even where the motion is right.
        exact = np.sqrt(match_rmse(estimate, p, q) ** 2 - floor**2)
        assert information_rmse(estimate, truth, information) == pytest.approx(exact, rel=0.1)
    ratios = []
    for degrees in (1.0, 4.0, 8.0):
        for axis in np.eye(3):
            estimate = turn(axis, degrees, q.mean(axis=0)) @ truth
            exact = float(np.sqrt((displacements(estimate, truth, p) ** 2).mean()))
            ratios.append(information_rmse(estimate, truth, information) / exact)
    # Half the turn about another point: what is said of the rule at the head of the module.
    assert (min(ratios), max(ratios)) == pytest.approx((0.55, 1.65), abs=0.03)
