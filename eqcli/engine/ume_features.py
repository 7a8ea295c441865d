"""Matches of two clouds by the moments of their point feature histograms: the universal manifold embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eqcli.engine.registration_features import NORMAL_NEIGHBOURS, FloatArray, thinned
from eqcli.graph.points.normals import normals
from eqcli.graph.points.sampling import farthest_points
from eqcli.models.pointcloud.fpfh import fpfh
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.ume import ume_matches


@dataclass(frozen=True)
class UmeFeatures:
    """Every match of two key points gives a motion of its own; nothing is trained.

    The colouring is the fast point feature histograms, which no motion changes and none of which is negative.

    Parameters
    ----------
    descriptor
        Radius of the histograms, in voxels.
    radius
        Of the balls whose moments are taken, in voxels.
    keys
        Key points of each cloud, at most; they lie as far from one another as can be.
    """

    descriptor: float = 5.0
    radius: float = 10.0
    keys: int = 1000

    name = "ume"

    def matches(
        self, source: FloatArray, target: FloatArray, voxel: float, generator: torch.Generator
    ) -> tuple[Matches, dict[str, Any]]:
        """Mutual nearest column spaces; indices count key points. `generator` is not used."""
        sides = [self._described(torch.from_numpy(points), voxel) for points in (source, target)]
        return ume_matches(sides[0], sides[1], self.radius * voxel), {"key_points": [len(side[2]) for side in sides]}

    def _described(self, cloud: Tensor, voxel: float) -> tuple[Tensor, Tensor, Tensor]:
        points = thinned(cloud, voxel)
        reach = self.descriptor * voxel
        histograms = fpfh(points, normals(points, k=NORMAL_NEIGHBOURS, reach=reach).vectors, reach)
        # A lone point has an empty histogram; with a channel that all points have in common no ball is empty.
        colouring = torch.cat([histograms / 100.0, torch.ones_like(histograms[:, :1])], dim=1)
        return points, colouring, points[farthest_points(points, min(self.keys, len(points)))]
