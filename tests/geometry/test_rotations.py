from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.transform import Rotation, Slerp

from eqcli.geometry import rotations as rot


def quaternions(n: int, seed: int = 0) -> torch.Tensor:
    return rot.random_quaternions(n, generator=torch.Generator().manual_seed(seed))


def awkward() -> torch.Tensor:
    """Identity, half turns about every axis and nearly so."""
    half = [(0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 1, 1, 0), (0, 1, -1, 1), (1e-9, 1, 0, 0), (1, 0, 0, 0)]
    return torch.nn.functional.normalize(torch.tensor(half, dtype=torch.float64), dim=-1)


def scipy_matrix(q: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(Rotation.from_quat(q.roll(-1, -1).numpy()).as_matrix())


def test_matrices_agree_with_scipy() -> None:
    q = torch.cat([quaternions(20), awkward()])
    torch.testing.assert_close(rot.to_matrix(q), scipy_matrix(q), atol=1e-14, rtol=0)


def test_products_of_quaternions_are_products_of_matrices() -> None:
    a, b = quaternions(9, 1), quaternions(9, 2)
    torch.testing.assert_close(
        rot.to_matrix(rot.multiply(a, b)), rot.to_matrix(a) @ rot.to_matrix(b), atol=1e-14, rtol=0
    )
    identity = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(9, 4)
    torch.testing.assert_close(rot.multiply(a, rot.conjugate(a)), identity, atol=1e-15, rtol=0)


def test_vectors_turn_as_matrices_turn_them() -> None:
    q, v = quaternions(5), torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    expected = torch.einsum("nij,nj->ni", rot.to_matrix(q), v)
    torch.testing.assert_close(rot.rotate_vectors(q, v), expected, atol=1e-14, rtol=0)
    assert rot.rotate_vectors(q[:, None], v).shape == (5, 5, 3)


def test_a_matrix_gives_back_its_quaternion_everywhere() -> None:
    q = torch.cat([quaternions(200), awkward()])
    q = torch.where(q[:, :1] < 0, -q, q)
    found = rot.from_matrix(rot.to_matrix(q))
    overlap = (found * q).sum(-1).abs()
    torch.testing.assert_close(overlap, torch.ones_like(overlap), atol=1e-15, rtol=0)
    assert bool((found[:, 0] >= 0).all())


def test_the_gradient_of_a_quaternion_is_finite_everywhere_and_right() -> None:
    matrices = rot.to_matrix(torch.cat([quaternions(3), awkward()])).requires_grad_(True)
    (gradient,) = torch.autograd.grad(rot.from_matrix(matrices).sum(), matrices)
    assert bool(gradient.isfinite().all())
    assert torch.autograd.gradcheck(rot.from_matrix, rot.to_matrix(quaternions(3)).requires_grad_(True))


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-3, 0.2, 0.3, 1.0, 3.0, math.pi])
def test_rotation_vectors_go_there_and_back(angle: float) -> None:
    axis = torch.nn.functional.normalize(torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64), dim=0)
    q = rot.from_rotation_vector(angle * axis)
    torch.testing.assert_close(
        rot.to_matrix(q), torch.from_numpy(Rotation.from_rotvec(angle * axis.numpy()).as_matrix()), atol=1e-15, rtol=0
    )
    torch.testing.assert_close(rot.to_rotation_vector(q), angle * axis, atol=1e-15, rtol=0)
    torch.testing.assert_close(
        rot.from_axis_angle(axis, torch.tensor(angle, dtype=torch.float64)), q, atol=1e-15, rtol=0
    )
    found_axis, found_angle = rot.to_axis_angle(q)
    torch.testing.assert_close(found_angle * found_axis, angle * axis, atol=1e-15, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 1e-8, 0.223, 0.224, 0.44, 0.46, 1.0])
def test_rotation_vectors_are_smooth(angle: float) -> None:
    vector = torch.tensor([0.0, angle, 0.0], dtype=torch.float64).requires_grad_(True)
    assert torch.autograd.gradcheck(rot.from_rotation_vector, vector, atol=1e-8)
    assert torch.autograd.gradgradcheck(rot.from_rotation_vector, vector, atol=1e-8)
    q = rot.from_rotation_vector(vector).detach().requires_grad_(True)
    assert torch.autograd.gradcheck(rot.to_rotation_vector, q, atol=1e-8)
    assert torch.autograd.gradgradcheck(rot.to_rotation_vector, q, atol=1e-8)


def test_gradients_of_axis_and_angle_are_finite_at_the_identity() -> None:
    q = awkward().requires_grad_(True)
    axis, angle = rot.to_axis_angle(q)
    (gradient,) = torch.autograd.grad(axis.sum() + angle.sum(), q)
    assert bool(gradient.isfinite().all())


def test_slerp_agrees_with_scipy_and_takes_the_shorter_way() -> None:
    a, b = quaternions(1, 4)[0], quaternions(1, 5)[0]
    for t in (0.0, 0.3, 1.0):
        both = Rotation.from_quat(torch.stack([a, b]).roll(-1, -1).numpy())
        expected = torch.from_numpy(Slerp([0, 1], both)(t).as_matrix())
        for end in (b, -b):
            torch.testing.assert_close(rot.to_matrix(rot.slerp(a, end, t)), expected, atol=1e-14, rtol=0)


def test_random_rotations_are_uniform() -> None:
    """Characters of degrees 1 and 2 average to zero over the group, their squares to one."""
    matrices = rot.random_rotations(20000, generator=torch.Generator().manual_seed(0))
    angle = torch.arccos(((matrices.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1))
    for degree in (1, 2):
        character = 1 + 2 * sum(torch.cos(m * angle) for m in range(1, degree + 1))
        assert abs(float(character.mean())) < 0.03
        assert abs(float(character.square().mean()) - 1) < 0.05
    assert abs(float(matrices.mean(0).abs().max())) < 0.02
    again = rot.random_rotations(20000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(matrices, again)


def test_half_of_the_orthogonal_matrices_are_improper() -> None:
    matrices = rot.random_orthogonal(10, generator=torch.Generator().manual_seed(0))
    assert float(torch.linalg.det(matrices).sum()) == pytest.approx(0, abs=1e-13)
    identity = torch.eye(3, dtype=torch.float64).expand(10, 3, 3)
    torch.testing.assert_close(matrices @ matrices.transpose(1, 2), identity, atol=1e-14, rtol=0)
    assert rot.random_orthogonal(4, dtype=torch.float32).dtype == torch.float32


@pytest.mark.parametrize("angle", [0.0, 1e-10, 1e-4, 1.0, math.pi - 1e-7, math.pi])
def test_angles_are_accurate_near_zero_and_pi(angle: float) -> None:
    a = torch.tensor([2.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    b = 3 * torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=torch.float64)
    found = rot.angle_between(a, b)
    assert float(found.detach()) == pytest.approx(angle, abs=2e-16, rel=1e-15)
    (gradient,) = torch.autograd.grad(found, a)
    assert bool(gradient.isfinite().all())


def test_compiles_without_graph_breaks() -> None:
    def everything(q: torch.Tensor) -> torch.Tensor:
        return rot.to_rotation_vector(rot.from_matrix(rot.to_matrix(rot.slerp(q, rot.conjugate(q), 0.3))))

    q = quaternions(4)
    torch.compiler.reset()
    compiled = torch.compile(everything, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(q), everything(q), atol=1e-14, rtol=0)
