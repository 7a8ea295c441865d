"""A drawn pair of clouds, and what is done to two views before they are one: noise, outliers, frames of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from eqcli.data.pair_shapes import random_rotation
from eqcli.data.pair_solids import Floats

Single = NDArray[np.float32]

AWAY = 20.0
"""Voxels: standard deviation of each coordinate of a translation."""


@dataclass(frozen=True)
class DrawnPair:
    """Two partial clouds of one surface, each in a frame of its own.

    Attributes
    ----------
    source, target
        [N, 3] and [M, 3], in voxels, or in the unit of the shape where the source of pairs was told so.
    truth
        [4, 4]: y = R x + t brings the source onto the target.
    overlap
        Mean of the shares of either cloud with a point of the other within two voxels, before noise and outliers.
    symmetries
        [S, 4, 4]: motions in the target's frame that leave the complete object as it is, the identity among them; None
        where there are no others.
    kind
        What it was made from and how it was cut, such as `object/crop`.
    voxel
        Edge of the voxel in the unit of the clouds.
    """

    source: Single
    target: Single
    truth: Floats
    overlap: float
    symmetries: Floats | None
    kind: str
    voxel: float = 1.0


@dataclass(frozen=True)
class Disturbance:
    """What is done to a pair of views.

    Attributes
    ----------
    noise
        Range of the standard deviation of each coordinate, in voxels.
    outliers
        Largest share of points that are anywhere about the cloud.
    rotation
        Largest angle of the truth in degrees; 180 for any rotation.
    """

    noise: tuple[float, float] = (0.1, 0.3)
    outliers: float = 0.05
    rotation: float = 180.0

    def drawn(
        self,
        views: tuple[Floats, Floats],
        overlap: float,
        kind: str,
        rng: np.random.Generator,
        *,
        symmetries: Floats | None = None,
        scale: float = 1.0,
    ) -> DrawnPair:
        """The pair of two views in one frame, about whose origin `symmetries` [S, 3, 3] turn; lengths times `scale`."""
        to_target, truth = random_motion(rng), random_motion(rng, self.rotation)
        to_source = np.linalg.inv(truth) @ to_target
        source, target = (
            self._disturbed(points, motion, rng) * scale
            for points, motion in zip(views, (to_source, to_target), strict=True)
        )
        turned = None
        if symmetries is not None:
            turned = to_target @ np.stack([as_motion(turn) for turn in symmetries]) @ np.linalg.inv(to_target)
            turned[:, :3, 3] *= scale
        truth[:3, 3] *= scale
        single = source.astype(np.float32), target.astype(np.float32)
        return DrawnPair(*single, truth, overlap, turned, kind, scale)

    def _disturbed(self, points: Floats, motion: Floats, rng: np.random.Generator) -> Floats:
        noisy = points + rng.normal(size=points.shape) * rng.uniform(*self.noise)
        count = int(len(points) * rng.uniform(0, self.outliers))
        outliers = rng.uniform(points.min(0) - 2, points.max(0) + 2, (count, 3))
        every = np.concatenate([noisy, outliers])
        return np.asarray(every[rng.permutation(len(every))] @ motion[:3, :3].T + motion[:3, 3])


def as_motion(rotation: Floats, translation: Floats | float = 0.0) -> Floats:
    """[4, 4] of a rotation [3, 3] and a translation."""
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = rotation, translation
    return motion


def random_motion(rng: np.random.Generator, largest: float = 180.0) -> Floats:
    """A motion by a uniform rotation, or by one about a uniform axis by less than `largest` degrees."""
    if largest >= 180.0:
        rotation = random_rotation(rng)
    else:
        axis = rng.normal(size=3)
        angle = np.deg2rad(rng.uniform(0, largest))
        rotation = np.asarray(Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix())
    return as_motion(rotation, rng.normal(size=3) * AWAY)
