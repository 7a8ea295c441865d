"""Matches of two clouds by a trained network of registration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.models.pointcloud.matches import Matches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eqcli.models.pointcloud.base import RegistrationNetwork

    Floats = NDArray[np.float64]

MOST_POINTS = 30000
"""Voxels of a cloud that a network is given at most: attention among superpoints grows with their square."""


class PareFeatures:
    """Matches with rotations, by a network; each match is one hypothesis of the motion.

    Parameters
    ----------
    network
        Trained, on the device and in the precision that it is to run in.
    most_points
        Of a cloud with more voxels the voxels are widened.
    """

    def __init__(
        self,
        network: RegistrationNetwork,
        *,
        most_points: int = MOST_POINTS,
    ) -> None:
        self.network = network.eval()
        self.threshold = float(network.config.inlier_radius) / 2.0
        """Voxels within which a solver counts a match: the matched points are the means of wider voxels than those."""
        self.most_points = most_points

    @torch.no_grad()
    def matches(
        self, source: Floats, target: Floats, voxel: float, generator: torch.Generator | None = None
    ) -> tuple[Matches, dict[str, Any]]:
        """Matches of points of two clouds `[N, 3]` and `[M, 3]`, float64 in their unit, and facts about them.

        The points are means of voxels: `source_index` counts those of the network's fine level. The weights follow the
        order of the network's confidence. Nothing is drawn at random.

        Raises
        ------
        InputError
            A cloud fills fewer voxels than the network needs.
        """
        from eqcli.data.pair_batches import PyramidSettings, pair_batch

        voxel = self._wide_enough(source, target, voxel)
        parameter = next(self.network.parameters())
        batch = pair_batch(source, target, voxel, PyramidSettings.of(self.network.config))
        for side, name in ((batch.source, "source"), (batch.target, "target")):
            if len(side.coarse.points) < 3:
                raise InputError(
                    f"the {name} fills {len(side.levels[0].points)} voxels of {voxel:g}, too few for the network",
                    hint="Give a smaller --voxel.",
                )
        matched = self.network.matches(batch.to(parameter.device, parameter.dtype))[0]
        found = Matches.of(
            matched.source.points.double().cpu() * voxel,
            matched.target.points.double().cpu() * voxel,
            weights=None,
            rotations=matched.rotations.double().cpu(),
            index=matched.index.cpu(),
        )
        facts = {
            "network_voxel": voxel,
            "superpoints": [len(side.coarse.points) for side in (batch.source, batch.target)],
            "superpoint_matches": len(matched.superpoints),
        }
        return replace(found, weights=trust(matched.confidence.double().cpu())), facts

    def _wide_enough(self, source: Floats, target: Floats, voxel: float) -> float:
        """The voxel, widened until neither cloud fills too many."""
        for points in (source, target):
            while (filled := len(np.unique(np.floor(points / voxel), axis=0))) > self.most_points:
                # A surface fills a quarter of the voxels where they are twice as wide.
                voxel *= max(1.1, (filled / self.most_points) ** 0.5)
        return voxel


def trust(confidence: Tensor) -> Tensor:
    """Weights of matches by their likelihood, from 0.5 to 1 in the same order.

    Likelihoods span many powers of ten, and the likeliest few, which may all be wrong, would decide alone.
    """
    rank = torch.empty(len(confidence), dtype=confidence.dtype)
    rank[confidence.argsort(descending=True, stable=True)] = torch.arange(len(confidence), dtype=confidence.dtype)
    return 1.0 - 0.5 * rank / max(len(confidence), 1)
