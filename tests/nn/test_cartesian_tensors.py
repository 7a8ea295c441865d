"""Packed Cartesian tensors against 3 x 3 matrices."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.axis_orders import cartesian_to_spherical, spherical_to_cartesian
from eqcli.nn.cartesian_tensors import MatrixProduct, TensorLinear, scale_parts, squared_norm, squared_norms
from eqcli.nn.edge_pieces import NUMBERS_AT_ONCE


@pytest.fixture(autouse=True)
def _double() -> None:
    torch.manual_seed(0)


def packed(n: int = 4, channels: int = 3) -> Tensor:
    return torch.randn(n, 9, channels, dtype=torch.float64)


def matrices(x: Tensor) -> Tensor:
    """`[N, 9, C] -> [N, C, 3, 3]`."""
    return spherical_to_cartesian(x.transpose(1, 2))


def parts(m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Trace, antisymmetric and traceless symmetric part of matrices."""
    trace = torch.diag_embed(m.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True).expand(*m.shape[:-1]))
    antisymmetric = 0.5 * (m - m.transpose(-1, -2))
    return trace, antisymmetric, m - trace - antisymmetric


def test_norms_are_those_of_the_matrices() -> None:
    x = packed()
    each = [part.square().sum((-1, -2)) for part in parts(matrices(x))]
    assert torch.allclose(squared_norms(x), torch.cat(each, dim=1), rtol=1e-13)
    assert torch.allclose(squared_norm(x), matrices(x).square().sum((-1, -2)), rtol=1e-13)


def test_factors_reach_their_parts() -> None:
    x, factors = packed(), torch.randn(4, 9, dtype=torch.float64)
    expected = sum(
        f[..., None, None] * part for f, part in zip(factors.split(3, dim=1), parts(matrices(x)), strict=True)
    )
    assert torch.allclose(matrices(scale_parts(x, factors)), expected, rtol=1e-12, atol=1e-13)
    assert torch.allclose(scale_parts(x, factors[0]), scale_parts(x, factors[:1].expand(4, -1)))


def test_linear_maps_mix_channels_of_each_part() -> None:
    layer = TensorLinear(3, 5).double()
    x = packed()
    expected = sum(
        torch.einsum("ncij,cd->ndij", part, weight)
        for part, weight in zip(parts(matrices(x)), layer.weight, strict=True)
    )
    assert torch.allclose(matrices(layer(x)), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("parity", [True, False])
def test_products_are_those_of_matrices(parity: bool) -> None:
    product = MatrixProduct(parity=parity).double()
    # Enough rows for several pieces.
    x, y = packed(NUMBERS_AT_ONCE // 8), packed(NUMBERS_AT_ONCE // 8)
    a, b = matrices(x), matrices(y)
    expected = a @ b + b @ a if parity else 2 * a @ b
    assert torch.allclose(product(x, y), cartesian_to_spherical(expected).transpose(1, 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("parity", [True, False])
def test_products_have_derivatives_of_any_order(parity: bool) -> None:
    product = MatrixProduct(parity=parity).double()
    x, y = packed(2, 2).requires_grad_(), packed(2, 2).requires_grad_()
    assert torch.autograd.gradcheck(product, (x, y))
    assert torch.autograd.gradgradcheck(product, (x, y))
    assert torch.autograd.gradgradcheck(lambda a: product(a, a), (x,))


def test_no_atoms_are_fine() -> None:
    assert MatrixProduct(parity=True).double()(packed(0), packed(0)).shape == (0, 9, 3)
