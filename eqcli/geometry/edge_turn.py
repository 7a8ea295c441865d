"""Features turned into the frames of edges and back, for nonlinear maps that commute with turns about the edge.

Let N be any map of features in the frame that commutes with turns about its pole, and D the rotation into the
frame. Then D^T N(D x) does not depend on the roll of the frame about the edge, nor does any derivative of it. So D
may be differentiated as if its roll never changed: a turn of the direction n by w = n x dn acts on features alone,
`d(D x) = -D (w . J) x`, with the generators J. No derivative of a Wigner matrix is needed, and the jump of the roll
(:class:`eqcli.geometry.edge_rotation.FrameMatrices`) is not seen, at any order of derivatives.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from eqcli.geometry.edge_rotation import EdgeRotation, Group, groups
from eqcli.geometry.wigner import generators


def into_frame(x: Tensor, rotation: EdgeRotation, lmax: int, mmax: int) -> Tensor:
    """D x: features of each edge `[E, (lmax+1)^2, C]` in its frame, `[E, rows, C]`.

    The rows are `frame(lmax, mmax).rows`: by order 0, +1, -1, +2 .., each with its degrees ascending. Derivatives
    with respect to the direction are right for what commutes with turns about the edge, and for nothing else.
    """
    if lmax == 0:
        return x
    found: Tensor = _Turn.apply(x, rotation.directions, rotation, lmax, mmax, False)
    return found


def out_of_frame(z: Tensor, rotation: EdgeRotation, lmax: int, mmax: int) -> Tensor:
    """D^T z: what :func:`into_frame` gave back out of the frame, `[E, rows, C] -> [E, (lmax+1)^2, C]`."""
    if lmax == 0:
        return z
    found: Tensor = _Turn.apply(z, rotation.directions, rotation, lmax, mmax, True)
    return found


def frame(lmax: int, mmax: int) -> Group:
    """The components in the frame, all degrees in one group."""
    return Group(0, lmax, min(lmax, mmax))


class _Turn(torch.autograd.Function):
    """Into the frame or back; each is the derivative of the other."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, directions: Tensor, rotation: EdgeRotation, lmax: int, mmax: int, back: bool
    ) -> Tensor:
        found = _turned_back(x, rotation, lmax, mmax) if back else _turned(x, rotation, lmax, mmax)
        ctx.save_for_backward(directions, found if back else x)
        ctx.where = rotation, lmax, mmax, back
        return found

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        directions, outside = ctx.saved_tensors
        rotation, lmax, mmax, back = ctx.where
        found = _Turn.apply(upstream, directions, rotation, lmax, mmax, not back)
        of_direction = None
        if ctx.needs_input_grad[1]:
            # g . D^T z is linear in features on either side of the frame: those outside it feel the torque.
            partial, argument = (outside, upstream) if back else (found, outside)
            of_direction = torch.linalg.cross(directions, _torque(partial, argument, lmax, mmax))
        return (found if ctx.needs_input_grad[0] else None), of_direction, None, None, None, None


def _turned(x: Tensor, rotation: EdgeRotation, lmax: int, mmax: int) -> Tensor:
    matrices, parts = rotation.matrices(lmax, mmax), groups(lmax, mmax)
    if len(parts) == 1:
        return torch.bmm(matrices[0], x)
    inside = [torch.bmm(d, x[:, group.columns]) for d, group in zip(matrices, parts, strict=True)]
    return torch.cat(inside, dim=1).index_select(1, _places(lmax, mmax, x.device))


def _turned_back(z: Tensor, rotation: EdgeRotation, lmax: int, mmax: int) -> Tensor:
    matrices, parts = rotation.matrices(lmax, mmax), groups(lmax, mmax)
    if len(parts) == 1:
        return torch.bmm(matrices[0].transpose(1, 2), z)
    grouped = z.index_select(1, torch.argsort(_places(lmax, mmax, z.device)))
    inside = grouped.split([len(group.rows) for group in parts], dim=1)
    return torch.cat([torch.bmm(d.transpose(1, 2), y) for d, y in zip(matrices, inside, strict=True)], dim=1)


@cache
def _places(lmax: int, mmax: int, device: torch.device) -> Tensor:
    """Where each row of the whole frame lies in the rows of its groups."""
    grouped = [row for group in groups(lmax, mmax) for row in group.rows]
    return torch.tensor([grouped.index(row) for row in frame(lmax, mmax).rows], device=device)


def _torque(partial: Tensor, argument: Tensor, lmax: int, mmax: int) -> Tensor:
    """`sum_c partial . J_k argument` for the turns k about x, y and z, `[E, 3]`."""
    parts = groups(lmax, mmax)
    sizes = [group.columns.stop - group.columns.start for group in parts]
    found = [
        torch.bmm(left, right.transpose(1, 2)).flatten(1)
        @ _generators(group.low, group.high, partial.dtype, partial.device)
        for group, left, right in zip(parts, partial.split(sizes, 1), argument.split(sizes, 1), strict=True)
    ]
    return found[0] if len(found) == 1 else torch.stack(found).sum(0)


@cache
def _generators(low: int, high: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Generators of the degrees low .. high in one block, `[components^2, 3]`."""
    blocks = [
        torch.block_diag(*axis)
        for axis in zip(*(generators(degree).unbind() for degree in range(low, high + 1)), strict=True)
    ]
    return torch.stack([block.flatten() for block in blocks], dim=1).to(device=device, dtype=dtype)
