"""Where matches between two clouds come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqcli.graph.points.normals import normals
from eqcli.graph.points.principal import principal_frame
from eqcli.graph.points.voxels import voxel_means
from eqcli.models.pointcloud.fpfh import fpfh
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.matching import mutual_matches

FloatArray = NDArray[np.float64]

NORMAL_NEIGHBOURS = 20


class Features(Protocol):
    """Describes the points of two clouds and says which may be the same place."""

    def matches(
        self, source: FloatArray, target: FloatArray, voxel: float, generator: torch.Generator
    ) -> tuple[Matches, dict[str, Any]]:
        """Matches between `source [N, 3]` and `target [M, 3]`, and what there is to tell about them.

        The clouds are as dense as they were given; `voxel`, in their unit, is the resolution to be described at.
        The places of the matches are in the unit of the clouds; their indices may count points of the thinned
        clouds. No match at all is an empty result.
        """


@dataclass(frozen=True)
class FpfhFeatures:
    """Fast point feature histograms, each the nearest of the other. Nothing is trained.

    Parameters
    ----------
    radius
        Of the neighbourhoods, in voxels.
    """

    radius: float = 5.0

    def matches(
        self, source: FloatArray, target: FloatArray, voxel: float, generator: torch.Generator
    ) -> tuple[Matches, dict[str, Any]]:
        """Mutual nearest histograms; indices count the voxels of each cloud. `generator` is not used."""
        first, second = thinned(torch.from_numpy(source), voxel), thinned(torch.from_numpy(target), voxel)
        index, _ = mutual_matches(self._described(first, voxel), self._described(second, voxel), measure="hellinger")
        return Matches.of(first, second, index=index), {}

    def _described(self, points: Tensor, voxel: float) -> Tensor:
        vectors = normals(points, k=NORMAL_NEIGHBOURS, reach=self.radius * voxel).vectors
        return fpfh(points, vectors, self.radius * voxel)


def thinned(points: Tensor, voxel: float) -> Tensor:
    """The means of the voxels of a grid that turns with the cloud, `[N, 3] -> [M, 3]`."""
    return voxel_means(points, voxel, frame=principal_frame(points)).points
