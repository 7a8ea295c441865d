"""Two clouds at one resolution, and how well a motion lays their surfaces on one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from eqcli.engine.refine_gicp import Refiner
from eqcli.engine.registration_features import thinned
from eqcli.geometry.motions import Motion
from eqcli.graph.points.normals import normals
from eqcli.models.pointcloud.icp import Refined

TOUCHING = 1.5
"""Voxels within which the nearest point of the other cloud must lie on the same surface: points of two grids."""

ON_PLANE = 0.5
"""Voxels between a point and the tangent plane of its counterpart, on the same surface."""

AGREEING = 0.9
"""Cosine between normals of one surface, about 26 degrees; their sign does not count."""

NEAR = 4.0
"""Voxels within which a point comes near the other cloud at all."""

NEIGHBOURS = 20
"""From which a normal is made."""

LEAST = 6
"""Points that a refinement needs."""


@dataclass(frozen=True)
class Contact:
    """How two surfaces touch under a motion.

    Attributes
    ----------
    source, target
        `[N]` and `[M]`: which points lie on the other surface, normals agreeing.
    agreement
        Of the points of both clouds that come near the other cloud, the share that lies on its surface. A wrong
        motion lets surfaces cross.
    rmse
        Root mean square distance of the source points on the target's surface from its tangent planes.
    """

    source: Tensor
    target: Tensor
    agreement: float
    rmse: float

    @property
    def overlap(self) -> float:
        """Share of the source points on the target's surface."""
        return float(self.source.double().mean())

    @property
    def overlaps(self) -> tuple[float, float]:
        """Of the source and of the target."""
        return self.overlap, float(self.target.double().mean())


class Side:
    """One thinned cloud: points, normals without a sign, and a tree."""

    def __init__(self, points: Tensor) -> None:
        self.points = points
        self.tree: Any = cKDTree(points.numpy())

    @cached_property
    def normals(self) -> Tensor:
        """`[N, 3]`; zero where the neighbours lie on a line."""
        return normals(self.points, k=NEIGHBOURS, orientation="none").vectors


class View:
    """Two clouds thinned to one voxel, in grids that turn with them.

    Parameters
    ----------
    source, target
        `[N, 3]` float64.
    """

    def __init__(self, source: Tensor, target: Tensor, voxel: float, *, threads: int = 1) -> None:
        self.voxel, self.threads = voxel, threads
        self.source, self.target = Side(thinned(source, voxel)), Side(thinned(target, voxel))

    @property
    def refinable(self) -> bool:
        """Whether both clouds have the points that a refinement needs."""
        return min(len(self.source.points), len(self.target.points)) >= LEAST

    @cached_property
    def _refiner(self) -> Refiner:
        return Refiner(
            self.source.points.numpy(),
            self.target.points.numpy(),
            neighbours=NEIGHBOURS,
            threads=self.threads,
        )

    def refine(self, start: Motion, kind: str, distances: tuple[float, ...], *, iterations: int = 30) -> Refined:
        """From a start through falling `distances` (voxels)."""
        found = None
        for distance in distances:
            found = self._refiner.refine(start, kind, distance=distance * self.voxel, iterations=iterations)
            start = found.motion
        assert found is not None
        return found

    def contact(self, motion: Motion) -> Contact:
        """How the surfaces touch once the source is moved."""
        on_target, near_target, square = self._touches(motion, self.source, self.target)
        on_source, near_source, _ = self._touches(motion.inverse(), self.target, self.source)
        near = int(near_target.sum() + near_source.sum())
        agreement = int(on_target.sum() + on_source.sum()) / max(1, near)
        rmse = float(square[on_target].mean().sqrt()) if bool(on_target.any()) else float("inf")
        return Contact(on_target, on_source, agreement, rmse)

    def _touches(self, motion: Motion, moving: Side, still: Side) -> tuple[Tensor, Tensor, Tensor]:
        """Which moving points are on the other surface, which near it, and squared distances from its planes."""
        moved, turned = motion.apply(moving.points), motion.turn(moving.normals)
        lengths, index = still.tree.query(moved.numpy(), distance_upper_bound=NEAR * self.voxel)
        distance = torch.from_numpy(lengths)
        near = torch.isfinite(distance)
        place = torch.from_numpy(index).clamp(max=len(still.points) - 1)
        normal = still.normals[place]
        square = ((moved - still.points[place]) * normal).sum(1).square()
        agree = (turned * normal).sum(1).abs() > AGREEING
        on = (distance < TOUCHING * self.voxel) & (square < (ON_PLANE * self.voxel) ** 2) & agree
        return on, near, square
