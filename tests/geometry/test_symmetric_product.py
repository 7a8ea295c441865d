from __future__ import annotations

import math
from collections import Counter
from math import factorial, prod

import pytest
import torch
from torch import Tensor

from eqcli.geometry.symmetric_product import symmetric_product_basis
from tests.rotations import full_representation, random_rotation, representation


def values(lmax: int, degree: int, order: int, a: Tensor) -> Tensor:
    """Every polynomial at `a [(lmax+1)^2]`, `[n, 2L+1]`."""
    monomials, coefficients = symmetric_product_basis(lmax, degree, order)
    return coefficients @ torch.stack([a[list(m)].prod() for m in monomials])


@pytest.mark.parametrize(("degree", "order"), [(1, 1), (2, 0), (2, 2), (3, 0), (3, 1), (3, 2)])
def test_polynomials_rotate_as_their_representation(degree: int, order: int) -> None:
    a = torch.randn(16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rotation = random_rotation(5)
    rotated = values(3, degree, order, full_representation(rotation, 3) @ a)
    expected = values(3, degree, order, a) @ representation(rotation, order).T
    torch.testing.assert_close(rotated, expected, atol=1e-11, rtol=0)


@pytest.mark.parametrize(("degree", "order"), [(2, 1), (3, 0), (3, 1)])
def test_polynomials_are_orthonormal(degree: int, order: int) -> None:
    monomials, coefficients = symmetric_product_basis(2, degree, order)
    weight = torch.tensor([float(prod(factorial(k) for k in Counter(m).values())) for m in monomials]).double()
    gram = torch.einsum("aMq,bMq,q->ab", coefficients, coefficients, weight) / (2 * order + 1)
    torch.testing.assert_close(gram, torch.eye(len(gram), dtype=torch.float64), atol=1e-12, rtol=0)


def multiplicity(lmax: int, degree: int, order: int) -> int:
    """How often L occurs in the symmetric power, from characters of O(3) (Molien's integral)."""
    n = 256
    total = 0.0
    for k in range(n):
        theta = math.pi * (k + 0.5) / n
        haar = (1 - math.cos(theta)) / n
        for inversion in (1, -1):
            power = [_trace(lmax, j * theta, inversion**j) for j in range(4)]
            symmetric = {
                1: power[1],
                2: (power[1] ** 2 + power[2]) / 2,
                3: (power[1] ** 3 + 3 * power[1] * power[2] + 2 * power[3]) / 6,
            }[degree]
            total += haar * symmetric * inversion**order * _character(order, theta) / 2
    assert abs(total - round(total)) < 1e-6
    return round(total)


def _character(degree: int, theta: float) -> float:
    return 1 + 2 * sum(math.cos(m * theta) for m in range(1, degree + 1))


def _trace(lmax: int, theta: float, inversion: int) -> float:
    return sum(inversion**degree * _character(degree, theta) for degree in range(lmax + 1))


@pytest.mark.parametrize("lmax", [0, 1, 2, 3])
@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_basis_is_complete(lmax: int, degree: int, order: int) -> None:
    _, coefficients = symmetric_product_basis(lmax, degree, order)
    assert len(coefficients) == multiplicity(lmax, degree, order)
