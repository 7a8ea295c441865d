"""What pictures of a registration show: two clouds thinned to what can be drawn, a motion, and matches by kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from eqcli.geometry.motions import Motion
    from eqcli.io.point_cloud import PointCloud

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MOST_POINTS: Final = 40_000
"""Points of each cloud that are drawn; of larger ones so many, at random."""
MOST_LINES: Final = 600
"""Lines of each kind of match that are drawn; of more so many, at random."""
INSIDE: Final = 0.99
"""Share of the points that a picture is fitted to: a few stray ones may lie outside."""
FAR, BESIDE = 3.0, 1.1
"""Sums of two radii: clouds farther apart are drawn as far apart as the second number says."""


@dataclass(frozen=True)
class ShownMatches:
    """Matches to draw as lines.

    Attributes
    ----------
    source, target
        Points `[M, 3]`, each in the frame of its own cloud.
    inliers
        Which of them the motion brings within the threshold, `[M]`.
    whole
        How many inliers and outliers there were before some were left out; None where these are all.
    """

    source: FloatArray
    target: FloatArray
    inliers: BoolArray
    whole: tuple[int, int] | None = None

    @property
    def kinds(self) -> tuple[int, int]:
        """How many inliers and outliers there are in all."""
        inliers = int(self.inliers.sum())
        return self.whole or (inliers, len(self.inliers) - inliers)

    @classmethod
    def of(cls, source: ArrayLike, target: ArrayLike, inliers: ArrayLike) -> ShownMatches:
        """The same from tensors or lists. Raises ValueError where their lengths differ."""
        first, second = (_plain(one, np.float64).reshape(-1, 3) for one in (source, target))
        kind = _plain(inliers, np.bool_).reshape(-1)
        if not len(first) == len(second) == len(kind):
            raise ValueError(f"{len(first)} points, {len(second)} points and {len(kind)} marks are no matches")
        return cls(first, second, kind)

    def thinned(self, most: int, generator: np.random.Generator) -> ShownMatches:
        """At most so many of each kind, at random, in their order."""
        kept = np.sort(
            np.concatenate([_some(np.flatnonzero(self.inliers == kind), most, generator) for kind in (1, 0)])
        )
        return ShownMatches(self.source[kept], self.target[kept], self.inliers[kept], self.kinds)


@dataclass(frozen=True)
class ShownCloud:
    """The points of a cloud that are drawn: `[n, 3]`, their colours `[n, 3]` or None, and how many there are in all."""

    name: str
    points: FloatArray
    colours: NDArray[np.uint8] | None
    total: int

    @property
    def words(self) -> str:
        """Its name and size."""
        shown = f", {len(self.points):,} of them drawn" if len(self.points) < self.total else ""
        return f"{self.name}: {self.total:,} points{shown}"


@dataclass(frozen=True)
class CloudScene:
    """Two clouds in their own frames, the motion `[4, 4]` from source to target, and matches; see `scene`.

    Attributes
    ----------
    matches
        Those that are drawn.
    units
        Of both clouds, where they state the same.
    """

    source: ShownCloud
    target: ShownCloud
    matrix: FloatArray
    matches: ShownMatches | None
    units: str | None

    @property
    def match_words(self) -> dict[str, str]:
        """`inliers` and `outliers`, those that there are: how many, and how many of them are drawn."""
        if self.matches is None:
            return {}
        told = {}
        for name, kind, total in zip(("inliers", "outliers"), (True, False), self.matches.kinds, strict=True):
            shown = int((self.matches.inliers == kind).sum())
            if total:
                words = f"{total:,} {name if total > 1 else name.removesuffix('s')}"
                told[name] = words + (f", {shown:,} of them drawn" if shown < total else "")
        return told

    def moved(self, points: FloatArray) -> FloatArray:
        """Points `[n, 3]` of the source after the motion."""
        return points @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    @property
    def nearer(self) -> FloatArray:
        """By what vector the source is drawn displaced before the motion: zero unless the clouds are far apart.

        Two clouds that are much farther apart than they are large would be two dots.
        """
        (own, first), (other, second) = extent(self.source.points), extent(self.target.points)
        between = other - own
        distance, sizes = float(np.linalg.norm(between)), first + second
        return np.zeros(3) if distance <= FAR * sizes else between * (1 - BESIDE * sizes / distance)

    @property
    def nearer_words(self) -> str:
        """What is said of `nearer`; empty where nothing is displaced."""
        by = float(np.linalg.norm(self.nearer))
        return f"drawn nearer by {by:,.4g}{' ' + self.units if self.units else ''}" if by > 0 else ""


def scene(
    source: PointCloud,
    target: PointCloud,
    motion: Motion | ArrayLike,
    matches: ShownMatches | None = None,
    *,
    most: int = MOST_POINTS,
    lines: int = MOST_LINES,
) -> CloudScene:
    """The part that is drawn: finite points, at most `most` of each cloud and `lines` matches of each kind.

    The same for the same clouds. Raises ValueError where a cloud has no finite points or the motion is no matrix
    of 4 x 4 finite numbers.
    """
    generator = np.random.default_rng(0)
    shown = [_cloud(cloud, name, most, generator) for cloud, name in ((source, "source"), (target, "target"))]
    some = None if matches is None else matches.thinned(lines, generator)
    units = source.units if source.units == target.units else None
    return CloudScene(shown[0], shown[1], matrix_of(motion), some, units)


def matrix_of(motion: Motion | ArrayLike) -> FloatArray:
    """A motion as a matrix `[4, 4]`, float64. Raises ValueError for anything else."""
    given: Any = motion
    matrix = _plain(given.matrix() if callable(getattr(given, "matrix", None)) else given, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise ValueError(f"a motion is a matrix of 4 x 4 finite numbers, not {matrix.shape}")
    return matrix


def extent(points: FloatArray) -> tuple[FloatArray, float]:
    """Middle `[3]` of points, and the radius around it that holds `INSIDE` of them; above zero."""
    low, high = np.quantile(points, [1 - INSIDE, INSIDE], axis=0)
    centre = 0.5 * (low + high)
    radius = float(np.quantile(np.linalg.norm(points - centre, axis=1), INSIDE))
    return centre, radius if radius > 0 else 1.0


def _cloud(cloud: PointCloud, name: str, most: int, generator: np.random.Generator) -> ShownCloud:
    finite = np.flatnonzero(np.isfinite(cloud.points).all(axis=1))
    if not len(finite):
        raise ValueError(f"{cloud.name or name} has no points to draw")
    kept = np.sort(_some(finite, most, generator))
    colours = None if cloud.colours is None else cloud.colours[kept]
    return ShownCloud(cloud.name or name, cloud.points[kept], colours, len(cloud.points))


def _some(index: NDArray[np.int64], most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return index if len(index) <= most else generator.choice(index, most, replace=False)


def _plain(values: Any, kind: type[np.generic]) -> NDArray[Any]:
    """An array of a tensor on any device, or of anything that numpy takes."""
    held = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(held, dtype=kind)
