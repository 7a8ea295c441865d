"""Errors of motions, to the truth and to its symmetric copies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eqcli.metrics.registration.errors import FloatArray, mean_displacement, motion_errors, moved, nearest_truth


def motion(seed: int, shift: float = 1.0) -> FloatArray:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    matrix[:3, 3] = shift * rng.normal(size=3)
    return matrix


def turn(axis: FloatArray, degrees: float, centre: FloatArray) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis)).as_matrix()
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    return matrix


@pytest.mark.parametrize("degrees", [1e-6, 0.3, 90.0, 179.999999, 180.0])
def test_the_angle_is_that_of_the_turn_between(degrees: float) -> None:
    truth = motion(3)
    estimate = turn(np.array([1.0, 2.0, -0.5]), degrees, np.zeros(3)) @ truth
    found = motion_errors(estimate, truth)
    assert found.rotation == pytest.approx(degrees, rel=1e-6)
    # The published formula, where the arc cosine can tell.
    trace = np.trace(estimate[:3, :3].T @ truth[:3, :3])
    assert found.rotation == pytest.approx(math.degrees(math.acos(np.clip((trace - 1) / 2, -1, 1))), abs=1e-4)
    assert found.translation == pytest.approx(np.linalg.norm(estimate[:3, 3] - truth[:3, 3]))


def test_the_mean_displacement_is_that_of_a_loop() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    a, b = motion(1), motion(2)
    total = 0.0
    for p in points:
        total += float(np.linalg.norm((a[:3, :3] @ p + a[:3, 3]) - (b[:3, :3] @ p + b[:3, 3])))
    assert mean_displacement(a, b, points) == pytest.approx(total / 50)


def test_of_a_symmetric_object_the_nearest_truth_counts() -> None:
    points = np.random.default_rng(1).normal(size=(300, 3))
    truth, centre = motion(4), np.array([3.0, -1.0, 2.0])
    group = np.stack([turn(np.array([0.0, 0.0, 1.0]), 90.0 * k, centre) for k in range(4)])
    off = turn(np.array([1.0, 0.0, 0.0]), 2.0, centre)
    for k in range(4):
        estimate = off @ group[k] @ truth
        assert nearest_truth(estimate, truth, group, points) == pytest.approx(group[k] @ truth)
        assert motion_errors(estimate, nearest_truth(estimate, truth, group, points)).rotation == pytest.approx(2.0)
    # Without the group the same estimates are far off.
    assert motion_errors(off @ group[1] @ truth, truth).rotation > 80
    assert nearest_truth(off, truth, None, points) is truth


def test_a_group_without_the_identity_has_it() -> None:
    points, truth = np.random.default_rng(2).normal(size=(20, 3)), motion(5)
    half = turn(np.array([0.0, 1.0, 0.0]), 180.0, np.ones(3))[None]
    assert nearest_truth(truth, truth, half, points) == pytest.approx(truth)


@pytest.mark.parametrize("degrees", [2.4, 47.3, -121.7])
def test_turns_in_small_steps_about_an_axis_stand_for_all_turns(degrees: float) -> None:
    rng = np.random.default_rng(6)
    axis, centre, truth = rng.normal(size=3), rng.normal(size=3), motion(6)
    points = moved(rng.normal(size=(2000, 3)) + centre, np.asarray(np.linalg.inv(truth), dtype=np.float64))
    group = np.stack([turn(axis, 5.0 * k, centre) for k in range(72)])
    estimate = turn(axis, degrees, centre) @ truth
    found = nearest_truth(estimate, truth, group, points)
    assert motion_errors(estimate, found).rotation < 1e-6
    assert moved(points, found) == pytest.approx(moved(points, estimate), abs=1e-9)
    # A tilt is no symmetry, and stays an error.
    tilted = turn(np.cross(axis, [1.0, 0.0, 0.0]), 3.0, centre) @ estimate
    assert motion_errors(tilted, nearest_truth(tilted, truth, group, points)).rotation == pytest.approx(3.0, abs=0.3)
