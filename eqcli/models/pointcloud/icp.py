"""Iterated closest points: point-to-point and point-to-plane, trimmed.

Besl and McKay, IEEE PAMI 14, 239 (1992); Chen and Medioni, Image Vis. Comput. 10, 145 (1992); the trimming is that
of Chetverikov et al., ICPR 2002. The slow and obvious refinement, on the CPU and on CUDA.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.graph.points.normals import normals as point_normals
from eqcli.graph.points.search import nearest
from eqcli.models.pointcloud.covariance import point_information

LEAST = 6
"""Points that a cloud needs to be refined."""

STILL = 1e-6
"""A step below this share of the distance ends the iterations."""

FREE_BELOW = 1e-9
"""Eigenvalue over the largest below which a direction of motion is left alone."""


@dataclass(frozen=True)
class Refined:
    """A refined motion.

    Attributes
    ----------
    motion
        float64; the start itself where no source point had a target point within the distance.
    information
        `[6, 6]` of the perturbation (translation, rotation vector) on the left of the motion, in the target frame:
        the Hessian of the squared residuals over their mean square. Its inverse is a covariance if the residuals
        of all points are independent; neighbours share theirs, hence it is optimistic. Singular where the surfaces
        leave a motion free; zero without matches.
    overlap
        Share of the source points with a target point within the distance once moved.
    rmse
        Root mean square of their distances, unit of the points; infinite without any.
    iterations
        Steps that were taken.
    converged
        Whether the last step was small.
    """

    motion: Motion
    information: Tensor
    overlap: float
    rmse: float
    iterations: int
    converged: bool


class Icp:
    """Two clouds prepared once, to be refined from several starts and at several distances.

    Parameters
    ----------
    source, target
        `[N, 3]`, `[M, 3]`.
    kind
        'point-to-point' or 'point-to-plane'.
    normals
        `[M, 3]` of the target, of any sign; estimated for 'point-to-plane' where absent.
    keep
        Share of the matches within the distance, the closest, that are used.

    Raises
    ------
    InputError
        Fewer than 6 points, coordinates that are not finite, an unknown kind, a share that is not one.
    """

    def __init__(
        self,
        source: Tensor,
        target: Tensor,
        kind: str = "point-to-point",
        *,
        normals: Tensor | None = None,
        keep: float = 1.0,
    ) -> None:
        check_clouds(source, target)
        if kind not in ("point-to-point", "point-to-plane"):
            raise InputError(f"no refinement is called '{kind}'", hint="Known: point-to-point, point-to-plane.")
        if not 0 < keep <= 1:
            raise InputError(f"the share of matches that are kept is {keep}; above 0 and up to 1 is expected")
        self._middle, self._keep = target.double().mean(0), keep
        self._source, self._target = source.double(), target.double() - self._middle
        self._size = float(self._target.square().sum(1).mean().sqrt())
        self._search = _searcher(self._target)
        self._normals = None
        if kind == "point-to-plane":
            found = point_normals(self._target, orientation="none").vectors if normals is None else normals
            self._normals = found.double()

    def refine(self, start: Motion, *, distance: float, iterations: int = 100) -> Refined:
        """The motion near `start`; points farther apart than `distance` do not pull on one another.

        Raises
        ------
        InputError
            A distance that is not positive.
        """
        check_distance(distance)
        motion = Motion(start.rotation.to(self._source), start.translation.to(self._source) - self._middle)
        step, taken = math.inf, 0
        while taken < iterations and step > STILL * distance:
            hessian, gradient, _ = self._system(motion, distance)
            # Directions in which nothing pulls are left alone.
            twist = -torch.linalg.pinv(hessian, rtol=FREE_BELOW, hermitian=True) @ gradient
            motion = motion.then(Motion.exp(torch.cat([twist[:3], twist[3:] / self._size])))
            step, taken = float(twist.norm()), taken + 1
        return self._refined(motion, distance, taken, step <= STILL * distance)

    def _system(self, motion: Motion, distance: float) -> tuple[Tensor, Tensor, Tensor]:
        """Hessian `[6, 6]` and gradient `[6]` in (shift, turn times size), and the mean square residual."""
        moved = motion.apply(self._source)
        lengths, index = self._search(moved)
        weights = (lengths <= distance).to(moved)
        if self._keep < 1 and bool(weights.any()):
            close = lengths[lengths <= distance].sort().values
            weights = weights * (lengths <= close[math.ceil(self._keep * len(close)) - 1])
        off, arms = moved - self._target[index], moved / self._size
        if self._normals is None:
            hessian = point_information(arms, weights)
            gradient = torch.cat([weights @ off, weights @ torch.linalg.cross(arms, off)])
            return hessian, gradient, weights @ off.square().sum(1) / max(1.0, 3 * float(weights.sum()) - 6)
        normal = self._normals[index]
        weights = weights * (normal.square().sum(1) > 0)
        rows = torch.cat([normal, torch.linalg.cross(arms, normal)], dim=1)
        along = (off * normal).sum(1)
        weighted = weights * along
        return (
            rows.T @ (weights.unsqueeze(1) * rows),
            rows.T @ weighted,
            weighted @ along / max(1.0, float(weights.sum()) - 6),
        )

    def _refined(self, motion: Motion, distance: float, taken: int, converged: bool) -> Refined:
        x = self._source
        lengths, _ = self._search(motion.apply(x))
        near = lengths[lengths <= distance]
        hessian, _, variance = self._system(motion, distance)
        unit = torch.ones(6, dtype=x.dtype, device=x.device)
        unit[3:] = self._size
        local = hessian * unit * unit.unsqueeze(1) / variance.clamp(min=torch.finfo(x.dtype).tiny)
        # A twist about the origin is one about the middle, where the Hessian stands.
        change = Motion(torch.eye(3, dtype=x.dtype, device=x.device), -self._middle).adjoint()
        rmse = float(near.square().mean().sqrt()) if len(near) else math.inf
        outer = Motion(motion.rotation, motion.translation + self._middle)
        information = change.T @ local @ change
        return Refined(outer, information, len(near) / len(lengths), rmse, taken, converged and len(near) > 0)


def icp(
    source: Tensor,
    target: Tensor,
    start: Motion,
    kind: str = "point-to-point",
    *,
    distance: float,
    normals: Tensor | None = None,
    keep: float = 1.0,
    iterations: int = 100,
) -> Refined:
    """One refinement of `start`; :class:`Icp` says what the parameters are and what is raised."""
    return Icp(source, target, kind, normals=normals, keep=keep).refine(start, distance=distance, iterations=iterations)


def check_distance(distance: float) -> None:
    """Raises InputError for a distance that is not positive."""
    if not (distance > 0 and math.isfinite(distance)):
        raise InputError(f"the distance of the refinement is {distance}, a positive length is expected")


def check_clouds(source: Tensor, target: Tensor) -> None:
    """Raises InputError where a cloud cannot be refined."""
    for points, name in ((source, "source"), (target, "target")):
        if len(points) < LEAST:
            raise InputError(f"the {name} has {len(points)} points; refinement needs at least {LEAST}")
        if not bool(points.isfinite().all()):
            raise InputError(f"the {name} has coordinates that are not finite")
    if not bool((target != target[:1]).any()):
        raise InputError("all target points lie in one place")


def _searcher(points: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Distance and place of the nearest point; the tree is built once."""
    if points.is_cuda:

        def blockwise(queries: Tensor) -> tuple[Tensor, Tensor]:
            lengths, index = nearest(queries, points, 1)
            return lengths[:, 0], index[:, 0]

        return blockwise
    tree = cKDTree(points.numpy())

    def search(queries: Tensor) -> tuple[Tensor, Tensor]:
        lengths, index = tree.query(queries.numpy())
        return torch.from_numpy(lengths), torch.from_numpy(index)

    return search
