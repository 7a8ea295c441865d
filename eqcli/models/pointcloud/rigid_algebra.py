"""Exponential, logarithm and adjoint of rigid motions, for many at once.

Motions are matrices `[..., 4, 4]`; their tangents are `[..., 6]`: a translation, then a rotation vector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

FloatArray = NDArray[np.float64]

SMALL = 1e-4
"""Angle in radians below which series stand for quotients of small numbers."""


def cross(vectors: FloatArray) -> FloatArray:
    """The matrices `[..., 3, 3]` that take the cross product with `vectors [..., 3]` from the left."""
    made = np.zeros((*vectors.shape, 3))
    x, y, z = np.moveaxis(vectors, -1, 0)
    made[..., 0, 1], made[..., 0, 2], made[..., 1, 2] = -z, y, -x
    return made - np.swapaxes(made, -1, -2)


def exponential(tangents: FloatArray) -> FloatArray:
    """The motions of tangents `[N, 6]`, `[N, 4, 4]`."""
    turns = tangents[:, 3:]
    angle = np.linalg.norm(turns, axis=1)
    small = angle < SMALL
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 0.5 - angle**2 / 24, (1 - np.cos(safe)) / safe**2)
    second = np.where(small, 1 / 6 - angle**2 / 120, (safe - np.sin(safe)) / safe**3)
    generator = cross(turns)
    drift = np.eye(3) + first[:, None, None] * generator + second[:, None, None] * (generator @ generator)
    motions = np.tile(np.eye(4), (len(tangents), 1, 1))
    motions[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    motions[:, :3, 3] = np.einsum("nij,nj->ni", drift, tangents[:, :3])
    return motions


def logarithm(motions: FloatArray) -> FloatArray:
    """The tangents `[N, 6]` of motions `[N, 4, 4]`, with angles of at most half a turn."""
    turns = Rotation.from_matrix(motions[:, :3, :3]).as_rotvec().reshape(-1, 3)
    angle = np.linalg.norm(turns, axis=1)
    small = angle < SMALL
    safe = np.where(small, 1.0, angle)
    second = np.where(small, 1 / 12 + angle**2 / 720, (1 - safe / 2 / np.tan(safe / 2)) / safe**2)
    generator = cross(turns)
    inverse = np.eye(3) - 0.5 * generator + second[:, None, None] * (generator @ generator)
    return np.concatenate([np.einsum("nij,nj->ni", inverse, motions[:, :3, 3]), turns], axis=1)


def adjoint(motions: FloatArray) -> FloatArray:
    """The matrices `[N, 6, 6]` that carry tangents through motions: M exp(a) = exp(Ad a) M."""
    turn, made = motions[:, :3, :3], np.zeros((len(motions), 6, 6))
    made[:, :3, :3] = made[:, 3:, 3:] = turn
    made[:, :3, 3:] = cross(motions[:, :3, 3]) @ turn
    return made


def bracket(tangents: FloatArray) -> FloatArray:
    """The matrices `[N, 6, 6]` of the Lie bracket with tangents `[N, 6]`."""
    made = np.zeros((len(tangents), 6, 6))
    made[:, :3, :3] = made[:, 3:, 3:] = cross(tangents[:, 3:])
    made[:, :3, 3:] = cross(tangents[:, :3])
    return made


def inverse(motions: FloatArray) -> FloatArray:
    """The inverse motions."""
    back = motions.copy()
    back[..., :3, :3] = np.swapaxes(motions[..., :3, :3], -1, -2)
    back[..., :3, 3] = -np.einsum("...ij,...j->...i", back[..., :3, :3], motions[..., :3, 3])
    return back


def moved_origin(covariance: FloatArray, origin: FloatArray) -> FloatArray:
    """The covariance `[6, 6]` of a tangent about the origin of its frame, from that about the point `origin [3]`."""
    carry = np.eye(6)
    carry[:3, 3:] = cross(origin)
    return carry @ covariance @ carry.T
