from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.geometry.motions import Motion, random_rotation, rotation_error, translation_error
from eqcli.geometry.rotations import from_axis_angle, random_rotations, to_matrix


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def motions(n: int, seed: int = 0) -> Motion:
    g = seeded(seed)
    return Motion(random_rotations(n, generator=g), 3 * torch.randn(n, 3, dtype=torch.float64, generator=g))


def hat(twist: Tensor) -> Tensor:
    """The 4 x 4 matrix whose exponential is the motion."""
    v, (x, y, z) = twist[:3].tolist(), twist[3:].tolist()
    rows = [[0, -z, y, v[0]], [z, 0, -x, v[1]], [-y, x, 0, v[2]], [0, 0, 0, 0]]
    return torch.tensor(rows, dtype=torch.float64)


def test_motions_compose_and_invert_as_their_matrices_do() -> None:
    a, b = motions(5), motions(5, seed=1)
    torch.testing.assert_close(a.then(b).matrix(), b.matrix() @ a.matrix())
    torch.testing.assert_close(a.inverse().matrix(), torch.linalg.inv(a.matrix()))
    points = torch.randn(5, 7, 3, dtype=torch.float64, generator=seeded(2))
    torch.testing.assert_close(a.then(b).apply(points), b.apply(a.apply(points)))
    torch.testing.assert_close(a.inverse().apply(a.apply(points)), points)
    torch.testing.assert_close(a.apply(points + points) - a.apply(points), a.turn(points))


def test_a_matrix_gives_its_motion_and_nothing_but_a_rigid_motion_is_taken() -> None:
    a = motions(3)
    again = Motion.from_matrix(a.matrix())
    torch.testing.assert_close(again.rotation, a.rotation)
    torch.testing.assert_close(again.translation, a.translation)
    scaled = a.at(0).matrix() * torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64)[:, None]
    mirrored = torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0], dtype=torch.float64))
    projective = torch.eye(4, dtype=torch.float64)
    projective[3, 0] = 0.1
    for wrong in (scaled, mirrored, projective, torch.eye(3), torch.full((4, 4), math.nan)):
        with pytest.raises(ValueError, match="matrix"):
            Motion.from_matrix(wrong)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.2, 0.23, 1.0, 3.0, math.pi - 1e-7])
def test_exponential_is_that_of_the_matrix_and_the_logarithm_undoes_it(angle: float) -> None:
    axis = torch.nn.functional.normalize(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), dim=0)
    twist = torch.cat([torch.tensor([0.3, 2.0, -1.0], dtype=torch.float64), angle * axis])
    motion = Motion.exp(twist)
    torch.testing.assert_close(motion.matrix(), torch.linalg.matrix_exp(hat(twist)), atol=1e-13, rtol=1e-13)
    torch.testing.assert_close(motion.log(), twist, atol=1e-12, rtol=1e-12)


def test_the_adjoint_takes_a_twist_from_the_right_to_the_left() -> None:
    motion = motions(1).at(0)
    twist = torch.tensor([0.1, -0.2, 0.05, 0.3, 0.1, -0.2], dtype=torch.float64)
    right = Motion.exp(twist).then(motion)
    left = motion.then(Motion.exp(motion.adjoint() @ twist))
    torch.testing.assert_close(right.matrix(), left.matrix(), atol=1e-13, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 1e-10, 1e-5, 30.0, 179.999999, 180.0])
def test_the_rotation_error_keeps_its_precision_at_both_ends(angle: float) -> None:
    axis = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    turn = to_matrix(from_axis_angle(axis, torch.tensor(math.radians(angle), dtype=torch.float64)))
    start = random_rotation(seeded())
    assert float(rotation_error(start, start @ turn)) == pytest.approx(angle, abs=1e-12, rel=1e-5)
    assert float(rotation_error(start @ turn, start)) == pytest.approx(angle, abs=1e-12, rel=1e-5)


def test_the_translation_error_is_a_distance() -> None:
    a, b = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 5.0, 7.0])
    assert float(translation_error(a, b)) == pytest.approx(5.0)


def test_points_of_a_narrow_type_are_moved_in_the_wider_one() -> None:
    moved = motions(1).at(0).apply(torch.ones(2, 3, dtype=torch.float32))
    assert moved.dtype == torch.float64


def test_random_rotations_repeat_with_their_seed_and_are_proper() -> None:
    a, b = random_rotation(seeded(3)), random_rotation(seeded(3))
    assert torch.equal(a, b)
    assert float(torch.linalg.det(a)) == pytest.approx(1.0)
    assert not torch.equal(a, random_rotation(seeded(4)))
