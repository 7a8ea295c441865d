"""Errors of an estimated motion against the true one, where the object may have symmetries.

A motion is a matrix `[4, 4]` that takes points of the source onto the target, y = R x + t. A symmetry of the target is
a motion of its frame that leaves the complete object as it is: no method can tell the truth from the truth followed by
a symmetry, so that errors are to the nearest of these.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.geometry.motions import rotation_error

FloatArray = NDArray[np.float64]

FINE: Final = 6.0
"""Degrees. Symmetries that follow each other in smaller steps about one axis stand for all turns about it."""
SAMPLE: Final = 2000
"""Points of the source by which the nearest truth is chosen."""


class MotionErrors(NamedTuple):
    """RRE, the angle of R^T R* in degrees, and RTE, |t - t*| in the unit of the clouds."""

    rotation: float
    translation: float


def motion_errors(estimate: FloatArray, truth: FloatArray) -> MotionErrors:
    """Both errors of a motion; exact near 0 and near 180 degrees."""
    first, second = (torch.from_numpy(np.array(one[:3, :3], dtype=np.float64)) for one in (estimate, truth))
    return MotionErrors(float(rotation_error(first, second)), float(np.linalg.norm(estimate[:3, 3] - truth[:3, 3])))


def displacements(estimate: FloatArray, truth: FloatArray, points: FloatArray) -> FloatArray:
    """|T p - T* p| of points `[N, 3]` of the source, `[N]`."""
    return np.linalg.norm(moved(points, estimate) - moved(points, truth), axis=1)


def mean_displacement(estimate: FloatArray, truth: FloatArray, points: FloatArray) -> float:
    """The mean of `displacements`, by which PARE-Net counts recall."""
    return float(displacements(estimate, truth, points).mean())


def moved(points: FloatArray, motion: FloatArray) -> FloatArray:
    """Points `[N, 3]` under a motion `[4, 4]`."""
    return points @ motion[:3, :3].T + motion[:3, 3]


def nearest_truth(
    estimate: FloatArray, truth: FloatArray, symmetries: FloatArray | None, points: FloatArray
) -> FloatArray:
    """The truth that counts: that whose points lie nearest to where the estimate puts them, by the mean distance.

    Parameters
    ----------
    symmetries
        `[S, 4, 4]`, motions of the target's frame; None or empty for none. Where they are turns about an axis in
        steps below `FINE`, every turn about it is a symmetry.
    points
        `[N, 3]` of the source; an even sample of them is looked at.
    """
    if symmetries is None or not len(symmetries):
        return truth
    sample = points[:: max(1, len(points) // SAMPLE)]
    there, start = moved(sample, estimate), moved(sample, truth)
    best, least = truth, float(np.linalg.norm(there - start, axis=1).mean())
    for symmetry in symmetries:
        apart = float(np.linalg.norm(there - moved(start, symmetry), axis=1).mean())
        if apart < least:
            best, least = symmetry @ truth, apart
    for axis, centre in _free_axes(symmetries):
        turned = _turned_nearest(moved(sample, best), there, axis, centre) @ best
        apart = float(np.linalg.norm(there - moved(sample, turned), axis=1).mean())
        if apart < least:
            best, least = turned, apart
    return best


def _free_axes(symmetries: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Direction and a point of each axis about which there are small turns, hence all turns."""
    from scipy.spatial.transform import Rotation

    vectors = Rotation.from_matrix(symmetries[:, :3, :3]).as_rotvec()
    angles = np.linalg.norm(vectors, axis=1)
    found: list[tuple[FloatArray, FloatArray]] = []
    for k in np.flatnonzero((angles > 1e-3) & (angles < np.radians(FINE))):
        axis = vectors[k] / angles[k]
        if any(abs(float(axis @ other)) > 0.999 for other, _ in found):
            continue
        # (I - R) c = t: points of the axis stay; the smallest solution is its point nearest to the origin.
        centre = np.linalg.lstsq(np.eye(3) - symmetries[k, :3, :3], symmetries[k, :3, 3], rcond=1e-9)[0]
        found.append((np.asarray(axis), np.asarray(centre, dtype=np.float64)))
    return found


def _turned_nearest(first: FloatArray, second: FloatArray, axis: FloatArray, centre: FloatArray) -> FloatArray:
    """The turn `[4, 4]` about a line that brings points nearest to others, by least squares."""
    from scipy.spatial.transform import Rotation

    a, b = first - centre, second - centre
    a, b = a - (a @ axis)[:, None] * axis, b - (b @ axis)[:, None] * axis
    angle = np.arctan2(float((np.cross(a, b) @ axis).sum()), float((a * b).sum()))
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(angle * axis).as_matrix()
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre
    return matrix
