"""Cartesian tensors of rank 2, multiplied as matrices (TensorNet; Simeon and De Fabritiis, NeurIPS 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.axis_orders import cartesian_basis
from eqcli.geometry.irreps import Irreps
from eqcli.geometry.products.base import Explanation, Product, ProductPath

_PATHS = [(a, b, c) for a in range(3) for b in range(3) for c in range(abs(a - b), min(a + b, 2) + 1)]


class CartesianProduct(Product):
    """X Y + Y X of 3x3 tensors, channel by channel, on the irreps C x (0e + 1o + 2e).

    A tensor is `X = sum_k x_k B_k` with an orthonormal basis of trace, antisymmetric and traceless symmetric
    part, so that the Frobenius norm is that of the nine numbers. Under reflections the antisymmetric
    part counts as a vector (X becomes its transpose); the anticommutator keeps that, the product alone does not.
    `weight` is `[.., 3 C]`: a factor for each degree of the result and channel, degrees first; without it all are 1.

    Parameters
    ----------
    channels
        C.
    parity
        False for 2 X Y, which respects rotations alone.
    """

    basis: Tensor
    degree: Tensor

    def __init__(self, channels: int, *, parity: bool = True) -> None:
        super().__init__()
        self.name = "cartesian"
        self.channels, self.parity = channels, parity
        irreps = Irreps([(channels, "0e"), (channels, "1o"), (channels, "2e")])
        self.irreps_in1 = self.irreps_in2 = self.irreps_out = irreps
        self.weight_numel = 3 * channels
        self.register_constant("basis", cartesian_basis(2).reshape(9, 9))
        self.register_buffer("degree", torch.tensor([0, 1, 1, 1, 2, 2, 2, 2, 2]), persistent=False)

    def bilinear(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        first, second = self._matrices(x), self._matrices(y)
        product = _add_product(None, first, second)
        product = _add_product(product, second, first) if self.parity else 2 * product
        numbers = self.basis @ product.flatten(-3, -2)
        if weight is not None:
            numbers = numbers * weight.unflatten(-1, (3, self.channels)).index_select(-2, self.degree)
        return numbers.flatten(-2)

    def _matrices(self, x: Tensor) -> Tensor:
        """`[.., 9 C] -> [.., 3, 3, C]`."""
        return (self.basis.T @ x.unflatten(-1, (9, self.channels))).unflatten(-2, (3, 3))

    def explain(self) -> Explanation:
        c = self.channels
        names = ("0e", "1o", "2e")
        allowed = [p for p in _PATHS if not self.parity or sum(p) % 2 == 0]
        return Explanation(
            name=self.name,
            irreps_in1=str(self.irreps_in1),
            irreps_in2=str(self.irreps_in2),
            irreps_out=str(self.irreps_out),
            paths=[ProductPath(names[i], names[j], names[k], weights=0, multiply_adds=0) for i, j, k in allowed],
            weights=self.weight_numel,
            multiply_adds=(3 * 81 + (54 if self.parity else 27) + 9) * c,
            bytes=self.moved_bytes(),
            note="all couplings have the fixed ratios of a matrix product; one weight per degree of the result",
        )


def _add_product(total: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """`total` plus products of matrices with channels last, `[.., 3, 3, C]`, one column times one row at a time."""
    for k in range(3):
        column, row = a[..., :, k : k + 1, :], b[..., k : k + 1, :, :]
        total = column * row if total is None else torch.addcmul(total, column, row)
    assert total is not None
    return total


def build(lmax: int, channels: int) -> CartesianProduct:
    """TensorNet's product that respects reflections; `lmax` is 2, as tensors of rank 2 have no more."""
    return CartesianProduct(channels)
