"""What PARE-Net is trained by: superpoints, points of patches, and vectors that the true rotation has turned."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from eqcli.models.pointcloud.pare_matching import match_rotations, patch_log_likelihood

NEAR, FAR = 0.1, 1.4
"""Unit features of what belongs together are to be nearer than the first, of what does not farther than the second."""

SHARPNESS = 24.0

LEAST_OVERLAP = 0.1
"""Superpoints whose patches overlap less are neither to be alike nor to differ."""


def circle_loss(first: Tensor, second: Tensor, overlaps: Tensor) -> Tensor:
    """Overlap-weighted circle loss of unit features `[n, C]` and `[m, C]`; overlaps `[n, m]`.

    Qin et al., Geometric Transformer, CVPR 2022, section 3.4; Sun et al., Circle Loss, CVPR 2020.
    """
    distance = ((2.0 - 2.0 * first @ second.T).clamp(min=0.0) + 1e-8).sqrt()
    same, other = overlaps > LEAST_OVERLAP, overlaps == 0
    # The pull of a pair grows with its distance from where it should be; it has no gradient of its own.
    pull = ((distance - NEAR).clamp(min=0.0) * overlaps.sqrt()).detach()
    push = (FAR - distance).clamp(min=0.0).detach()
    near = (SHARPNESS * pull * (distance - NEAR)).masked_fill(~same, -1e9)
    far = (SHARPNESS * push * (FAR - distance)).masked_fill(~other, -1e9)
    terms = []
    for dim in (1, 0):
        useful = same.any(dim) & other.any(dim)
        each = softplus(near.logsumexp(dim) + far.logsumexp(dim)) / SHARPNESS
        terms.append(each[useful].mean() if bool(useful.any()) else distance.sum() * 0.0)
    return (terms[0] + terms[1]) / 2


def patch_loss(
    features: tuple[Tensor, Tensor],
    open_: tuple[Tensor, Tensor],
    real: tuple[Tensor, Tensor],
    distance: Tensor,
    radius: float,
) -> Tensor:
    """Negative log likelihood of the true matches of S pairs of patches, and of having none where there is none.

    Two points match where each is the nearest of the other's patch. Others that lie nearly as near are no mistakes:
    they are left out.

    Parameters
    ----------
    features, open_, real
        As :func:`patch_log_likelihood` takes them.
    distance
        `[S, p, q]`, of the points in the true pose.
    radius
        Points farther from each other do not match.
    """
    distance = distance.masked_fill(~(real[0].unsqueeze(2) & real[1].unsqueeze(1)), torch.inf)
    near = distance < radius
    mutual = near & (distance == distance.amin(2, keepdim=True)) & (distance == distance.amin(1, keepdim=True))
    likelihood = patch_log_likelihood(*features, *real, *open_, near & ~mutual)
    found = -likelihood[mutual].mean() if bool(mutual.any()) else likelihood.new_zeros(())
    for logits, mask, has in zip(open_, real, (near.any(2), near.any(1)), strict=True):
        lonely = mask & ~has
        if bool(lonely.any()):
            found = found - logsigmoid(-logits[lonely]).mean() / 2
    return found


def points_loss(first: Tensor, second: Tensor, points: Tensor, matches: Tensor, apart: float) -> Tensor:
    """Contrast of features `[n, F]` and `[m, F]` over whole clouds: each match against all the others.

    Parameters
    ----------
    points
        `[m, 3]`, of the second cloud; matches whose points there are nearer than `apart` are no rivals.
    matches
        `[2, M]`.
    """
    if matches.shape[1] < 2:
        return first.sum() * 0.0
    logits = first[matches[0]] @ second[matches[1]].T
    at = points[matches[1]]
    rivals = torch.cdist(at, at) >= apart
    logits = logits.masked_fill(~rivals & ~torch.eye(len(at), dtype=torch.bool, device=at.device), -1e9)
    return -(logits.log_softmax(1).diagonal().mean() + logits.log_softmax(0).diagonal().mean()) / 2


def rotation_loss(first: Tensor, second: Tensor, rotation: Tensor, matches: Tensor, apart: Tensor) -> Tensor:
    """Contrast of unit-norm vector features, the first turned by the true rotation.

    Parameters
    ----------
    first, second
        `[n, 3, V]` and `[m, 3, V]`.
    rotation
        `[3, 3]`.
    matches, apart
        `[2, M]` and `[2, K]`, points that lie together, and points that lie far from each other.
    """
    turned = rotation @ first
    same = _distance(turned[matches[0]], second[matches[1]])
    other = _distance(turned[apart[0]], second[apart[1]])
    loss = (same - NEAR).clamp(min=0.0).mean() if len(same) else turned.sum() * 0.0
    return loss + ((FAR - other).clamp(min=0.0).mean() if len(other) else 0.0)


def hypothesis_loss(first: Tensor, second: Tensor, rotation: Tensor, matches: Tensor) -> Tensor:
    """Mean distance, 0 to 1, of the rotations that true matches give from the true one.

    |R_i - R|_F / sqrt 8, which is the sine of half the angle between them: matches that cannot tell do not outweigh
    those that can. Parameters as in :func:`rotation_loss`.
    """
    if not matches.shape[1]:
        return first.sum() * 0.0
    found = match_rotations(first[matches[0]], second[matches[1]])
    return ((found - rotation).square().sum((-2, -1)) / 8 + 1e-6).sqrt().mean()


def _distance(first: Tensor, second: Tensor) -> Tensor:
    return ((first - second).square().sum((-2, -1)) + 1e-8).sqrt()


def unit_norm(vectors: Tensor) -> Tensor:
    """Vector features `[n, 3, V]` scaled so that all numbers of a point have a square sum of 1."""
    return vectors * torch.rsqrt(vectors.square().sum((-2, -1), keepdim=True) + 1e-12)
