"""Fine registration by `small_gicp`: generalised ICP and its simpler relatives.

Segal, Haehnel and Thrun, RSS 2009 (generalised ICP); Koide et al., ICRA 2021 (over voxels).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.icp import Icp, Refined, check_clouds, check_distance

FloatArray = NDArray[np.float64]

KINDS = {"point-to-point": "ICP", "point-to-plane": None, "gicp": "GICP", "vgicp": "VGICP"}
"""Refinements by name, and what the library calls them.

Its point-to-plane weighs each axis of the residual by that component of the normal, so that its result depends on
how the clouds lie to the axes (measured: half a degree where generalised ICP has 0.01); that of
:mod:`eqcli.models.pointcloud.icp` stands in its place.
"""

STILL = 1e-4
"""A step below this share of the distance (of the size of the target, for turns) ends the refinement."""


class Refiner:
    """Two clouds prepared once, to be refined from several starts and at several distances.

    Inside, both clouds lie about their middles in units of the target's size, so that neither far coordinates nor
    the unit of length change the result.

    Parameters
    ----------
    source, target
        `[N, 3]` and `[M, 3]`, thinned to the density that the refinement shall see.
    neighbours
        Nearest points from which normals and covariances are made.
    threads
        With 1 the result is the same to the bit every time; with more it changes in its last digits.

    Raises
    ------
    InputError
        Fewer than 6 points, coordinates that are not finite, all target points in one place.
    """

    def __init__(self, source: FloatArray, target: FloatArray, *, neighbours: int = 20, threads: int = 1) -> None:
        import small_gicp

        check_clouds(torch.from_numpy(source), torch.from_numpy(target))
        self._library, self._threads = small_gicp, threads
        self._clouds = (source, target)
        self._icp: Icp | None = None
        self._middles = (source.mean(axis=0), target.mean(axis=0))
        self._size = float(np.sqrt(((target - self._middles[1]) ** 2).sum(axis=1).mean()))
        self._source, _ = self._prepared(source, self._middles[0], neighbours)
        self._target, self._tree = self._prepared(target, self._middles[1], neighbours)

    def _prepared(self, points: FloatArray, middle: FloatArray, neighbours: int) -> tuple[Any, Any]:
        cloud = self._library.PointCloud(np.ascontiguousarray((points - middle) / self._size, dtype=np.float64))
        tree = self._library.KdTree(cloud, num_threads=self._threads)
        count = min(neighbours, len(points))
        self._library.estimate_normals_covariances(cloud, tree, num_neighbors=count, num_threads=self._threads)
        return cloud, tree

    def refine(self, start: Motion, kind: str = "gicp", *, distance: float, iterations: int = 50) -> Refined:
        """The motion near `start` that brings the surfaces together.

        Parameters
        ----------
        kind
            'point-to-point', 'point-to-plane', 'gicp', or 'vgicp' (voxels of edge `distance`).
        distance
            Points farther apart do not pull on one another.

        Raises
        ------
        InputError
            For an unknown kind and a distance that is not positive.
        """
        if kind not in KINDS:
            raise InputError(f"no refinement is called '{kind}'", hint=f"Known: {', '.join(KINDS)}.")
        check_distance(distance)
        if kind == "point-to-plane":
            return self._planes().refine(start, distance=distance, iterations=iterations)
        reach = distance / self._size
        options: dict[str, Any] = {
            "init_T_target_source": self._inside(start).matrix().numpy(),
            "max_correspondence_distance": reach,
            "num_threads": self._threads,
            "max_iterations": iterations,
            "rotation_epsilon": STILL * min(1.0, reach),
            "translation_epsilon": STILL * reach,
        }
        if kind == "vgicp":
            voxels = self._library.GaussianVoxelMap(reach)
            voxels.insert(self._target)
            found = self._library.align(voxels, self._source, **options)
        else:
            options["registration_type"] = KINDS[kind]
            found = self._library.align(self._target, self._source, self._tree, **options)
        return self._refined(start, kind, found, distance)

    def _planes(self) -> Icp:
        if self._icp is None:
            normals = torch.from_numpy(np.array(self._target.normals())[:, :3])
            source, target = (
                torch.from_numpy(np.ascontiguousarray(points, dtype=np.float64)) for points in self._clouds
            )
            self._icp = Icp(source, target, "point-to-plane", normals=normals)
        return self._icp

    def _refined(self, start: Motion, kind: str, found: Any, distance: float) -> Refined:
        if found.num_inliers == 0 or not np.isfinite(found.T_target_source).all():
            overlap, rmse = self.fit(start, distance)
            return Refined(start, torch.zeros(6, 6, dtype=torch.float64), overlap, rmse, int(found.iterations), False)
        local = _orthogonal(torch.from_numpy(np.array(found.T_target_source)))
        motion = self._outside(local)
        overlap, rmse = self.fit(motion, distance)
        free = max(1, (3 if kind == "point-to-point" else 1) * int(found.num_inliers) - 6)
        variance = max(2 * float(found.error) / free, np.finfo(np.float64).tiny)
        hessian = torch.from_numpy(np.array(found.H)) / variance
        information = self._left_information(hessian, local, motion)
        return Refined(motion, information, overlap, rmse, int(found.iterations), bool(found.converged))

    def fit(self, motion: Motion, distance: float) -> tuple[float, float]:
        """Overlap and root mean square distance of a motion, without refining it."""
        moved = self._inside(motion).apply(torch.from_numpy(np.array(self._source.points())[:, :3])).numpy()
        found, square = self._tree.batch_nearest_neighbor_search(moved, num_threads=self._threads)
        lengths = np.sqrt(np.asarray(square, dtype=np.float64)) * self._size
        near = lengths[(np.asarray(found) >= 0) & (lengths <= distance)]
        rmse = float(np.sqrt((near**2).mean())) if len(near) else math.inf
        return len(near) / len(lengths), rmse

    def _inside(self, motion: Motion) -> Motion:
        source, target = (torch.from_numpy(middle) for middle in self._middles)
        shift = (motion.translation.double() + motion.rotation.double() @ source - target) / self._size
        return Motion(motion.rotation.double(), shift)

    def _outside(self, motion: Motion) -> Motion:
        source, target = (torch.from_numpy(middle) for middle in self._middles)
        return Motion(motion.rotation, self._size * motion.translation + target - motion.rotation @ source)

    def _left_information(self, hessian: torch.Tensor, local: Motion, motion: Motion) -> torch.Tensor:
        """From (turn, shift) on the right in inner units to (shift, turn) on the left in those of the target."""
        order = [3, 4, 5, 0, 1, 2]
        right = hessian[order][:, order]
        # A twist e on the left of the outer motion is one of the inner frame, and that is one on the right.
        frame = Motion(torch.eye(3, dtype=torch.float64), -torch.from_numpy(self._middles[1]))
        unit = torch.ones(6, dtype=torch.float64)
        unit[:3] = 1 / self._size
        change = local.inverse().adjoint() @ (unit.unsqueeze(1) * frame.adjoint())
        return change.T @ right @ change


def refine(
    source: FloatArray,
    target: FloatArray,
    motion: Motion,
    kind: str = "gicp",
    *,
    distance: float,
    threads: int = 1,
    neighbours: int = 20,
    iterations: int = 50,
) -> Refined:
    """One refinement of a start `motion`; :class:`Refiner` says what the parameters are and what is raised."""
    refiner = Refiner(source, target, neighbours=neighbours, threads=threads)
    return refiner.refine(motion, kind, distance=distance, iterations=iterations)


def _orthogonal(matrix: torch.Tensor) -> Motion:
    """The motion of a matrix whose rotation has drifted in its last digits."""
    u, _, vh = torch.linalg.svd(matrix[:3, :3])
    return Motion(u @ vh, matrix[:3, 3].clone())
