"""The multilinear form behind convolutions in the frame of the edge, differentiable to any order.

With D the rotation into the frame, f factors for each degree, order and channel and W matrices
that mix degrees and channels at fixed |m|, the form is `F(x, g, W, f) = g . D^T W (f * D x)`, linear in
each of its four arguments. The convolution is F with a hole at g, what multiplies an upstream gradient
is F with a hole elsewhere: one function with a movable hole is closed under differentiation. The
derivative with respect to the direction needs no derivative of D: F is invariant when
everything turns, so that turning the direction alone is turning x and g back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from eqcli.geometry.edge_rotation import EdgeRotation, Group, groups
from eqcli.geometry.products.so2_piece import Piece
from eqcli.geometry.tracing import row_pieces

ROWS_AT_ONCE = 512
"""Edges in a piece: enough to fill matrix products, few enough for the rotated features to stay in the cache."""

X, G, WEIGHT, FACTOR = range(4)
"""Arguments of the form."""


@dataclass(frozen=True)
class FormShape:
    """Degrees and channels of both sides, the highest order kept, and whether the weights are real alone.

    Weights lie order by order: for m = 0 a matrix `[in, out]` over (degree, channel) pairs; for each
    m > 0 the real part and, unless `real`, the imaginary part of a complex one.
    """

    lmax_in: int
    lmax_out: int
    channels_in: int
    channels_out: int
    mmax: int
    real: bool
    groups_in: list[Group] = field(init=False, compare=False)
    groups_out: list[Group] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups_in", groups(self.lmax_in, self.mmax))
        object.__setattr__(self, "groups_out", groups(self.lmax_out, self.mmax))

    def size(self, m: int) -> tuple[int, int]:
        """Rows and columns of the matrix of order m."""
        return (self.lmax_in + 1 - m) * self.channels_in, (self.lmax_out + 1 - m) * self.channels_out

    def parts(self, m: int) -> int:
        """Matrices of order m: one, or real and imaginary part."""
        return 1 if m == 0 or self.real else 2

    @property
    def weights(self) -> int:
        return sum(self.parts(m) * self.size(m)[0] * self.size(m)[1] for m in range(self.mmax + 1))

    @property
    def factors(self) -> int:
        return sum(self.size(m)[0] for m in range(self.mmax + 1))

    def matrices(self, weight: Tensor) -> list[list[Tensor]]:
        """Views `[..., in, out]` of real and imaginary parts, by order."""
        found, start = [], 0
        for m in range(self.mmax + 1):
            rows, columns = self.size(m)
            stop = start + self.parts(m) * rows * columns
            found.append(list(weight[..., start:stop].unflatten(-1, (self.parts(m), rows, columns)).unbind(-3)))
            start = stop
        return found


class EdgeForm(torch.autograd.Function):
    """F with a hole: `apply(hole, shape, rotation, directions, x, g, weight, factor)`; the argument there is None.

    `x` is `[E, (lmax_in+1)^2, channels_in]`, `g` likewise of the result, `weight` `[weights]` or
    `[E, weights]`, `factor` `[E, factors]` or None for ones. Returns what belongs in the hole.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hole: int,
        shape: FormShape,
        rotation: EdgeRotation,
        directions: Tensor,
        x: Tensor | None,
        g: Tensor | None,
        weight: Tensor | None,
        factor: Tensor | None,
        per_row: bool,
    ) -> Tensor:
        found = fill(hole, shape, rotation, x, g, weight, factor, per_row)
        ctx.save_for_backward(directions, x, g, weight, factor, found)
        ctx.hole, ctx.shape, ctx.rotation, ctx.per_row = hole, shape, rotation, per_row
        return found

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        directions, *arguments, found = ctx.saved_tensors
        hole, shape, rotation = ctx.hole, ctx.shape, ctx.rotation
        arguments[hole] = upstream
        partial: list[Tensor | None] = [None] * 4
        partial[hole] = found
        needed = {i for i in range(4) if ctx.needs_input_grad[4 + i] and i != hole}
        turns = ctx.needs_input_grad[3]
        for i in needed | ({X, G} - {hole} if turns else set()):
            others = [None if j == i else a for j, a in enumerate(arguments)]
            partial[i] = EdgeForm.apply(i, shape, rotation, directions, *others, ctx.per_row)
        of_direction = _turned(rotation, directions, arguments, partial) if turns else None
        return None, None, None, of_direction, *(partial[i] if i in needed else None for i in range(4)), None


def _turned(rotation: EdgeRotation, directions: Tensor, arguments: list[Any], partial: list[Any]) -> Tensor:
    """Gradient with respect to the direction: the torque on x and g crossed with it."""
    torque = sum(_torque(partial[i], arguments[i], rotation.generators) for i in (X, G))
    return torch.linalg.cross(directions, torque)


def _torque(partial: Tensor, argument: Tensor, generators: list[Tensor]) -> Tensor:
    """`sum_c partial . J_k argument` for the generators J_k of turns about x, y and z, `[E, 3]`."""
    torque, start = partial.new_zeros(len(partial), 3), 1
    for degree, generator in enumerate(generators, start=1):
        if (stop := (degree + 1) ** 2) <= partial.shape[1]:
            outer = torch.bmm(partial[:, start:stop], argument[:, start:stop].transpose(1, 2)).flatten(1)
            torque, start = torque + outer @ generator, stop
    return torque


def fill(
    hole: int,
    shape: FormShape,
    rotation: EdgeRotation,
    x: Tensor | None,
    g: Tensor | None,
    weight: Tensor | None,
    factor: Tensor | None,
    per_row: bool,
) -> Tensor:
    """The value that belongs in the hole, piece by piece."""
    into = rotation.matrices(shape.lmax_in, shape.mmax)
    out_of = rotation.matrices(shape.lmax_out, shape.mmax)
    n = len(into[0])
    total = None
    parts = []
    for rows in row_pieces(n, max(n, 1) if into[0].is_cuda else ROWS_AT_ONCE):
        piece = Piece(
            shape,
            [d[rows] for d in into],
            [d[rows] for d in out_of],
            None if factor is None else factor[rows],
            None if weight is None else shape.matrices(weight[rows] if weight.dim() == 2 else weight),
        )
        if hole == G and x is not None:
            parts.append(piece.convolved(x[rows]))
        elif hole == X and g is not None:
            parts.append(piece.transposed(g[rows]))
        elif hole == FACTOR and x is not None and g is not None:
            parts.append(piece.factors(x[rows], g[rows]))
        elif x is not None and g is not None:
            found = piece.weights(x[rows], g[rows], per_row)
            if per_row:
                parts.append(found)
            else:
                total = found if total is None else total + found
    return total if total is not None else parts[0] if len(parts) == 1 else torch.cat(parts)
