"""One frame for many clouds: poses from the motions between pairs, by robust least squares over rigid motions.

An edge says that cloud `source` lies in the frame of cloud `target` by a motion T with a covariance. With poses P that
bring each cloud into the frame of a reference, the edge asks for P_source = P_target T; what is left over is the
twist log(P_target^-1 P_source T^-1) in the frame of the target, whose squared length is measured by the edge's
information. The sum of Cauchy's loss of these is made small by reweighted Gauss-Newton steps, with a scale that
falls (graduated non-convexity); edges that then do not fit are left out, and the others are fitted once more
with weights that are their information alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import splu
from scipy.stats import chi2

from eqcli.models.pointcloud.pose_tree import best_tree, components
from eqcli.models.pointcloud.rigid_algebra import adjoint, bracket, exponential, inverse, logarithm

FloatArray = NDArray[np.float64]

REJECTED = float(chi2.ppf(1 - 1e-4, 6))
"""Squared misfit, in standard deviations, above which an edge is wrong: one right edge in 10 000 is beyond it."""

SCALE = float(chi2.ppf(0.99, 6))
"""Squared misfit at which Cauchy's loss has halved the weight of an edge."""

STEPS = 50
"""Steps of one fit at most."""

SETTLED = 1e-12
"""Of the squared length of a step, in standard deviations, per cloud."""

ROUNDS = 10
"""How often edges are judged anew."""


@dataclass(frozen=True)
class Edge:
    """A motion between two clouds.

    Attributes
    ----------
    source, target
        Numbers of the clouds.
    motion
        `[4, 4]`: source points in the frame of the target.
    covariance
        `[6, 6]` of the motion's left perturbation (translation, rotation vector) in the frame of the target.
    weight
        How far it is trusted where a tree is chosen, above 0.
    """

    source: int
    target: int
    motion: FloatArray
    covariance: FloatArray
    weight: float = 1.0


@dataclass(frozen=True)
class PoseGraph:
    """Clouds in one frame.

    Attributes
    ----------
    poses
        `[N, 4, 4]`: each cloud in the frame of the reference; the identity for clouds that are not reached.
    reached
        `[N]`: whether edges that fit lead there.
    misfit
        `[E, 6]`: the twist that each edge is off by; NaN where an end is not reached.
    squared
        `[E]`: the same squared, in standard deviations; expected to be below `REJECTED`.
    fits
        `[E]`: whether the edge was used in the last fit.
    deviations
        `[N, 6]`: standard deviations of each pose (translation, rotation vector, in the frame of the reference).
    """

    poses: FloatArray
    reached: NDArray[np.bool_]
    misfit: FloatArray
    squared: FloatArray
    fits: NDArray[np.bool_]
    deviations: FloatArray


def fit_poses(count: int, edges: Sequence[Edge], reference: int = 0, *, seed: int = 0) -> PoseGraph:
    """The poses of `count` clouds in the frame of cloud `reference`.

    Clouds that no edges connect with the reference, or only such as do not fit, are not reached. Raises ValueError
    for an edge of a cloud with itself, or a number out of range.
    """
    for edge in edges:
        if edge.source == edge.target or not (0 <= edge.source < count and 0 <= edge.target < count):
            raise ValueError(f"an edge joins two different clouds of {count}, not {edge.source} and {edge.target}")
    poses, deviations = np.tile(np.eye(4), (count, 1, 1)), np.zeros((count, 6))
    fits = np.ones(len(edges), dtype=bool)
    for turn in range(ROUNDS):
        reached, inside = _connected(count, edges, fits, reference)
        if not inside.any():
            break
        system = _System(count, [edge for edge, used in zip(edges, inside, strict=True) if used], reference)
        poses = system.fit(poses) if turn else system.graduated(_begin(count, edges, inside, reference, seed))
        deviations = system.deviations(poses)
        before, fits = fits, ~(_judged(poses, edges, reached)[1] > REJECTED)
        # The first poses came from the robust loss: they are fitted once more even where every edge fits.
        if turn and (fits == before).all():
            break
    reached, inside = _connected(count, edges, fits, reference)
    misfit, squared = _judged(poses, edges, reached)
    poses[~reached], deviations[~reached] = np.eye(4), np.nan
    return PoseGraph(poses, reached, misfit, squared, inside, deviations)


def _connected(
    count: int, edges: Sequence[Edge], fits: NDArray[np.bool_], reference: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The clouds that edges that fit join with the reference, and those edges."""
    part = components(count, [edge for edge, fit in zip(edges, fits, strict=True) if fit])
    reached = part == part[reference]
    return reached, fits & np.array([reached[edge.source] for edge in edges], dtype=bool)


def _begin(count: int, edges: Sequence[Edge], inside: NDArray[np.bool_], reference: int, seed: int) -> FloatArray:
    used = [edge for edge, use in zip(edges, inside, strict=True) if use]
    system = _System(count, used, reference)
    return best_tree(count, used, reference, system.cost, REJECTED, np.random.default_rng(seed))


def _judged(poses: FloatArray, edges: Sequence[Edge], reached: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """The twists `[E, 6]` that edges are off by, and their squares in standard deviations; NaN where not reached."""
    misfit, squared = np.full((len(edges), 6), np.nan), np.full(len(edges), np.nan)
    known = [k for k, edge in enumerate(edges) if reached[edge.source] and reached[edge.target]]
    if known:
        system = _System(len(poses), [edges[k] for k in known], 0)
        misfit[known] = system.misfit(poses)
        squared[known] = system.squared(misfit[known])
    return misfit, squared


class _System:
    """The equations of some edges, for the poses of all clouds but the reference."""

    def __init__(self, count: int, edges: Sequence[Edge], reference: int) -> None:
        self.source = np.array([edge.source for edge in edges])
        self.target = np.array([edge.target for edge in edges])
        self.back = inverse(np.stack([edge.motion for edge in edges]))
        self.information = np.linalg.inv(np.stack([edge.covariance for edge in edges]))
        moved = np.setdiff1d(np.unique(np.concatenate([self.source, self.target])), [reference])
        self.place = np.full(count, -1)
        self.place[moved] = np.arange(len(moved))
        self.moved = moved

    def misfit(self, poses: FloatArray) -> FloatArray:
        """The twists `[E, 6]` that edges are off by, in the frames of their targets."""
        return logarithm(inverse(poses[self.target]) @ poses[self.source] @ self.back)

    def squared(self, misfit: FloatArray) -> FloatArray:
        """The squares of misfits in standard deviations, `[E]`."""
        return np.asarray(np.einsum("ei,eij,ej->e", misfit, self.information, misfit))

    def cost(self, poses: FloatArray) -> float:
        """Cauchy's loss of all edges."""
        return float(np.log1p(self.squared(self.misfit(poses)) / SCALE).sum())

    def graduated(self, poses: FloatArray) -> FloatArray:
        """Poses of least robust loss: its scale falls from that of the worst edge, so that all are heard at first."""
        scale = max(SCALE, float(self.squared(self.misfit(poses)).max()))
        while scale > SCALE:
            poses = self.fit(poses, scale, steps=3)
            scale = max(SCALE, scale / 4)
        return self.fit(poses, SCALE)

    def fit(self, poses: FloatArray, scale: float | None = None, steps: int = STEPS) -> FloatArray:
        """Poses after reweighted Gauss-Newton steps from `poses`; without a scale every edge keeps its weight."""
        for _ in range(steps):
            misfit = self.misfit(poses)
            weights = 1 / (1 + self.squared(misfit) / scale) if scale else np.ones(len(misfit))
            normal, slope = self._normal(poses, misfit, weights)
            step = -_solved(normal, slope)
            poses = poses.copy()
            poses[self.moved] = exponential(step.reshape(-1, 6)) @ poses[self.moved]
            if step @ (normal @ step) < SETTLED * len(self.moved):
                break
        return poses

    def deviations(self, poses: FloatArray) -> FloatArray:
        """Standard deviations `[N, 6]` of the poses by the edges' information; zero for the reference."""
        normal, _ = self._normal(poses, np.zeros((len(self.source), 6)), np.ones(len(self.source)))
        inverted = _solved(normal, np.eye(normal.shape[0]))
        found = np.zeros((len(poses), 6))
        found[self.moved] = np.sqrt(np.maximum(np.diag(inverted), 0)).reshape(-1, 6)
        return found

    def _normal(self, poses: FloatArray, misfit: FloatArray, weights: FloatArray) -> tuple[csc_matrix, FloatArray]:
        """The normal matrix and the slope for left perturbations of the poses of clouds that move."""
        # d misfit = J (perturbation of the source's pose - that of the target's), to first order in the misfit.
        jacobian = (np.eye(6) - 0.5 * bracket(misfit)) @ adjoint(inverse(poses[self.target]))
        pulled = np.swapaxes(jacobian, -1, -2) @ (weights[:, None, None] * self.information)
        block, push = pulled @ jacobian, np.einsum("eij,ej->ei", pulled, misfit)
        source, target, size = self.place[self.source], self.place[self.target], 6 * len(self.moved)
        slope = np.zeros((len(self.moved), 6))
        rows, columns, values = [], [], []
        for a, b, sign in ((source, source, 1), (target, target, 1), (source, target, -1), (target, source, -1)):
            used = (a >= 0) & (b >= 0)
            grid = np.indices((6, 6))
            rows.append((6 * a[used, None, None] + grid[0]).ravel())
            columns.append((6 * b[used, None, None] + grid[1]).ravel())
            values.append((sign * block[used]).ravel())
        np.add.at(slope, source[source >= 0], push[source >= 0])
        np.add.at(slope, target[target >= 0], -push[target >= 0])
        places = (np.concatenate(rows), np.concatenate(columns))
        return csc_matrix(coo_matrix((np.concatenate(values), places), shape=(size, size))), slope.ravel()


def _solved(normal: csc_matrix, right: FloatArray) -> FloatArray:
    """The solution of a sparse system, scaled so that lengths and angles weigh alike in the arithmetic."""
    scale = 1 / np.sqrt(normal.diagonal())
    factors = splu(csc_matrix(normal.multiply(scale[:, None]).multiply(scale[None, :])))
    columns = scale[:, None] if right.ndim == 2 else scale
    return np.asarray(columns * factors.solve(columns * right))
