"""How uncertain a motion is that least squares found from matches."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.motions import Motion
from eqcli.geometry.rotations import cross_matrix
from eqcli.models.pointcloud.matches import Matches

UNDETERMINED_BELOW = 1e-10
"""Smallest over largest eigenvalue of the information below which a direction counts as free."""


def motion_covariance(motion: Motion, matches: Matches, inliers: Tensor) -> Tensor:
    """Covariance `[6, 6]` of the perturbation `exp(translation, rotation vector)` on the left of the motion.

    In the target frame; units^2 for the translation, rad^2 for the rotation. The errors of the matches are taken
    as independent, equal in all directions, with variance inversely proportional to the weight; their size is
    estimated from the residuals of the inliers with 3 n - 6 degrees of freedom. Inliers are cut at the threshold,
    so that a threshold below about three standard deviations of the errors makes the covariance too small, and
    errors that neighbouring matches share make it too small as well.

    Where the inliers do not determine the motion (fewer than three, or on a line) the diagonal is infinite and
    the rest zero.
    """
    free = torch.diag(torch.full((6,), float("inf"), dtype=torch.float64, device=matches.source.device))
    weights = matches.weights * inliers
    count = int((weights > 0).sum())
    if count < 3:
        return free
    moved = motion.apply(matches.source)
    centre = (weights @ moved) / weights.sum()
    arm = moved - centre
    reach = ((weights @ arm.square().sum(1)) / weights.sum()).sqrt()
    information = point_information(arm / reach, weights) if reach > 0 else torch.zeros(6, 6)
    values = torch.linalg.eigvalsh(information)
    if not bool(values[0] > UNDETERMINED_BELOW * values[-1]):
        return free
    square = (moved - matches.target).square().sum(1)
    variance = (weights @ square) / (3 * count - 6)
    scale = torch.ones(6, dtype=values.dtype, device=values.device)
    scale[3:] = 1 / reach
    local = variance * torch.linalg.inv(information) * scale.unsqueeze(1) * scale
    return shifted_covariance(local, centre)


def point_information(points: Tensor, weights: Tensor) -> Tensor:
    """sum_i w_i J_i^T J_i, `[6, 6]`, for what a twist does to points `[N, 3]`: J = (1, -[p]x)."""
    identity = torch.eye(3, dtype=points.dtype, device=points.device).expand(len(points), 3, 3)
    jacobian = torch.cat([identity, -cross_matrix(points)], dim=-1)
    return torch.einsum("n,nia,nib->ab", weights, jacobian, jacobian)


def shifted_covariance(local: Tensor, centre: Tensor) -> Tensor:
    """The covariance about the origin of one `[6, 6]` whose turns are about `centre [3]`.

    A turn w about c moves the origin by c x w.
    """
    lever = torch.eye(6, dtype=local.dtype, device=local.device)
    lever[:3, 3:] = cross_matrix(centre)
    return lever @ local @ lever.T
