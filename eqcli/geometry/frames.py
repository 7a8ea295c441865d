"""Frames of atoms: orthogonal axes that turn with a structure, for models that know no symmetry themselves.

A frame is a matrix U `[3, 3]` whose columns are its axes. `x U` are the coordinates of row vectors in the frame,
the same for a structure and its rotated image; what a model gives there is turned back with U^T.
Frame averaging: Puny et al., ICLR 2022; one random frame: Duval et al., ICML 2023 (FAENet).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any

import torch
from torch import Tensor

DEGENERATE = 1e-3
"""Eigenvalues of the covariance nearer than this, relative to the largest, do not fix their axes."""


class FrameGroup(StrEnum):
    """The group under which an average over frames is invariant."""

    O3 = "O(3)"
    SO3 = "SO(3)"
    O2 = "O(2)"
    """Rotations about z and mirror planes that hold z: slabs."""
    SO2 = "SO(2)"

    @property
    def planar(self) -> bool:
        """Whether z is held."""
        return self in (FrameGroup.O2, FrameGroup.SO2)

    @property
    def proper(self) -> bool:
        """Whether mirror images are told apart."""
        return self in (FrameGroup.SO3, FrameGroup.SO2)


@dataclass(frozen=True)
class Frames:
    """F frames for each of B structures.

    Attributes
    ----------
    axes
        `[F, B, 3, 3]`, columns are axes.
    centre
        `[B, 3]`, Å.
    degenerate
        `[B]` bool: equal moments leave axes open, so the frames jump under small changes of the structure.
    """

    axes: Tensor
    centre: Tensor
    degenerate: Tensor

    def coordinates(self, positions: Tensor, batch: Tensor) -> Tensor:
        """Positions in each frame, `[N, 3] -> [F, N, 3]`."""
        return _turn(positions - self.centre[batch], self.axes[:, batch])

    def cells(self, cell: Tensor) -> Tensor:
        """Cells (rows are lattice vectors) in each frame, `[B, 3, 3] -> [F, B, 3, 3]`."""
        return cell @ self.axes

    def average_scalars(self, values: Tensor) -> Tensor:
        """Invariant mean over the frames, `[F, ..] -> [..]`."""
        return values.mean(0)

    def average_vectors(self, values: Tensor, batch: Tensor | None = None) -> Tensor:
        """Mean of vectors turned back, `[F, N, 3] -> [N, 3]`; one per structure without `batch`."""
        axes = self.axes if batch is None else self.axes[:, batch]
        return _turn(values, axes.transpose(-1, -2)).mean(0)

    def average_tensors(self, values: Tensor, batch: Tensor | None = None) -> Tensor:
        """Mean of rank-2 tensors (stress) turned back, `[F, N, 3, 3] -> [N, 3, 3]`."""
        axes = self.axes if batch is None else self.axes[:, batch]
        return (axes @ values @ axes.transpose(-1, -2)).mean(0)

    def draw(self, generator: torch.Generator | None = None) -> Frames:
        """One frame for each structure at random: equivariant in expectation alone."""
        n, b = self.axes.shape[:2]
        source = generator.device if generator is not None else self.axes.device
        chosen = torch.randint(n, (b,), generator=generator, device=source).to(self.axes.device)
        axes = self.axes[chosen, torch.arange(b, device=chosen.device)]
        return Frames(axes.unsqueeze(0), self.centre, self.degenerate)


def principal_frames(
    positions: Tensor,
    batch: Tensor,
    n_structures: int,
    *,
    group: FrameGroup | str = FrameGroup.O3,
    weights: Tensor | None = None,
) -> Frames:
    """Axes of the covariance of positions, largest first, with every choice of signs that the group has.

    8 frames for O(3), 4 for SO(3) (det = 1), 4 and 2 for O(2) and SO(2) about z. Gradients are finite for
    equal moments: the reciprocal of a gap is smoothly cut off.

    Parameters
    ----------
    positions
        `[N, 3]` Å; for a crystal those of one cell, and :meth:`Frames.cells` turns the cell.
    batch
        Structure of each atom, `[N]`.
    n_structures
        B.
    weights
        `[N]`, not negative; all 1 without it.
    """
    group = FrameGroup(group)
    moments, axes, centre = principal_axes(positions, batch, n_structures, planar=group.planar, weights=weights)
    gap = (moments[:, :-1] - moments[:, 1:]).amin(-1)
    degenerate = (gap <= DEGENERATE * moments[:, 0]).detach()
    signed = _signed(axes, proper=group.proper)
    return Frames(upright(signed) if group.planar else signed, centre, degenerate)


def principal_axes(
    positions: Tensor, batch: Tensor, n_structures: int, *, planar: bool = False, weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Moments (descending) and axes (columns) of the covariance of positions, and their mean.

    `[B, n]`, `[B, n, n]` and `[B, 3]`; n is 2 in the plane of x and y, otherwise 3. Arguments as those of
    :func:`principal_frames`.
    """
    weight = torch.ones_like(positions[:, :1]) if weights is None else weights.unsqueeze(-1)
    total = weight.new_zeros(n_structures, 1).index_add(0, batch, weight)
    share = weight / torch.where(total > 0, total, torch.ones_like(total))[batch]
    centre = positions.new_zeros(n_structures, 3).index_add(0, batch, share * positions)
    x = positions - centre[batch]
    x = x[:, :2] if planar else x
    outer = share.unsqueeze(-1) * x.unsqueeze(-1) * x.unsqueeze(-2)
    covariance = outer.new_zeros(n_structures, *outer.shape[1:]).index_add(0, batch, outer)
    moments, axes = smooth_eigh(covariance)
    return moments.flip(-1), axes.flip(-1), centre


def _signed(axes: Tensor, *, proper: bool) -> Tensor:
    """All choices of signs of the columns, `[B, n, n] -> [2^n or 2^(n-1), B, n, n]`."""
    n = axes.shape[-1]
    signs = torch.tensor(list(product((1.0, -1.0), repeat=n)), dtype=axes.dtype, device=axes.device)
    if not proper:
        return axes * signs[:, None, None, :]
    signs = signs[signs.prod(-1) > 0]
    handedness = torch.linalg.det(axes).detach().sign()
    last = torch.cat([axes[..., :-1], axes[..., -1:] * handedness[:, None, None]], dim=-1)
    return last * signs[:, None, None, :]


def upright(axes: Tensor) -> Tensor:
    """`[.., 2, 2] -> [.., 3, 3]` with z left as it is."""
    padded = torch.nn.functional.pad(axes, (0, 1, 0, 1))
    corner = torch.zeros(3, 3, dtype=axes.dtype, device=axes.device)
    corner[2, 2] = 1.0
    return padded + corner


def gram_schmidt_frames(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Right-handed frames whose first axis is along `a` and whose second is in the plane of `a` and `b`.

    Returns axes `[.., 3, 3]` as columns, and `[..]` bool where vectors that are zero or collinear leave the frame
    open; there some perpendicular axis is taken, without gradient through `b`.
    """
    a, b = torch.broadcast_tensors(a, b)
    first, open1 = _unit(a, torch.tensor([1.0, 0.0, 0.0], dtype=a.dtype, device=a.device).expand_as(a))
    across = b - (first * b).sum(-1, keepdim=True) * first
    # The coordinate axis that is most nearly perpendicular to the first.
    away = torch.nn.functional.one_hot(first.detach().abs().argmin(-1), 3).to(a.dtype)
    spare = torch.nn.functional.normalize(away - (first * away).sum(-1, keepdim=True) * first, dim=-1)
    second, open2 = _unit(across, spare, b)
    # One more projection: what rounding left along the first axis is large beside a short second vector.
    second = torch.nn.functional.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    axes = torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)
    return axes, (open1 | open2).squeeze(-1)


def _unit(v: Tensor, spare: Tensor, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """v / |v|, and `spare` where v is zero or vanishes beside `scale`."""
    square = v.square().sum(-1, keepdim=True)
    info = torch.finfo(v.dtype)
    least = info.tiny if scale is None else info.eps * scale.square().sum(-1, keepdim=True)
    empty = (square <= least) | (square <= info.tiny)
    safe = torch.where(empty, spare, v)
    return safe / torch.where(empty, torch.ones_like(square), square).sqrt(), empty


def smooth_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (ascending) and eigenvectors (columns) of symmetric matrices, with finite gradients.

    1/(gap) in the derivative of the eigenvectors becomes gap / (gap^2 + e^2), e relative to the
    matrix: exact for separate eigenvalues, zero for equal ones.
    """
    values, vectors = _SmoothEigh.apply(0.5 * (matrix + matrix.transpose(-1, -2)))
    return values, vectors


class _SmoothEigh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(matrix)
        ctx.save_for_backward(values, vectors)
        return values, vectors

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        values, vectors = ctx.saved_tensors
        by_values, by_vectors = gradients
        gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
        size = values.square().sum(-1)[..., None, None]
        info = torch.finfo(values.dtype)
        reciprocal = gaps / (gaps.square() + info.eps * size + info.tiny)
        # Zero on the diagonal, but its derivative there would be the difference of two huge numbers.
        diagonal = torch.eye(values.shape[-1], dtype=torch.bool, device=values.device)
        reciprocal = reciprocal.masked_fill(diagonal, 0.0)
        transposed = vectors.transpose(-1, -2)
        inner = torch.diag_embed(by_values) + reciprocal * (transposed @ by_vectors)
        result = vectors @ inner @ transposed
        return 0.5 * (result + result.transpose(-1, -2))


def _turn(rows: Tensor, axes: Tensor) -> Tensor:
    """`[.., 3]` row vectors times `[.., 3, 3]`."""
    return (rows.unsqueeze(-2) @ axes).squeeze(-2)
