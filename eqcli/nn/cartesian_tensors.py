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
from eqcli.geometry.tracing import row_pieces
from eqcli.nn.edge_pieces import numbers_at_once
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
    transposed: Tensor

    def __init__(self, *, parity: bool) -> None:
        super().__init__()
        self.parity = parity
        basis = cartesian_basis(2)
        self.register_constant("basis", basis.reshape(9, 9))
        self.register_constant("transposed", basis.transpose(1, 2).reshape(9, 9))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        product: Tensor = _Product.apply(x, y, (False, False), self)
        return product

    def numbers(self, x: Tensor, y: Tensor, turned: tuple[bool, bool]) -> Tensor:
        """The product without a graph, of the transposes of the factors that are `turned`."""
        out = torch.empty_like(x)
        step = max(1, 2 * numbers_at_once(x.device) // max(1, 9 * x.shape[2]))
        for piece in row_pieces(len(x), step):
            first, second = self._matrices(x[piece], turned[0]), self._matrices(y[piece], turned[1])
            product = _add_product(None, first, second)
            product = _add_product(product, second, first) if self.parity else product.mul_(2.0)
            torch.matmul(self.basis, product.flatten(1, 2), out=out[piece])
        return out

    def _matrices(self, x: Tensor, turned: bool) -> Tensor:
        basis = self.transposed if turned else self.basis
        return torch.matmul(basis.T, x).unflatten(1, (3, 3))


def _add_product(total: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """`total` plus products of matrices `[N, 3, 3, C]`, one column times one row at a time."""
    for k in range(3):
        column, row = a[:, :, k : k + 1], b[:, k : k + 1]
        total = column * row if total is None else total.addcmul_(column, row)
    assert total is not None
    return total


class _Product(torch.autograd.Function):
    """<G, X Y> = <G Y^T, X> = <X^T G, Y>: the derivatives of a product are products with a transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, turned: tuple[bool, bool], product: MatrixProduct) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.turned, ctx.product = turned, product
        return product.numbers(x.contiguous(), y.contiguous(), turned)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, y = ctx.saved_tensors
        (g,) = gradients
        x_turned, y_turned = ctx.turned
        of_x = of_y = None
        if ctx.needs_input_grad[0]:
            factors = (y, g, (y_turned, True)) if x_turned else (g, y, (False, not y_turned))
            of_x = _Product.apply(*factors, ctx.product)
        if ctx.needs_input_grad[1]:
            factors = (g, x, (True, x_turned)) if y_turned else (x, g, (not x_turned, False))
            of_y = _Product.apply(*factors, ctx.product)
        return of_x, of_y, None, None
