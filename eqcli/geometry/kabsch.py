"""The rigid motion that lays one set of points onto another, with gradients that stay finite.

Kabsch, Acta Cryst. A 32, 922 (1976); with scale Umeyama, IEEE PAMI 13, 376 (1991). The gradient is that
of the polar decomposition M = R P, from the 3x3 system (tr P - P) w = axial(R^T dM) for the turn w of R:
it has no differences of singular values, and where the rotation is not determined (collinear points, a
mirror image with a free axis) that direction gets no gradient instead of an infinite one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqcli.geometry.rotations import axial_vector, cross_matrix


@dataclass(frozen=True)
class Alignment:
    """`target ~ scale * R @ mobile + translation` for each structure.

    Attributes
    ----------
    rotation
        `[B, 3, 3]`, orthogonal.
    translation
        `[B, 3]`, the unit of the points.
    scale
        `[B]`, 1 unless asked for.
    rmsd
        `[B]`, root of the weighted mean square distance that is left.
    undetermined
        `[B]` bool: more than one rotation fits as well.
    """

    rotation: Tensor
    translation: Tensor
    scale: Tensor
    rmsd: Tensor
    undetermined: Tensor

    def apply(self, points: Tensor, batch: Tensor | None = None) -> Tensor:
        """Moves points `[N, 3]` with the index `batch [N]` of their structure, or `[B, N, 3]`."""
        if batch is None:
            turned = torch.einsum("bij,bnj->bni", self.rotation, points)
            return self.scale[:, None, None] * turned + self.translation[:, None]
        turned = torch.einsum("nij,nj->ni", self.rotation[batch], points)
        return self.scale[batch].unsqueeze(-1) * turned + self.translation[batch]


def align(
    mobile: Tensor,
    target: Tensor,
    *,
    weights: Tensor | None = None,
    batch: Tensor | None = None,
    n_structures: int | None = None,
    reflections: bool = False,
    scale: bool = False,
) -> Alignment:
    """Best superposition of `mobile` on `target`, point by point.

    Parameters
    ----------
    mobile, target
        `[B, N, 3]`, or `[N, 3]` with `batch`.
    weights
        One for each point, not negative (masses, say); all 1 without it.
    batch
        The structure of each point, `[N]`, for structures of different size.
    n_structures
        B, where `batch` is given and the last structures may be empty.
    reflections
        Whether improper rotations may be used too.
    scale
        Whether a common factor is fitted.
    """
    if batch is None:
        n_structures, n = mobile.shape[0], mobile.shape[1]
        batch = torch.arange(n_structures, device=mobile.device).repeat_interleave(n)
        mobile, target = mobile.flatten(0, 1), target.flatten(0, 1)
        weights = weights.flatten() if weights is not None else None
    count = n_structures if n_structures is not None else int(batch.max()) + 1
    share = _shares(torch.ones_like(mobile[:, 0]) if weights is None else weights, batch, count).unsqueeze(-1)

    def mean(values: Tensor) -> Tensor:
        return values.new_zeros(count, values.shape[-1]).index_add(0, batch, share * values)

    centre1, centre2 = mean(mobile), mean(target)
    x, y = mobile - centre1[batch], target - centre2[batch]
    covariance = mean((y.unsqueeze(-1) * x.unsqueeze(-2)).flatten(-2)).unflatten(-1, (3, 3))
    rotation, gap = optimal_rotation(covariance, reflections=reflections)
    factor = torch.ones_like(centre1[:, 0])
    if scale:
        spread = mean(x.square()).sum(-1)
        empty = spread == 0
        overlap = (rotation * covariance).sum((-1, -2))
        factor = torch.where(empty, factor, overlap / torch.where(empty, factor, spread))
    left = factor[batch].unsqueeze(-1) * torch.einsum("nij,nj->ni", rotation[batch], x) - y
    shift = centre2 - factor.unsqueeze(-1) * torch.einsum("bij,bj->bi", rotation, centre1)
    rmsd = _root(mean(left.square()).sum(-1))
    return Alignment(rotation, shift, factor, rmsd, gap < _precision(gap))


def optimal_rotation(covariance: Tensor, *, reflections: bool = False) -> tuple[Tensor, Tensor]:
    """R that maximises tr(R^T M) for `M = sum_i w_i y_i x_i^T`, `[B, 3, 3]`, and how well it is determined.

    The second result, `[B]`, is the smallest sum of two singular values over the largest one: 0 where a
    turn about some axis costs nothing. It has no gradient.
    """
    rotation, gap = _OptimalRotation.apply(covariance, reflections)
    return rotation, gap


class _OptimalRotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, covariance: Tensor, reflections: bool) -> tuple[Tensor, Tensor]:
        u, s, vh = torch.linalg.svd(covariance.double())
        if not reflections:
            sign = torch.linalg.det(u @ vh).sign()
            last = sign.new_ones(*sign.shape, 3)
            last[..., 2] = sign
            u, s = u * last.unsqueeze(-2), s * last
        rotation = (u @ vh).to(covariance.dtype)
        largest = s[..., 0]
        gap = (s[..., 1] + s[..., 2]) / torch.where(largest > 0, largest, torch.ones_like(largest))
        gap = gap.to(covariance.dtype)
        ctx.save_for_backward(covariance, rotation)
        ctx.mark_non_differentiable(gap)
        return rotation, gap

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        covariance, rotation = ctx.saved_tensors
        p = rotation.transpose(-1, -2) @ covariance
        p = 0.5 * (p + p.transpose(-1, -2))
        trace = p.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        system = trace * torch.eye(3, dtype=p.dtype, device=p.device) - p
        # dR = R [w]_x with (tr P - P) w = 2 axial(R^T dM): the adjoint takes the gradient the same way back.
        torque = 2 * axial_vector(rotation.transpose(-1, -2) @ gradients[0])
        turn = (_pseudo_inverse(system) @ torque.unsqueeze(-1)).squeeze(-1)
        return rotation @ cross_matrix(turn), None


def _pseudo_inverse(matrix: Tensor) -> Tensor:
    """Inverse of positive semidefinite 3x3 matrices that takes their null space to zero, smoothly.

    (K^2 + e^2)^-1 K, with e the root of the precision, and two of Newton's steps, which bring regular matrices
    to full precision and leave the null space alone.
    """
    size = matrix.square().sum((-1, -2), keepdim=True)
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    floor = torch.finfo(matrix.dtype).tiny
    scale = torch.where(size > floor, size, torch.ones_like(size)).rsqrt()
    k = matrix * scale
    inverse = torch.linalg.solve(k @ k + torch.finfo(matrix.dtype).eps * identity, k)
    for _ in range(2):
        inverse = 2 * inverse - inverse @ k @ inverse
    return inverse * scale


def _shares(weights: Tensor, batch: Tensor, count: int) -> Tensor:
    """Weights over their sum in each structure; equal to zero where the sum is."""
    total = weights.new_zeros(count).index_add(0, batch, weights)
    return weights / torch.where(total > 0, total, torch.ones_like(total))[batch]


def _root(square: Tensor) -> Tensor:
    """Square root whose gradient at zero is zero."""
    zero = square <= 0
    root = torch.where(zero, torch.ones_like(square), square).sqrt()
    return torch.where(zero, torch.zeros_like(root), root)


def _precision(like: Tensor) -> float:
    """Relative size of what counts as zero."""
    return float(torch.finfo(like.dtype).eps ** 0.5)
