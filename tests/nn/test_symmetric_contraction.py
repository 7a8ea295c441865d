from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.symmetric_product import symmetric_product_basis
from eqcli.graph.layout import make_layout
from eqcli.nn.symmetric_contraction import SymmetricContraction


def slow_contraction(layer: SymmetricContraction, a: Tensor, species: Tensor, lmax: int, correlation: int) -> Tensor:
    """Every polynomial, every monomial, one atom at a time."""
    degrees = []
    for degree, weights in enumerate(layer.weights):
        out = torch.zeros(len(a), 2 * degree + 1, a.shape[2], dtype=a.dtype)
        start = 0
        for nu in range(1, correlation + 1):
            monomials, coefficients = symmetric_product_basis(lmax, nu, degree)
            w = weights[:, start : start + len(coefficients)]
            start += len(coefficients)
            for i in range(len(a)):
                products = torch.stack([a[i][list(m)].prod(dim=0) for m in monomials])  # [q, C]
                out[i] += torch.einsum("nMq,qc,nc->Mc", coefficients, products, w[species[i]])
        degrees.append(out)
    return torch.cat(degrees, dim=1)


@pytest.mark.parametrize(("lmax", "l_out", "correlation"), [(3, 1, 3), (2, 2, 3), (3, 0, 3), (3, 1, 2), (2, 2, 1)])
def test_equals_the_sum_over_monomials(lmax: int, l_out: int, correlation: int) -> None:
    torch.manual_seed(0)
    layer = SymmetricContraction(2, 3, lmax, l_out, correlation).double()
    species = torch.tensor([0, 0, 2, 2, 2])
    a = torch.randn(5, (lmax + 1) ** 2, 2, dtype=torch.float64)
    layout = make_layout(species, torch.zeros(2, 0, dtype=torch.int64))
    expected = slow_contraction(layer, a, species, lmax, correlation)
    torch.testing.assert_close(layer(a, layout), expected, atol=1e-11, rtol=1e-11)
