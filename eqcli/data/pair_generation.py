"""Pairs of partial clouds with a known motion, drawn without end from procedural shapes, meshes and scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eqcli.data.pair_bodies import body_shape
from eqcli.data.pair_drawn import Disturbance
from eqcli.data.pair_drawn import DrawnPair as DrawnPair
from eqcli.data.pair_scenes import room, street
from eqcli.data.pair_shapes import OBJECTS
from eqcli.data.pair_sights import glances, scans, sights
from eqcli.data.pair_solids import Floats
from eqcli.data.pair_surfaces import PER_VOXEL, Complete, Mask, complete_file, complete_shape, measured_overlap
from eqcli.data.pair_views import Family, View, bisected, crops
from eqcli.errors import InputError

MAKERS = {**OBJECTS, "body": (body_shape, 0.25)}

SAMPLES = {"object": 14.0, "scene": 9.0, "outdoor": 7.0, "file": 14.0}
"""Points per square voxel of complete surfaces; a view has half of those it sees at most."""

LARGER = {"object": 1.0, "scene": 3.0, "outdoor": 8.0, "file": 1.0}
"""Voxels of a complete surface in those of an object: of a scene a view shows but a part."""

TRIES = 8
"""Pairs of views that are tried on a shape before another one is taken."""

SHAPES = 25
"""Shapes that are tried before a pair is given up."""

FIRM = 0.003
"""Least firmness of what two views share: a bare wall tells of no motion."""

AIMS = 4
"""Overlaps that are aimed at in turn, since thin or patterned clouds overlap otherwise than dense ones."""

OFF = 0.05
"""The overlap differs by less from the one that was wanted."""


@dataclass
class PairSource:
    """Draws pairs. The same settings, generator and turn give the same pair, whatever was drawn before.

    Attributes
    ----------
    kinds
        Weights of `object`, `scene`, `outdoor` and `file`.
    files
        Clouds and meshes for the kind `file`.
    views
        Weights of `crop` and `sight`; streets are always scanned. Files without normals that point outward, as open
        scans have none, are only cropped: from outside both their sides would be seen.
    overlap
        Range of the overlap, which is drawn evenly from it.
    points
        Fewest and most points of a cloud.
    density
        Range of the points per square voxel of surface, drawn for either cloud by itself.
    noise, outliers, rotation
        As in `Disturbance`.
    voxels
        Range of the voxels that a complete object occupies.
    pool, uses
        Shapes that are kept, and pairs that each gives on average before it is replaced, as turns go on.
    in_voxels
        Whether lengths are in voxels, or in the unit of the shape or file.
    seed
        Of the shapes.
    """

    kinds: Mapping[str, float] = field(default_factory=lambda: {"object": 0.7, "scene": 0.2, "outdoor": 0.1})
    files: Sequence[str | Path] = ()
    views: Mapping[str, float] = field(default_factory=lambda: {"crop": 0.5, "sight": 0.5})
    overlap: tuple[float, float] = (0.1, 0.8)
    points: tuple[int, int] = (200, 12000)
    density: tuple[float, float] = (1.5, 5.0)
    noise: tuple[float, float] = (0.1, 0.3)
    outliers: float = 0.05
    rotation: float = 180.0
    voxels: tuple[int, int] = (2500, 5000)
    pool: int = 96
    uses: int = 16
    in_voxels: bool = True
    seed: int = 0
    _shapes: dict[int, tuple[int, Complete]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kinds.get("file", 0) > 0 and not self.files:
            raise InputError("pairs from files were asked for, and no files are named")
        unknown = sorted({*self.kinds} - {*SAMPLES}) + sorted({*self.views} - {"crop", "sight"})
        if unknown:
            raise InputError(f"'{unknown[0]}' is no kind of shape or view", hint=f"Kinds are {', '.join(SAMPLES)}.")
        for name, weights in (("kinds", self.kinds), ("views", self.views)):
            every = list(weights.values())
            if not all(0 <= weight < np.inf for weight in every) or not sum(every) > 0:
                raise InputError(f"the weights of {name} must be 0 or above, and not all 0")

    def draw(self, generator: np.random.Generator, turn: int = 0) -> DrawnPair:
        """The pair that the state of the generator stands for, from the shapes of a turn.

        A turn is the number of the pair in a training: as it rises, one shape after another gives way to a new one.
        """
        wanted = float(generator.uniform(*self.overlap))
        for _ in range(SHAPES):
            complete = self._shape(int(generator.integers(self.pool)), turn)
            for _ in range(TRIES):
                how, family = self._family(complete, generator)
                found = self._cut(complete, family, wanted, generator)
                if found is not None:
                    scale = 1.0 if self.in_voxels else complete.voxel
                    disturbance = Disturbance(self.noise, self.outliers, self.rotation)
                    kind, turns = f"{complete.kind}/{how}", complete.symmetries
                    return disturbance.drawn(*found, kind, generator, symmetries=turns, scale=scale)
        raise InputError(
            f"no two views with an overlap near {wanted:.2f} were found on {SHAPES} shapes",
            hint="Widen the overlap, lower the fewest points, or see whether the files are large and dense enough.",
        )

    def _shape(self, slot: int, turn: int) -> Complete:
        """The shape that stands in a place of the pool; all places change in turns, at different times."""
        age = (turn + slot * self.uses) // (self.pool * self.uses)
        kept = self._shapes.get(slot)
        if kept is None or kept[0] != age:
            kept = self._shapes[slot] = age, self._made(np.random.default_rng([self.seed, slot, age]))
        return kept[1]

    def _made(self, rng: np.random.Generator) -> Complete:
        kind = _chosen(self.kinds, rng)
        voxels = float(np.exp(rng.uniform(*np.log(self.voxels)))) * LARGER[kind]
        if kind == "file":
            return complete_file(Path(self.files[int(rng.integers(len(self.files)))]), voxels, SAMPLES[kind], rng)
        count = int(SAMPLES[kind] * voxels / PER_VOXEL)
        if kind == "object":
            name = _chosen({name: weight for name, (_, weight) in MAKERS.items()}, rng)
            return complete_shape(kind, MAKERS[name][0](rng, int(1.2 * count)), voxels, rng)
        scene = room(rng, count) if kind == "scene" else street(rng, count)
        return complete_shape(kind, scene.shape, voxels, rng, scene.stations)

    def _family(self, complete: Complete, rng: np.random.Generator) -> tuple[str, Family]:
        how = _chosen(self.views, rng)
        if complete.kind == "outdoor" and complete.stations is not None:
            return "scan", scans(complete, complete.stations, rng)
        if how == "crop" or (complete.normals is None and complete.stations is None):
            return "crop", crops(complete, rng)
        return how, sights(complete, rng) if complete.stations is None else glances(complete, complete.stations, rng)

    def _cut(
        self, complete: Complete, family: Family, wanted: float, rng: np.random.Generator
    ) -> tuple[tuple[Floats, Floats], float] | None:
        """The points of two views, none in both, and their overlap; None where that is not as wanted."""
        aim = wanted
        for _ in range(AIMS):
            views = bisected(complete, family, aim)
            if views is None or not self._is_firm(complete, views):
                return None
            half = rng.random(len(complete.points)) < 0.5
            source, target = (self._sampled(complete, v, h, rng) for v, h in zip(views, (half, ~half), strict=True))
            if min(len(source), len(target)) < self.points[0]:
                return None
            overlap = measured_overlap(source, target)
            if self.overlap[0] <= overlap <= self.overlap[1] and abs(overlap - wanted) < OFF:
                return (source, target), overlap
            aim = min(max(aim + wanted - overlap, 0.02), 0.98)
        return None

    def _is_firm(self, complete: Complete, views: tuple[View, View]) -> bool:
        if complete.normals is None:
            return True
        points, normals = complete.points[complete.coarse], complete.normals[complete.coarse]
        first, second = (view.sees(points, normals) for view in views)
        return complete.firmness(first, second) >= FIRM

    def _sampled(self, complete: Complete, view: View, half: Mask, rng: np.random.Generator) -> Floats:
        """Points of the half that the view sees, thinned to a random density, which changes over the cloud at times."""
        chosen = np.flatnonzero(half)
        if view.pattern is None:
            density = np.exp(rng.uniform(*np.log(self.density)))
            share = np.full(len(chosen), 2 * density / complete.density)
            if rng.random() < 0.5:
                along = complete.points[chosen] @ rng.normal(size=3)
                share *= np.exp(-(along - along.min()) / max(float(np.ptp(along)), 1e-9) * rng.uniform(0, 1.5))
            chosen = chosen[rng.random(len(chosen)) < share]
        points, normals = complete.points[chosen], None if complete.normals is None else complete.normals[chosen]
        seen = view.sees(points, normals)
        points, normals = points[seen], None if normals is None else normals[seen]
        if view.pattern is not None:
            points = view.pattern(points, normals)
        many = len(points) > self.points[1]
        return points[rng.choice(len(points), self.points[1], replace=False)] if many else points


def _chosen(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    names = sorted(weights)
    shares = np.array([weights[name] for name in names], dtype=np.float64)
    return str(rng.choice(names, p=shares / shares.sum()))
