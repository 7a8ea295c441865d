from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from eqcli.engine.refine_gicp import KINDS, Refined, Refiner, refine
from eqcli.errors import InputError
from eqcli.geometry.motions import Motion, random_rotation, rotation_error, translation_error
from eqcli.models.pointcloud.covariance import point_information

FloatArray = NDArray[np.float64]
PLANES = ("point-to-plane", "gicp", "vgicp")


def body(n: int = 3000, seed: int = 0) -> FloatArray:
    """A sample of a bumpy sphere of radius about 1 without symmetry."""
    way = np.random.default_rng(seed).normal(size=(n, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    x, y, z = way.T
    radius = 1 + 0.3 * x * y + 0.2 * z**3 + 0.15 * np.sin(3 * x + 1) + 0.1 * np.cos(4 * y)
    found: FloatArray = way * radius[:, None]
    return found


def truth() -> Motion:
    turn = random_rotation(torch.Generator().manual_seed(1))
    return Motion(turn, torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64))


def moved(motion: Motion, points: FloatArray) -> FloatArray:
    found: FloatArray = motion.apply(torch.from_numpy(points)).numpy()
    return found


def nearby(motion: Motion) -> Motion:
    """A start some degrees and some hundredths away."""
    step = Motion.exp(torch.tensor([0.03, -0.02, 0.02, 0.05, -0.04, 0.06], dtype=torch.float64))
    return motion.then(step)


def errors(found: Refined, wanted: Motion) -> tuple[float, float]:
    angle = rotation_error(found.motion.rotation, wanted.rotation)
    return float(angle), float(translation_error(found.motion.translation, wanted.translation))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_points_come_back_exactly(kind: str) -> None:
    points = body()
    found = refine(points, moved(truth(), points), nearby(truth()), kind, distance=0.2)
    angle, shift = errors(found, truth())
    # Voxels average the target, hence they meet the points themselves nearly alone.
    assert angle < (0.3 if kind == "vgicp" else 1e-3)
    assert shift < (0.02 if kind == "vgicp" else 1e-4)
    assert found.converged
    assert found.overlap == 1.0


@pytest.mark.parametrize("kind", PLANES)
def test_two_samples_of_one_surface_are_brought_together(kind: str) -> None:
    found = refine(body(seed=1), moved(truth(), body(seed=2)), nearby(truth()), kind, distance=0.2)
    angle, shift = errors(found, truth())
    assert angle < 0.4
    assert shift < 0.01


@pytest.mark.parametrize("kind", PLANES)
def test_far_coordinates_and_another_unit_change_nothing(kind: str) -> None:
    source, target = body(seed=1), moved(truth(), body(seed=2))
    plain = refine(source, target, nearby(truth()), kind, distance=0.2)
    away = Motion(torch.eye(3, dtype=torch.float64), torch.tensor([4e5, -5e6, 100.0], dtype=torch.float64))
    far = refine(source, moved(away, target), nearby(truth()).then(away), kind, distance=0.2)
    torch.testing.assert_close(far.motion.then(away.inverse()).matrix(), plain.motion.matrix(), atol=1e-6, rtol=0)
    start = nearby(truth())
    start = Motion(start.rotation, 1000 * start.translation)
    large = refine(1000 * source, 1000 * target, start, kind, distance=200.0)
    torch.testing.assert_close(large.motion.rotation, plain.motion.rotation, atol=1e-9, rtol=0)
    torch.testing.assert_close(large.motion.translation, 1000 * plain.motion.translation, atol=1e-5, rtol=0)
    unit = torch.tensor([1e-3] * 3 + [1.0] * 3, dtype=torch.float64)
    torch.testing.assert_close(large.information, plain.information * unit * unit[:, None], rtol=1e-4, atol=1e-4)


def test_turning_the_target_composes() -> None:
    source, target = body(seed=1), moved(truth(), body(seed=2))
    plain = refine(source, target, nearby(truth()), "gicp", distance=0.2)
    extra = Motion(random_rotation(torch.Generator().manual_seed(4)), torch.tensor([1.0, 2.0, 3.0]).double())
    turned = refine(source, moved(extra, target), nearby(truth()).then(extra), "gicp", distance=0.2)
    torch.testing.assert_close(turned.motion.matrix(), plain.motion.then(extra).matrix(), atol=1e-6, rtol=0)
    back = extra.inverse().adjoint()
    wanted = back.T @ plain.information @ back
    torch.testing.assert_close(turned.information, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def test_the_information_of_points_is_that_of_their_residuals() -> None:
    points = body()
    noise = 0.005 * np.random.default_rng(7).normal(size=points.shape)
    target = moved(truth(), points) + noise
    found = refine(points, target, truth(), "point-to-point", distance=0.05)
    at = torch.from_numpy(moved(found.motion, points))
    wanted = point_information(at, torch.ones(len(at), dtype=torch.float64))
    # Up to the variance: residuals to the nearest point are a little smaller than those to the own one.
    scale = float(found.information[0, 0] / wanted[0, 0])
    assert 1 / scale == pytest.approx(0.005**2, rel=0.15)
    torch.testing.assert_close(found.information / scale, wanted, rtol=1e-2, atol=1e-2 * float(wanted.diagonal().min()))


def test_one_thread_gives_the_same_bits() -> None:
    source, target = body(seed=1), moved(truth(), body(seed=2))
    first, second = (refine(source, target, nearby(truth()), "gicp", distance=0.2) for _ in range(2))
    assert torch.equal(first.motion.matrix(), second.motion.matrix())
    assert torch.equal(first.information, second.information)


def test_one_refiner_serves_many_starts_and_distances() -> None:
    source, target = body(seed=1), moved(truth(), body(seed=2))
    refiner = Refiner(source, target)
    coarse = refiner.refine(nearby(truth()), distance=0.4)
    fine = refiner.refine(coarse.motion, distance=0.1)
    assert errors(fine, truth())[0] < 0.4
    alone = refine(source, target, coarse.motion, distance=0.1)
    assert torch.equal(alone.motion.matrix(), fine.motion.matrix())


def test_overlap_and_rmse_are_those_of_the_nearest_points() -> None:
    source, target = body(200, seed=1), body(150, seed=2)
    overlap, rmse = Refiner(source, target).fit(Motion.identity(), 0.08)
    lengths = np.linalg.norm(source[:, None] - target[None], axis=-1).min(axis=1)
    near = lengths[lengths <= 0.08]
    assert overlap == pytest.approx(len(near) / 200)
    assert rmse == pytest.approx(float(np.sqrt((near**2).mean())))


def test_clouds_without_overlap_leave_the_start_as_it_is() -> None:
    start = Motion(torch.eye(3, dtype=torch.float64), torch.tensor([50.0, 0.0, 0.0], dtype=torch.float64))
    found = refine(body(seed=1), body(seed=2), start, distance=0.2)
    assert torch.equal(found.motion.matrix(), start.matrix())
    assert not found.converged
    assert found.overlap == 0.0
    assert math.isinf(found.rmse)
    assert not bool(found.information.any())


def test_wrong_input_is_an_error() -> None:
    points = body(50)
    with pytest.raises(InputError, match="at least 6"):
        refine(points[:5], points, Motion.identity(), distance=0.1)
    broken = points.copy()
    broken[3, 0] = np.nan
    with pytest.raises(InputError, match="finite"):
        refine(points, broken, Motion.identity(), distance=0.1)
    with pytest.raises(InputError, match="one place"):
        refine(points, np.ones((20, 3)), Motion.identity(), distance=0.1)
    with pytest.raises(InputError, match="no refinement"):
        refine(points, points, Motion.identity(), "magic", distance=0.1)
    with pytest.raises(InputError, match="distance"):
        refine(points, points, Motion.identity(), distance=0.0)
