from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.axis_orders import cartesian_to_spherical
from eqcli.geometry.products.cartesian import CartesianProduct
from tests.rotations import random_rotation

C = 2


def tensors(seed: int) -> Tensor:
    return torch.randn(4, C, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def packed(matrices: Tensor) -> Tensor:
    """`[n, C, 3, 3] -> [n, 9 C]`, channels last."""
    return cartesian_to_spherical(matrices).transpose(-1, -2).flatten(-2)


@pytest.mark.parametrize("parity", [True, False])
def test_is_the_product_of_matrices(parity: bool) -> None:
    x, y = tensors(0), tensors(1)
    product = CartesianProduct(C, parity=parity).double()
    expected = x @ y + y @ x if parity else 2 * x @ y
    torch.testing.assert_close(product(packed(x), packed(y)), packed(expected), atol=1e-13, rtol=0)
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], dtype=torch.float64)
    scaled = product(packed(x), packed(y), weight).unflatten(-1, (9, C))
    by_degree = weight.reshape(3, C).repeat_interleave(torch.tensor([1, 3, 5]), dim=0)
    torch.testing.assert_close(scaled, by_degree * packed(expected).unflatten(-1, (9, C)), atol=1e-13, rtol=0)


def test_without_parity_reflections_are_broken_and_rotations_are_not() -> None:
    x, y = tensors(0), tensors(1)
    product = CartesianProduct(C, parity=False).double()
    rotation = random_rotation(3)
    plain = 2 * x @ y
    turned = product(packed(rotation @ x @ rotation.T), packed(rotation @ y @ rotation.T))
    torch.testing.assert_close(turned, packed(rotation @ plain @ rotation.T), atol=1e-12, rtol=0)
    # The inversion changes the sign of the antisymmetric part: a transpose.
    mirrored = product(packed(x.mT), packed(y.mT))
    assert float((mirrored - packed(plain.mT)).abs().max()) > 0.1
    kept = CartesianProduct(C).double()(packed(x.mT), packed(y.mT))
    torch.testing.assert_close(kept, packed((x @ y + y @ x).mT), atol=1e-13, rtol=0)


def test_norms_are_frobenius_norms() -> None:
    x = tensors(0)
    torch.testing.assert_close(packed(x).square().sum(), x.square().sum(), atol=1e-12, rtol=0)
