"""When a motion counts as found: the published rules, with their thresholds in the unit of the clouds.

3DMatch counts a motion whose root mean square distance over the true matches is at most 0.2 m. Its benchmark does not
take the distances but the matrix of `gt.info`: e^T L e / L_00 <= 0.04 m^2 with e = (translation, vector part of the
quaternion) of T*^-1 T. Figures in the literature are by that rule. L is the sum of G^T G with G = (I, -[p]x) over
points p of the target, so that the distances would need e = (translation, rotation vector) of T T*^-1: twice the
vector part, and in the other frame. On the pair 0-4 of the red kitchen, turns of 1 to 8 degrees come out at 0.55 to
1.65 of their distances. The two rules are therefore figures of their own here.

PARE-Net's evaluation takes the mean displacement |T p - T* p| of all points of the source, also below 0.2 m. KITTI asks
for an error of rotation and one of translation, with three pairs of thresholds in use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eqcli.metrics.registration.errors import FloatArray, MotionErrors, moved

MATCH, INFORMATION, PARE = "3dmatch", "3dmatch-info", "pare"
KITTI: Final = {"kitti-loose": (5.0, 2.0), "kitti-strict": (1.5, 0.3), "kitti-finest": (1.0, 0.1)}
"""Degrees and metres."""
RULES: Final = (MATCH, INFORMATION, PARE, *KITTI)

DISTANCE, INLIER, TRUE, SHARE = 0.2, 0.1, 0.05, 0.05
"""Metres: of both rules of recall; of a match that is right; of a true match; and the share of right matches."""
VOXEL, KITTI_VOXEL = 0.025, 0.3
"""Metres: voxels of the networks that the thresholds were published with, indoors and of KITTI."""


@dataclass(frozen=True)
class Thresholds:
    """Lengths in the unit of the clouds.

    Attributes
    ----------
    distance
        Of the rules of 3DMatch and of PARE-Net.
    inlier
        At which a match is right.
    true
        Points of the two clouds this near under the truth are a true match.
    share
        Share of right matches above which the features of a pair count as matching.
    kitti
        Rule -> degrees and length.
    metre
        One metre in the unit of the clouds, or None where lengths are multiples of the voxel.
    voxel
        Edge of the voxel of this pair.
    """

    distance: float
    inlier: float
    true: float
    share: float
    kitti: dict[str, tuple[float, float]]
    metre: float | None
    voxel: float

    @property
    def unit(self) -> float:
        """What lengths are reported in: a metre, or else the voxel."""
        return self.voxel if self.metre is None else self.metre


def thresholds(
    metre: float | None,
    voxel: float,
    *,
    distance: float = DISTANCE,
    inlier: float = INLIER,
    true: float = TRUE,
    share: float = SHARE,
) -> Thresholds:
    """The thresholds for a pair of clouds.

    Parameters
    ----------
    metre
        One metre in their unit. None where that has no meaning: lengths become multiples of `voxel`, as many as they
        are of 2.5 cm (0.2 m are 8), those of KITTI as many as they are of 0.3 m.
    distance, inlier, true
        Metres.
    """
    indoors, outdoors = (metre, metre) if metre is not None else (voxel / VOXEL, voxel / KITTI_VOXEL)
    kitti = {name: (degrees, length * outdoors) for name, (degrees, length) in KITTI.items()}
    return Thresholds(distance * indoors, inlier * indoors, true * indoors, share, kitti, metre, voxel)


def true_matches(source: FloatArray, target: FloatArray, truth: FloatArray, distance: float) -> NDArray[np.int64]:
    """Points of the source with the nearest point of the target, where that is within `distance`: index `[K, 2]`."""
    from scipy.spatial import cKDTree

    apart, nearest = cKDTree(target).query(moved(source, truth), distance_upper_bound=distance)
    kept = np.flatnonzero(np.isfinite(apart))
    return np.stack([kept, nearest[kept]], axis=1).astype(np.int64)


def match_rmse(estimate: FloatArray, source: FloatArray, target: FloatArray) -> float:
    """Root mean square |T p - q| of true matches, points `[K, 3]` each; NaN without any."""
    if not len(source):
        return float("nan")
    return float(np.sqrt(((moved(source, estimate) - target) ** 2).sum(axis=1).mean()))


def information_rmse(estimate: FloatArray, truth: FloatArray, information: FloatArray) -> float:
    """sqrt(e^T L e / L_00) with the matrix `[6, 6]` of `gt.info`, as the benchmark of 3DMatch defines it."""
    from scipy.spatial.transform import Rotation

    between = np.linalg.inv(truth) @ estimate
    quaternion = Rotation.from_matrix(between[:3, :3]).as_quat(canonical=True)
    error = np.concatenate([between[:3, 3], quaternion[:3]])
    return float(np.sqrt(max(0.0, float(error @ information @ error) / float(information[0, 0]))))


def successes(
    limits: Thresholds, errors: MotionErrors, *, displacement: float, rmse: float, published: float
) -> dict[str, bool | None]:
    """Rule -> whether a motion counts as found by it; None where its figure is unknown (NaN).

    All lengths are in the unit of the clouds.

    Parameters
    ----------
    displacement, rmse, published
        As `errors.mean_displacement`, `match_rmse` and `information_rmse` give them.
    """
    found: dict[str, bool | None] = {
        MATCH: None if np.isnan(rmse) else rmse <= limits.distance,
        INFORMATION: None if np.isnan(published) else published <= limits.distance,
        PARE: None if np.isnan(displacement) else displacement < limits.distance,
    }
    for name, (degrees, length) in limits.kitti.items():
        found[name] = errors.rotation < degrees and errors.translation < length
    return found
