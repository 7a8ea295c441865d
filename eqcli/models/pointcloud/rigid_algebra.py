"""Rigid motions as arrays of numpy: matrices `[..., 4, 4]`, and twists `[..., 6]` as `geometry.motions` has them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.geometry.motions import Motion
from eqcli.geometry.rotations import cross_matrix

FloatArray = NDArray[np.float64]


def exponential(twists: FloatArray) -> FloatArray:
    """The motions of twists."""
    return np.asarray(Motion.exp(torch.from_numpy(twists)).matrix().numpy())


def logarithm(motions: FloatArray) -> FloatArray:
    """The twists of motions, with angles of at most half a turn."""
    return np.asarray(_motion(motions).log().numpy())


def adjoint(motions: FloatArray) -> FloatArray:
    """The matrices `[..., 6, 6]` that carry twists through motions: M exp(a) = exp(Ad a) M."""
    return np.asarray(_motion(motions).adjoint().numpy())


def inverse(motions: FloatArray) -> FloatArray:
    """The motions back."""
    return np.asarray(_motion(motions).inverse().matrix().numpy())


def bracket(twists: FloatArray) -> FloatArray:
    """The matrices `[..., 6, 6]` of the Lie bracket with twists: the adjoint of a small motion, less the identity."""
    made = np.zeros((*twists.shape, 6))
    made[..., :3, :3] = made[..., 3:, 3:] = cross_matrix(torch.from_numpy(twists[..., 3:])).numpy()
    made[..., :3, 3:] = cross_matrix(torch.from_numpy(twists[..., :3])).numpy()
    return made


def about(covariance: FloatArray, point: FloatArray) -> FloatArray:
    """The covariance `[6, 6]` of a twist about the origin, from that of the same motion about a `point [3]`."""
    shift = np.eye(4)
    shift[:3, 3] = point
    carry = adjoint(shift)
    return np.asarray(carry @ covariance @ carry.T)


def _motion(matrices: FloatArray) -> Motion:
    """Without the checks of a matrix that was read."""
    whole = torch.from_numpy(np.ascontiguousarray(matrices, dtype=np.float64))
    return Motion(whole[..., :3, :3], whole[..., :3, 3])
