"""Layers for Cartesian tensors of rank 2, packed into their irreducible parts.

A tensor X of 3 x 3 numbers and C channels lies as `[N, 9, C]`: its coefficients in the orthonormal basis of
:func:`eqcli.geometry.axis_orders.cartesian_basis`, one for the trace, three for the antisymmetric and five for the
traceless symmetric part. So the Frobenius norm is that of the nine numbers; the transpose changes the sign of three.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from eqcli.geometry.axis_orders import cartesian_basis
from eqcli.geometry.constants import ConstantModule
from eqcli.nn.element_linear import mix_channels

DIMS = [1, 3, 5]
"""Numbers of the trace, the antisymmetric and the traceless symmetric part."""


def squared_norm(x: Tensor) -> Tensor:
    """tr(X^T X) of each channel, `[N, 9, C] -> [N, C]`."""
    return x.square().sum(1)


def squared_norms(x: Tensor) -> Tensor:
    """The squared norm of each part, `[N, 9, C] -> [N, 3 C]`."""
    return torch.cat([part.square().sum(1) for part in x.split(DIMS, dim=1)], dim=1)


def scale_parts(x: Tensor, factors: Tensor) -> Tensor:
    """Each part times a factor of its own, `[N, 9, C]` and `[N, 3 C]` (or `[3 C]`) `-> [N, 9, C]`."""
    each = factors.view(*factors.shape[:-1], 3, -1).split(1, dim=-2)
    return torch.cat([part * factor for part, factor in zip(x.split(DIMS, dim=1), each, strict=True)], dim=1)


class TensorLinear(nn.Module):
    """One matrix over channels for each part, `[N, 9, C] -> [N, 9, C']`: all maps that commute with rotations."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        bound = channels_in**-0.5
        self.weight = nn.Parameter(torch.empty(3, channels_in, channels_out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return mix_channels(x, self.weight.unbind(), DIMS)


class MatrixProduct(ConstantModule):
    """Products of tensors as matrices, channel by channel, `[N, 9, C]` twice `-> [N, 9, C]`.

    `X Y + Y X` with `parity`, which a reflection, being a transpose, leaves as it is; `2 X Y` without.
    """

    basis: Tensor
    transpose: Tensor

    def __init__(self, *, parity: bool) -> None:
        super().__init__()
        self.parity = parity
        self.register_constant("basis", cartesian_basis(2).reshape(9, 9))
        signs = torch.tensor([1.0, -1, -1, -1, 1, 1, 1, 1, 1], dtype=torch.float64)
        self.register_constant("transpose", signs.unsqueeze(1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        product: Tensor = _Product.apply(x, y, self)
        return product

    def numbers(self, x: Tensor, y: Tensor) -> Tensor:
        """The product without a graph."""
        first, second = self._matrices(x), self._matrices(y)
        product = _add_product(None, first, second)
        product = _add_product(product, second, first) if self.parity else product.mul_(2.0)
        return torch.matmul(self.basis, product.flatten(1, 2))

    def _matrices(self, x: Tensor) -> Tensor:
        return torch.matmul(self.basis.T, x).unflatten(1, (3, 3))


def _add_product(total: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """`total` plus products of matrices `[N, 3, 3, C]`, one column times one row at a time."""
    for k in range(3):
        column, row = a[:, :, k : k + 1], b[:, k : k + 1]
        total = column * row if total is None else total.addcmul_(column, row)
    assert total is not None
    return total


class _Product(torch.autograd.Function):
    """<G, X Y + Y X> = <G Y^T + Y^T G, X>: the derivatives of a product are products with the transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, product: MatrixProduct) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.product = product
        return product.numbers(x, y)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, y = ctx.saved_tensors
        product = ctx.product
        (g,) = gradients
        of_x = product(g, y * product.transpose) if ctx.needs_input_grad[0] else None
        of_y = product(x * product.transpose, g) if ctx.needs_input_grad[1] else None
        return of_x, of_y, None
