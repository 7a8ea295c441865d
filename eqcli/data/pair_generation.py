"""Pairs of partial clouds with a known motion, drawn without end from procedural shapes, meshes and scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eqcli.data.pair_bodies import body_shape
from eqcli.data.pair_shapes import OBJECTS, random_rotation
from eqcli.data.pair_solids import Floats
from eqcli.data.pair_surfaces import DENSITY, PER_VOXEL, Complete, complete_file, complete_shape, measured_overlap
from eqcli.data.pair_views import View, bisected, crops, sights
from eqcli.errors import InputError

Single = NDArray[np.float32]

MAKERS = {**OBJECTS, "body": (body_shape, 0.25)}
TRIES = 40
"""Views that are tried before another shape is taken."""


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
        [S, 4, 4]: motions in the target's frame that leave the complete object as it is; None where there are none.
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


@dataclass
class PairSource:
    """Draws pairs; the same seed gives the same sequence of pairs.

    Attributes
    ----------
    kinds
        Weights of `object`, `scene`, `outdoor` and `file`.
    files
        Clouds and meshes for the kind `file`.
    views
        Weights of `crop` and `sight`.
    overlap
        Range of the overlap, which is drawn evenly from it.
    points
        Fewest and most points of a cloud.
    density
        Range of the points per square voxel of surface, drawn for either cloud by itself.
    noise
        Range of the standard deviation of each coordinate, in voxels.
    outliers
        Largest share of points that are anywhere.
    rotation
        Largest angle in degrees of the motion; 180 for any rotation.
    voxels
        Range of the voxels that a complete object occupies.
    pool, uses
        Shapes kept at a time, and pairs that each gives on average before it is replaced.
    in_voxels
        Whether lengths are in voxels, or in the unit of the shape or file.
    """

    kinds: dict[str, float] = field(default_factory=lambda: {"object": 0.7, "scene": 0.2, "outdoor": 0.1})
    files: Sequence[Path] = ()
    views: dict[str, float] = field(default_factory=lambda: {"crop": 0.5, "sight": 0.5})
    overlap: tuple[float, float] = (0.1, 0.8)
    points: tuple[int, int] = (200, 12000)
    density: tuple[float, float] = (1.5, 5.0)
    noise: tuple[float, float] = (0.1, 0.3)
    outliers: float = 0.05
    rotation: float = 180.0
    voxels: tuple[int, int] = (2500, 5000)
    pool: int = 32
    uses: int = 12
    in_voxels: bool = True
    seed: int = 0
    drawn: int = 0
    _shapes: dict[int, tuple[int, Complete]] = field(default_factory=dict, repr=False)

    def draw(self, generator: np.random.Generator) -> DrawnPair:
        """The next pair."""
        rng = generator
        wanted = float(rng.uniform(*self.overlap))
        while True:
            complete = self._shape(int(rng.integers(self.pool)))
            how = _chosen(self.views, rng)
            for _ in range(TRIES):
                found = self._cut(complete, how, wanted, rng)
                if found is not None:
                    self.drawn += 1
                    return self._disturbed(complete, how, *found, rng)

    def _shape(self, slot: int) -> Complete:
        life = self.pool * self.uses
        age = (self.drawn + slot * self.uses) // life
        kept = self._shapes.get(slot)
        if kept is None or kept[0] != age:
            kept = age, self._made(np.random.default_rng([self.seed, slot, age]))
            self._shapes[slot] = kept
        return kept[1]

    def _made(self, rng: np.random.Generator) -> Complete:
        kind = _chosen(self.kinds, rng)
        voxels = float(np.exp(rng.uniform(*np.log(self.voxels))))
        if kind == "file":
            if not self.files:
                raise InputError("pairs from files were asked for, and no files are given")
            return complete_file(Path(self.files[int(rng.integers(len(self.files)))]), voxels, rng)
        name = _chosen({name: weight for name, (_, weight) in MAKERS.items()}, rng)
        shape = MAKERS[name][0](rng, int(1.2 * DENSITY * voxels / PER_VOXEL))
        return complete_shape("object", shape, voxels, rng)

    def _cut(
        self, complete: Complete, how: str, wanted: float, rng: np.random.Generator
    ) -> tuple[Floats, Floats, float] | None:
        """The points of two views, no point in both, and their overlap; None where it is not as wanted."""
        family = (crops if how == "crop" else sights)(complete, rng)
        number = bisected(complete, family, wanted)
        if number is None:
            return None
        first = rng.random(len(complete.points)) < 0.5
        source, target = (
            self._sampled(complete, view, half, rng) for view, half in zip(family(number), (first, ~first), strict=True)
        )
        if min(len(source), len(target)) < self.points[0]:
            return None
        overlap = measured_overlap(source, target)
        low, high = self.overlap
        return (source, target, overlap) if low <= overlap <= high and abs(overlap - wanted) < 0.05 else None

    def _sampled(self, complete: Complete, view: View, half: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
        density = np.exp(rng.uniform(*np.log(self.density)))
        share = np.full(int(half.sum()), min(1.0, 2 * density / complete.density))
        chosen = np.flatnonzero(half)
        if rng.random() < 0.5:  # The density changes along a direction too.
            along = complete.points[chosen] @ rng.normal(size=3)
            along = (along - along.min()) / max(float(np.ptp(along)), 1e-9)
            share *= np.exp(-along * rng.uniform(0, 1.5))
        chosen = chosen[rng.random(len(chosen)) < share]
        normals = None if complete.normals is None else complete.normals[chosen]
        points = complete.points[chosen][view(complete.points[chosen], normals)]
        return (
            points[rng.choice(len(points), self.points[1], replace=False)] if len(points) > self.points[1] else points
        )

    def _disturbed(
        self, complete: Complete, how: str, source: Floats, target: Floats, overlap: float, rng: np.random.Generator
    ) -> DrawnPair:
        scale = 1.0 if self.in_voxels else complete.voxel
        to_target = _motion(rng, 180.0)
        relative = _motion(rng, self.rotation)
        truth = relative  # Source frame to target frame.
        to_source = np.linalg.inv(truth) @ to_target
        clouds = []
        for points, motion in ((source, to_source), (target, to_target)):
            noisy = points + rng.normal(size=points.shape) * rng.uniform(*self.noise)
            outliers = self._outliers(points, rng)
            every = np.concatenate([noisy, outliers]) @ motion[:3, :3].T + motion[:3, 3]
            clouds.append((every[rng.permutation(len(every))] * scale).astype(np.float32))
        symmetries = None
        if complete.symmetries is not None:
            own = np.tile(np.eye(4), (len(complete.symmetries), 1, 1))
            own[:, :3, :3] = complete.symmetries
            symmetries = to_target @ own @ np.linalg.inv(to_target)
            symmetries[:, :3, 3] *= scale
        truth = truth.copy()
        truth[:3, 3] *= scale
        return DrawnPair(clouds[0], clouds[1], truth, overlap, symmetries, f"{complete.kind}/{how}", scale)

    def _outliers(self, points: Floats, rng: np.random.Generator) -> Floats:
        count = int(len(points) * rng.uniform(0, self.outliers))
        low, high = points.min(0) - 2, points.max(0) + 2
        return rng.uniform(low, high, (count, 3))


def _motion(rng: np.random.Generator, largest: float) -> Floats:
    """A motion by a uniform rotation, or one about a uniform axis by less than `largest` degrees."""
    from scipy.spatial.transform import Rotation

    motion = np.eye(4)
    if largest >= 180.0:
        motion[:3, :3] = random_rotation(rng)
    else:
        axis = rng.normal(size=3)
        angle = np.deg2rad(rng.uniform(0, largest))
        motion[:3, :3] = Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()
    motion[:3, 3] = rng.normal(size=3) * 20
    return motion


def _chosen(weights: dict[str, float], rng: np.random.Generator) -> str:
    names = sorted(weights)
    shares = np.array([weights[name] for name in names], dtype=np.float64)
    return str(rng.choice(names, p=shares / shares.sum()))
