from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.clifford_algebra import CliffordAlgebra
from eqcli.geometry.products.clifford import GeometricProduct, from_blades, to_blades
from eqcli.geometry.projective_geometry import PROJECTIVE, motor, plane
from eqcli.geometry.rotations import random_quaternions

C = 3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def reference(algebra: CliffordAlgebra, product: GeometricProduct, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Grade by grade in bitwise order, `[n, C, 2^n]`."""
    result = torch.zeros_like(x)
    weights = weight.unflatten(-1, (-1, C))
    for i, (a, b, c) in enumerate(product.triples):
        part = algebra.grade(algebra.product(algebra.grade(x, a), algebra.grade(y, b)), c)
        result = result + weights[..., i, :].unsqueeze(-1) * part
    return result


@pytest.mark.parametrize("projective", [False, True])
def test_agrees_with_the_algebra_grade_by_grade(projective: bool) -> None:
    product = GeometricProduct(C, projective=projective).double()
    assert len(product.triples) == (34 if projective else 20)
    x, y, weight = normal(4, product.irreps_in1.dim), normal(4, product.irreps_in1.dim, seed=1), normal(4, 1, seed=2)
    for weights in (normal(product.weight_numel, seed=3), weight * normal(product.weight_numel, seed=3)):
        expected = reference(
            product.algebra,
            product,
            to_blades(x, C, projective=projective),
            to_blades(y, C, projective=projective),
            weights,
        )
        found = to_blades(product(x, y, weights), C, projective=projective)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    plain = product(x, y)
    torch.testing.assert_close(
        plain, product(x, y, torch.ones(product.weight_numel, dtype=torch.float64)), atol=1e-13, rtol=0
    )


@pytest.mark.parametrize("projective", [False, True])
def test_blades_go_there_and_back(projective: bool) -> None:
    x = normal(2, (16 if projective else 8) * C)
    blades = to_blades(x, C, projective=projective)
    assert blades.shape == (2, C, 16 if projective else 8)
    assert torch.equal(from_blades(blades, projective=projective), x)
    # The z component of the first channel's bivector is e12.
    one = torch.zeros((16 if projective else 8) * C)
    one[6 * C] = 1.0
    assert to_blades(one, C, projective=projective)[0, 0b110 if projective else 0b011] == 1


def test_the_weighted_projective_product_respects_translations_and_reflections() -> None:
    product = GeometricProduct(C, projective=True).double()
    x, y, weight = normal(4, 16 * C), normal(4, 16 * C, seed=1), normal(product.weight_numel, seed=2)
    rigid = motor(random_quaternions(1, generator=torch.Generator().manual_seed(1))[0], normal(3, seed=4))
    normal_vector = torch.nn.functional.normalize(normal(3, seed=5), dim=0)
    mirror = plane(normal_vector, torch.tensor(0.4, dtype=torch.float64))
    for versor, odd in ((rigid, False), (mirror, True)):

        def move(tensor: Tensor, u: Tensor = versor, flips: bool = odd) -> Tensor:
            blades = to_blades(tensor, C, projective=True)
            return from_blades(PROJECTIVE.sandwich(u.expand_as(blades), blades, odd=flips), projective=True)

        expected = move(product(x, y, weight))
        torch.testing.assert_close(product(move(x), move(y), weight), expected, atol=1e-11, rtol=0)
        assert float((expected - product(x, y, weight)).abs().max()) > 0.1
