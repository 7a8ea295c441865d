"""The arithmetic of convolutions in the frame of the edge, for as many edges as fit the cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eqcli.geometry.edge_rotation import Group

if TYPE_CHECKING:
    from eqcli.geometry.products.so2_form import FormShape

Rotated = list[Tensor]
"""Features in the frame, for each group of degrees `[E, rows * channels]`."""


class Piece:
    """Some edges: their rotations, factors and weights, and what the form does with them.

    Weights are `[in, out]` for all edges or `[E, in, out]`; real and, where there is one, imaginary part per order.
    """

    def __init__(
        self,
        shape: FormShape,
        into: list[Tensor],
        out_of: list[Tensor],
        factor: Tensor | None,
        weights: list[list[Tensor]] | None,
    ) -> None:
        self.shape, self.into, self.out_of = shape, into, out_of
        self.factor, self.matrices = factor, weights or []

    def convolved(self, x: Tensor) -> Tensor:
        """`D^T W (f * D x)`."""
        shape = self.shape
        inside = self._scaled(_into_frame(x, self.into, shape.groups_in))
        mixed = _mixed(
            inside, self.matrices, (shape.groups_in, shape.channels_in), (shape.groups_out, shape.channels_out)
        )
        return _out_of_frame(mixed, self.out_of, shape.channels_out)

    def transposed(self, g: Tensor) -> Tensor:
        """`D^T (f * W^T D g)`."""
        return _out_of_frame(self._scaled(self._pulled_back(g)), self.into, self.shape.channels_in)

    def factors(self, x: Tensor, g: Tensor) -> Tensor:
        """`(D x) * (W^T D g)`, summed over the two signs of each order, `[E, factors]`."""
        shape = self.shape
        inside, pulled = _into_frame(x, self.into, shape.groups_in), self._pulled_back(g)
        found = []
        for m in range(shape.mmax + 1):
            left, right = (_of_order(y, shape.groups_in, shape.channels_in, m) for y in (inside, pulled))
            found.append((left * right).sum(1))
        return torch.cat(found, dim=1)

    def weights(self, x: Tensor, g: Tensor, per_row: bool) -> Tensor:
        """Products of `f * D x` and `D g`, `[weights]` summed over the edges or `[E, weights]`."""
        shape = self.shape
        inside = self._scaled(_into_frame(x, self.into, shape.groups_in))
        upstream = _into_frame(g, self.out_of, shape.groups_out)
        found = []
        for m in range(shape.mmax + 1):
            left = _of_order(inside, shape.groups_in, shape.channels_in, m)
            right = _of_order(upstream, shape.groups_out, shape.channels_out, m)
            found.append(_outer(left, right, per_row))
            if shape.parts(m) == 2:
                turned = torch.stack([right[:, 1], -right[:, 0]], dim=1)
                found.append(_outer(left, turned, per_row))
        return torch.cat(found, dim=-1)

    def _pulled_back(self, g: Tensor) -> Rotated:
        shape = self.shape
        transposed = [
            [part.transpose(-1, -2) if i == 0 else -part.transpose(-1, -2) for i, part in enumerate(parts)]
            for parts in self.matrices
        ]
        inside = _into_frame(g, self.out_of, shape.groups_out)
        return _mixed(inside, transposed, (shape.groups_out, shape.channels_out), (shape.groups_in, shape.channels_in))

    def _scaled(self, inside: Rotated) -> Rotated:
        if self.factor is None:
            return inside
        channels, start = self.shape.channels_in, 0
        for m in range(self.shape.mmax + 1):
            for y, group in zip(inside, self.shape.groups_in, strict=True):
                if (n := group.count(m)) and m <= group.mmax:
                    first = start + (max(group.low, m) - m) * channels
                    _run(y, group, channels, m).mul_(self.factor[:, first : first + n * channels].unsqueeze(1))
            start += self.shape.size(m)[0]
        return inside


def _into_frame(x: Tensor, rotations: list[Tensor], groups: Sequence[Group]) -> Rotated:
    return [torch.bmm(d, x[:, group.columns]).flatten(1) for d, group in zip(rotations, groups, strict=True)]


def _out_of_frame(inside: Rotated, rotations: list[Tensor], channels: int) -> Tensor:
    parts = [
        torch.bmm(d.transpose(1, 2), y.unflatten(1, (-1, channels))) for d, y in zip(rotations, inside, strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _run(y: Tensor, group: Group, channels: int, m: int) -> Tensor:
    """View of the components of order +m and -m, `[E, 1 or 2, degrees * channels]`."""
    signs, start, width = 1 if m == 0 else 2, group.start(m) * channels, group.count(m) * channels
    return y[:, start : start + signs * width].view(len(y), signs, width)


def _of_order(inside: Rotated, groups: Sequence[Group], channels: int, m: int) -> Tensor:
    """All components of order +m and -m, `[E, 1 or 2, in]`."""
    runs = [_run(y, group, channels, m) for y, group in zip(inside, groups, strict=True) if m <= group.mmax]
    return runs[0] if len(runs) == 1 else torch.cat(runs, dim=2)


def _outer(left: Tensor, right: Tensor, per_row: bool) -> Tensor:
    """Sum over signs, and over edges unless `per_row`, of outer products, flattened."""
    if per_row:
        return torch.bmm(left.transpose(1, 2), right).flatten(1)
    found = left[:, 0].t() @ right[:, 0]
    for sign in range(1, left.shape[1]):
        found.addmm_(left[:, sign].t(), right[:, sign])
    return found.flatten()


def _mixed(
    inside: Rotated, matrices: list[list[Tensor]], source: tuple[list[Group], int], target: tuple[list[Group], int]
) -> Rotated:
    """W y: at each order, all degrees and channels mix; source and target are groups and channels."""
    groups_in, channels_in = source
    groups_out, channels_out = target
    found = [
        y_out.new_empty(len(y_out), len(group.rows) * channels_out) for group in groups_out for y_out in inside[:1]
    ]
    for m, parts in enumerate(matrices):
        for y_out, group_out in zip(found, groups_out, strict=True):
            fresh = True
            for y_in, group_in in zip(inside, groups_in, strict=True):
                if m <= min(group_in.mmax, group_out.mmax):
                    block = [
                        part[..., _span(group_in, channels_in, m), _span(group_out, channels_out, m)] for part in parts
                    ]
                    _accumulate(
                        _run(y_out, group_out, channels_out, m), _run(y_in, group_in, channels_in, m), block, fresh
                    )
                    fresh = False
    return found


def _span(group: Group, channels: int, m: int) -> slice:
    """Where the degrees of a group lie among all degrees of order m."""
    first = max(group.low, m) - m
    return slice(first * channels, (first + group.count(m)) * channels)


def _accumulate(target: Tensor, source: Tensor, block: list[Tensor], fresh: bool) -> None:
    """`target (+)= source W` for runs of +m and -m; with an imaginary part, the two signs mix as a complex number."""
    if len(block) == 2:
        real, imag = block
        matrix = torch.cat([torch.cat([real, imag], dim=-1), torch.cat([-imag, real], dim=-1)], dim=-2)
        pairs = [(target.flatten(1).unsqueeze(1), source.flatten(1).unsqueeze(1))]
    else:
        matrix = block[0]
        pairs = [(target, source)]
    for y_out, y_in in pairs:
        if matrix.dim() == 3:
            product = torch.bmm(y_in, matrix)
            y_out.copy_(product) if fresh else y_out.add_(product)
        else:
            for sign in range(y_in.shape[1]):
                y_out[:, sign].addmm_(y_in[:, sign], matrix, beta=0 if fresh else 1)
