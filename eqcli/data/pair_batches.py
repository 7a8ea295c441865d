"""Batches of pairs of clouds as networks of registration take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from eqcli.graph.pair_batch import PairBatch, PairTruth
from eqcli.graph.points.normals import normals
from eqcli.graph.points.orientation import away_from_centre
from eqcli.graph.points.pyramid import Pyramid, pyramid
from eqcli.models.pointcloud.fpfh import fpfh

if TYPE_CHECKING:
    from eqcli.data.pair_generation import DrawnPair
    from eqcli.models.pointcloud.configs.pare_net import PareNetConfig

Floats = NDArray[np.float64]
Points = NDArray[np.float32] | NDArray[np.float64]
Integers = NDArray[np.int64]


NORMAL_NEIGHBOURS, NEIGHBOURS = 16, 50
"""Points that a normal is fitted to, and that a histogram counts: half the time of as many as the radius holds."""


@dataclass(frozen=True)
class PyramidSettings:
    """How clouds are thinned for a network; see `PareNetConfig`."""

    levels: int
    fine_level: int
    neighbours: int
    match_radius: float
    histograms: float | None = None

    @classmethod
    def of(cls, config: PareNetConfig) -> PyramidSettings:
        return cls(
            len(config.channels), config.fine_level, config.neighbours, config.match_radius, config.histogram_radius
        )


def cloud_pyramid(points: Points, voxel: float, settings: PyramidSettings) -> Pyramid:
    """The pyramid of a cloud `[N, 3]`, its positions in voxels, float64."""
    scaled = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64) / voxel)
    made = pyramid(scaled, levels=settings.levels, fine_level=settings.fine_level, neighbours=settings.neighbours)
    return made if settings.histograms is None else made.with_histograms(_histograms(made, settings.histograms))


def _histograms(cloud: Pyramid, radius: float) -> Tensor:
    """Square roots of the shares of point feature histograms, in which distances are Hellinger's."""
    points = cloud.levels[0].points
    vectors = normals(points, k=NORMAL_NEIGHBOURS, orientation="none").vectors
    vectors = away_from_centre(points, vectors, radius, limit=NEIGHBOURS)
    # A root is steep at nothing: rounding would show.
    return (fpfh(points, vectors, radius, max_neighbours=NEIGHBOURS) / 100.0 + 1e-6).sqrt()


def pair_batch(
    source: Points, target: Points, voxel: float, settings: PyramidSettings, truth: Floats | None = None
) -> PairBatch:
    """One pair of clouds `[N, 3]` and `[M, 3]`; `truth [4, 4]` is the motion of the source in their unit."""
    one, other = (cloud_pyramid(points, voxel, settings) for points in (source, target))
    if truth is None:
        return PairBatch(one, other)
    return PairBatch(one, other, pair_truth(one, other, truth[:3, :3], truth[:3, 3] / voxel, settings.match_radius))


def pair_truth(source: Pyramid, target: Pyramid, rotation: Floats, translation: Floats, radius: float) -> PairTruth:
    """What lies together in the true pose of two clouds."""
    first, second = (side.fine.points.double().numpy() for side in (source, target))
    pairs = together(first @ rotation.T + translation, second, radius)
    superpoints, overlaps = patch_overlaps(pairs, source.patch.numpy(), target.patch.numpy())
    return PairTruth(
        torch.from_numpy(np.ascontiguousarray(rotation, dtype=np.float64))[None],
        torch.from_numpy(np.ascontiguousarray(translation, dtype=np.float64))[None],
        torch.from_numpy(pairs),
        torch.tensor([pairs.shape[1]]),
        torch.from_numpy(superpoints),
        torch.from_numpy(overlaps),
        torch.tensor([superpoints.shape[1]]),
    )


def together(first: Floats, second: Floats, radius: float) -> Integers:
    """Points of two clouds nearer than `radius`, `[2, M]`, in the order of the first."""
    found = cKDTree(first).sparse_distance_matrix(cKDTree(second), radius, output_type="ndarray")
    order = np.lexsort((found["j"], found["i"]))
    return np.stack([found["i"][order], found["j"][order]]).astype(np.int64)


def patch_overlaps(pairs: Integers, source: Integers, target: Integers) -> tuple[Integers, Floats]:
    """Superpoints whose patches share points, `[2, S]`, and the share, the mean of that of the two patches.

    Parameters
    ----------
    pairs
        Points that lie together, `[2, M]`.
    source, target
        The superpoint of each point.
    """
    width = int(target.max()) + 1
    sizes = np.bincount(source), np.bincount(target)
    shared: dict[int, float] = {}
    for side in (0, 1):
        point = pairs[side]
        key = source[pairs[0]] * width + target[pairs[1]]
        both = np.unique(np.stack([key, point]), axis=1)
        owners = both[0] // width if side == 0 else both[0] % width
        for code, part in zip(both[0].tolist(), (0.5 / sizes[side][owners]).tolist(), strict=True):
            shared[code] = shared.get(code, 0.0) + part
    codes = np.array(sorted(shared), dtype=np.int64)
    return np.stack([codes // width, codes % width]), np.array([shared[c] for c in codes.tolist()])


def drawn_batch(pair: DrawnPair, settings: PyramidSettings) -> PairBatch:
    """A drawn pair, whose clouds are in voxels, as a network takes it."""
    return pair_batch(pair.source, pair.target, 1.0, settings, pair.truth)
