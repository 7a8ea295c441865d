"""Wigner matrices: a homomorphism onto orthogonal matrices that turns the harmonics."""

from __future__ import annotations

import pytest
import torch
from e3nn import o3

from eqcli.geometry.irreps import Irreps
from eqcli.geometry.rotations import multiply, random_quaternions, to_matrix
from eqcli.geometry.spherical_harmonics import SphericalHarmonics
from eqcli.geometry.wigner import WignerD, generators, representation
from tests.rotations import action, random_rotation

EXACT = 1e-12
LMAX = 12

E3NN = 2e-6
"""e3nn makes its matrices through angles and exponentials, with constants in float32."""

SPECIAL = torch.tensor(
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [-1, 0, 0, 0], [0.6, 0, 0.8, 0], [0, 0.6, 0, 0.8]],
    dtype=torch.float64,
)
"""The identity, half turns about the axes, turns about the pole: where a or b is zero."""


def quaternions(seed: int = 0) -> torch.Tensor:
    drawn = random_quaternions(8, generator=torch.Generator().manual_seed(seed))
    return torch.cat([SPECIAL, drawn])


def test_is_a_homomorphism_onto_orthogonal_matrices() -> None:
    wigner = WignerD(LMAX).double()
    first, second = quaternions(0), quaternions(1).flip(0)
    for a, b, both in zip(wigner(first), wigner(second), wigner(multiply(first, second)), strict=True):
        assert float((a @ b - both).abs().max()) < EXACT
        assert float((a @ a.transpose(-1, -2) - torch.eye(a.shape[-1]).double()).abs().max()) < EXACT


def test_turns_the_harmonics() -> None:
    q = quaternions()
    v = torch.nn.functional.normalize(torch.randn(5, 3, dtype=torch.float64), dim=1)
    harmonics = SphericalHarmonics(LMAX).double()
    turned = harmonics((v @ to_matrix(q).transpose(-1, -2)).reshape(-1, 3)).reshape(len(q), 5, -1)
    for degree, matrix in enumerate(WignerD(LMAX).double()(q)):
        rows = slice(degree**2, (degree + 1) ** 2)
        expected = harmonics(v)[:, rows] @ matrix.transpose(-1, -2)
        assert torch.allclose(turned[..., rows], expected, rtol=0, atol=EXACT * 10)


def test_agrees_with_e3nn() -> None:
    q = quaternions()[len(SPECIAL) :]
    for degree, matrix in enumerate(WignerD(6).double()(q)):
        expected = o3.Irrep(degree, 1).D_from_quaternion(q)
        assert torch.allclose(matrix, expected.to(matrix), rtol=0, atol=E3NN)


def test_third_derivatives_are_finite_everywhere() -> None:
    q = quaternions().requires_grad_()
    value = torch.stack([(d**2 * torch.arange(d.numel()).reshape(d.shape)).sum() for d in WignerD(4).double()(q)])
    gradient = value.sum()
    for _ in range(3):
        (gradient,) = torch.autograd.grad(gradient.sum(), q, create_graph=True)
        assert gradient.isfinite().all()
    small = quaternions()[[0, 1, 7]].requires_grad_()
    assert torch.autograd.gradcheck(lambda p: WignerD(3).double()(p)[3], small)


def test_generators_are_the_derivative_at_the_identity() -> None:
    identity = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    for degree in range(5):
        slope = torch.autograd.functional.jacobian(lambda p, n=degree: WignerD(4).double()(p)[n], identity)
        # The quaternion of a small turn w is (1, w / 2).
        assert torch.allclose(slope[..., 1:].permute(2, 0, 1) / 2, generators(degree), rtol=0, atol=EXACT)


@pytest.mark.parametrize("sign", [1, -1])
def test_representation_of_mixed_irreps(sign: int) -> None:
    irreps = Irreps("2x0e + 1o + 3x2e + 1e + 2x3o")
    matrix = sign * random_rotation(3)
    assert torch.allclose(representation(irreps, matrix), action(irreps, matrix), rtol=0, atol=EXACT * 10)


def test_leading_dimensions_and_precision() -> None:
    wigner = WignerD(3)
    q = quaternions()[:6].reshape(2, 3, 4)
    found = wigner.double()(q)
    assert [tuple(d.shape) for d in found] == [(2, 3, 2 * n + 1, 2 * n + 1) for n in range(4)]
    assert torch.equal(found[2][1, 2], wigner(q[1, 2])[2])
    single = wigner.float()(q.float())
    assert single[3].dtype == torch.float32
    assert float((single[3] - found[3]).abs().max()) < 1e-5
    assert wigner(q[:0].float())[2].shape == (0, 3, 5, 5)
