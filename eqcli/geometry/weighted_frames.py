"""Principal frames with weights, so that averages over them stay smooth where moments become equal.

Principal axes are open where two moments are equal: no choice of finitely many frames is continuous there (Dym,
Lawrence and Siegel, ICML 2024). So the frames fade, over a window of relative gaps, into an average over all rotations
that the equal moments leave open, by a quadrature: rings about the axis that is left, or all of SO(3). What is averaged
then has the symmetry of its group up to the quadrature, whose error falls exponentially with its resolution, and is
as smooth as the fade, C2, whatever the moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqcli.geometry.frames import FrameGroup, gram_schmidt_frames, principal_axes, upright
from eqcli.geometry.sphere_grid import azimuths, gauss_legendre

OPEN, FIXED = 0.01, 0.05
"""Gaps between moments, relative to the largest, up to which axes count as open, and from which they are fixed."""

Choice = Literal["all", "random", "first"]


@dataclass(frozen=True)
class WeightedFrames:
    """K frames in all for B structures.

    Attributes
    ----------
    structure
        To which structure each frame belongs, `[K]`.
    axes
        `[K, 3, 3]`, columns are axes: `x @ axes` are coordinates in the frame.
    weight
        `[K]`, not negative; 1 in sum for each structure.
    """

    structure: Tensor
    axes: Tensor
    weight: Tensor


def weighted_frames(
    vectors: Tensor,
    batch: Tensor,
    n_structures: int,
    *,
    group: FrameGroup | str = FrameGroup.O3,
    weights: Tensor | None = None,
    resolution: int = 8,
    choice: Choice = "all",
) -> WeightedFrames:
    """Frames of the covariance of vectors or positions.

    Parameters
    ----------
    vectors
        `[M, 3]` Å; their mean is taken off, which edge vectors in both directions do not have.
    batch, n_structures, group, weights
        As in :func:`eqcli.geometry.frames.principal_frames`.
    resolution
        Turns about one axis in the quadrature for open axes, a multiple of 4: 4 * resolution frames about a single
        axis, resolution^3 where all are open, half as many for groups without mirrors. 0 takes principal axes
        as they come, open or not.
    choice
        `all`; or one of each kind (principal, ring, sphere) that has weight, at `random` with the probability
        that it has among all, from torch's generator, or the `first`.
    """
    group = FrameGroup(group)
    moments, axes, _ = principal_axes(vectors, batch, n_structures, planar=group.planar, weights=weights)
    signs = torch.tensor(_signs(axes.shape[-1], group.proper), dtype=axes.dtype, device=axes.device)
    parts = []
    for share, base, turns, measure in _kinds(moments, axes, resolution, group):
        chosen = (share.detach() > 0).nonzero().squeeze(1)
        if len(chosen) == 0:
            continue
        turned = base[chosen].unsqueeze(1) @ turns  # [C, T, n, n]
        every = (turned.unsqueeze(2) * signs[:, None, :]).flatten(1, 2)  # [C, T S, n, n]
        weight = (measure / len(signs)).repeat_interleave(len(signs))
        parts.append(_taken(chosen, every, share[chosen], weight, choice))
    structure, frames, weight = (torch.cat(part) for part in zip(*parts, strict=True))
    return WeightedFrames(structure, upright(frames) if group.planar else frames, weight)


def _taken(
    structure: Tensor, axes: Tensor, share: Tensor, measure: Tensor, choice: Choice
) -> tuple[Tensor, Tensor, Tensor]:
    """Structures, axes and weights of the chosen frames among `[C, T, n, n]`, whose weights are share * measure."""
    if choice == "all":
        weight = share.unsqueeze(1) * measure
        return structure.repeat_interleave(axes.shape[1]), axes.flatten(0, 1), weight.flatten()
    if choice == "random":
        which = torch.multinomial(measure, len(structure), replacement=True)
    else:
        which = torch.zeros_like(structure)
    return structure, axes[torch.arange(len(structure), device=axes.device), which], share


def _kinds(
    moments: Tensor, axes: Tensor, resolution: int, group: FrameGroup
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Kinds of frames: share of each structure `[B]`, axes `[B, n, n]`, their turns `[T, n, n]` and weights `[T]`."""
    n = axes.shape[-1]
    lab = torch.eye(n, dtype=axes.dtype, device=axes.device)
    one = torch.ones(1, dtype=axes.dtype, device=axes.device)
    principal = _proper(axes) if group.proper else axes
    if resolution == 0:
        return [(torch.ones_like(moments[:, 0]), principal, lab.unsqueeze(0), one)]
    fixed = _fixed(moments)  # [B, n - 1]
    ring = lab.new_tensor(_ring(resolution))
    even = lab.new_full((len(ring),), 1.0 / len(ring))
    if group.planar:
        first = fixed[:, 0]
        return [
            (first, principal, lab.unsqueeze(0), one),
            (1 - first, lab.expand_as(axes), ring, even),
        ]
    upper, lower = fixed.unbind(1)
    about_first = torch.zeros(len(ring), 3, 3, dtype=axes.dtype, device=axes.device)
    about_first[:, 0, 0], about_first[:, 1:, 1:] = 1.0, ring
    everything, measure = (lab.new_tensor(part) for part in _sphere(resolution))
    return [
        (upper * lower, principal, lab.unsqueeze(0), one),
        (upper * (1 - lower), _around(axes[..., 0]), about_first, even),
        # The axis comes last, as the smallest moment does.
        ((1 - upper) * lower, _around(axes[..., 2]).roll(-1, -1), upright(ring), even),
        # In axes of the laboratory: eigenvectors would say nothing, and their derivatives less.
        ((1 - upper) * (1 - lower), lab.expand_as(axes), everything, measure),
    ]


def _fixed(moments: Tensor) -> Tensor:
    """How far each gap between neighbouring moments fixes the axes, 0 to 1, `[B, n] -> [B, n - 1]`."""
    largest = moments[:, :1]
    empty = largest <= 0
    gaps = (moments[:, :-1] - moments[:, 1:]) / torch.where(empty, torch.ones_like(largest), largest)
    t = ((gaps - OPEN) / (FIXED - OPEN)).clamp(0.0, 1.0)
    fade = t * t * t * (10.0 + t * (6.0 * t - 15.0))
    return torch.where(empty, torch.ones_like(fade), fade)


def _around(axis: Tensor) -> Tensor:
    """Right-handed frames whose first column is the axis, the others anywhere, `[B, 3] -> [B, 3, 3]`."""
    away = torch.nn.functional.one_hot(axis.detach().abs().argmin(-1), 3).to(axis.dtype)
    return gram_schmidt_frames(axis, away)[0]


def _proper(axes: Tensor) -> Tensor:
    """The last axis turned round where the axes are left-handed."""
    handedness = torch.linalg.det(axes).detach().sign()
    return torch.cat([axes[..., :-1], axes[..., -1:] * handedness[:, None, None]], dim=-1)


def _signs(n: int, proper: bool) -> list[tuple[float, ...]]:
    every = [signs for signs in product((1.0, -1.0), repeat=n) if not proper or np.prod(signs) > 0]
    return [tuple(signs) for signs in every]


@cache
def _ring(resolution: int) -> NDArray[np.float64]:
    """Turns in the plane over half a circle, `[resolution / 2, 2, 2]`: signs complete it."""
    return _plane(azimuths(resolution)[: resolution // 2])


@cache
def _sphere(resolution: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations `[T, 3, 3]` and weights `[T]` that, with the signs of axes, integrate degrees below `resolution`.

    Rz(a) Ry(b) Rz(c) with even a and c and Gauss-Legendre nodes in cos b. Half turns about the axes, which the
    signs add, reach the other halves of b and c.
    """
    nodes, weights = gauss_legendre(resolution // 2)
    upper = nodes > 0
    tilts, measure = np.arccos(nodes[upper]), weights[upper]
    about_z = np.zeros((resolution, 3, 3))
    about_z[:, :2, :2], about_z[:, 2, 2] = _plane(azimuths(resolution)), 1.0
    about_y = np.zeros((len(tilts), 3, 3))
    about_y[:, 1, 1] = 1.0
    about_y[np.ix_(range(len(tilts)), (2, 0), (2, 0))] = _plane(tilts)
    rotations = np.einsum("aij,bjk,ckl->abcil", about_z, about_y, about_z[: resolution // 2])
    weight = np.broadcast_to(measure[None, :, None], rotations.shape[:3])
    return rotations.reshape(-1, 3, 3), (weight / weight.sum()).reshape(-1)


def _plane(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    c, s = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
