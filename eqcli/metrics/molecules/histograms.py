"""How often each molecule of a set shows each value of a coordinate or each category, in fixed bins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqcli.metrics.molecules.geometry import Geometry

FloatArray = NDArray[np.float64]
Coordinate = Literal["lengths", "angles", "torsions"]
Category = Literal["elements", "bond_orders", "sizes", "rings", "ring_sizes", "hybridisations"]


@dataclass(frozen=True)
class Bins:
    """Bins of equal width from `low`; what is outside falls into the first or the last.

    Torsions are compared without their sign, from 0 to 180°: a molecule and its mirror image are equally right, and
    what is just below 180° is next to what is just above -180°.
    """

    low: float
    width: float
    count: int
    unsigned: bool = False

    def index(self, values: ArrayLike) -> NDArray[np.int64]:
        """The bin of each value."""
        numbers = np.asarray(values, dtype=np.float64)
        numbers = np.abs(numbers) if self.unsigned else numbers
        return np.clip(np.floor((numbers - self.low) / self.width), 0, self.count - 1).astype(np.int64)

    def edges(self) -> FloatArray:
        """`[count + 1]`."""
        return self.low + self.width * np.arange(self.count + 1, dtype=np.float64)


BINS: Final[dict[Coordinate, Bins]] = {
    "lengths": Bins(0.5, 0.02, 150),
    "angles": Bins(0.0, 2.0, 90),
    "torsions": Bins(0.0, 10.0, 18, unsigned=True),
}
"""Å and degrees."""
CATEGORIES: Final[tuple[Category, ...]] = ("elements", "bond_orders", "sizes", "rings", "ring_sizes", "hybridisations")


@dataclass(frozen=True)
class Tally:
    """Counts of the values of `molecules` molecules.

    Attributes
    ----------
    matrix
        Sparse, `[molecules, types * bins]`.
    counted, outside
        All values, and those of them whose type is not among `types` or that are no category of the reference.
    named
        Whether the types have names that matter.
    """

    types: tuple[str, ...]
    bins: int
    molecules: int
    matrix: Any
    counted: int
    outside: int
    named: bool = True

    def total(self) -> FloatArray:
        """The counts of all molecules, `[types, bins]`."""
        return self.weighted(np.ones(self.molecules))

    def weighted(self, weights: ArrayLike) -> FloatArray:
        """The counts with a weight for each molecule `[molecules]`, `[types, bins]`."""
        sums = self.matrix.T @ np.asarray(weights, dtype=np.float64)
        return np.asarray(sums).reshape(len(self.types), self.bins)


def pooled(geometries: Sequence[Geometry], kind: Coordinate) -> dict[str, FloatArray]:
    """The values of all molecules by type, for plots."""
    parts: dict[str, list[FloatArray]] = {}
    for geometry in geometries:
        for name, values in getattr(geometry, kind).items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def frequent_types(geometries: Sequence[Geometry], kind: Coordinate, least: int) -> tuple[str, ...]:
    """Types with at least `least` values, the most frequent first."""
    counts: Counter[str] = Counter()
    for geometry in geometries:
        for name, values in getattr(geometry, kind).items():
            counts[name] += len(values)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(name for name, count in ordered if count >= least)


def coordinate_tally(geometries: Sequence[Geometry], kind: Coordinate, types: tuple[str, ...]) -> Tally:
    """The histograms of a coordinate, of the given types."""
    bins, places = BINS[kind], {name: k for k, name in enumerate(types)}
    owners: list[int] = []
    columns: list[int] = []
    outside = 0
    for owner, geometry in enumerate(geometries):
        for name, values in getattr(geometry, kind).items():
            if name not in places:
                outside += len(values)
                continue
            owners.extend([owner] * len(values))
            columns.extend((places[name] * bins.count + bins.index(values)).tolist())
    matrix = _sparse(owners, columns, np.ones(len(owners)), len(geometries), len(types) * bins.count)
    return Tally(types, bins.count, len(geometries), matrix, len(owners) + outside, outside)


def category_tally(
    generated: Sequence[Geometry], reference: Sequence[Geometry], category: Category
) -> tuple[Tally, Tally]:
    """The counts of the categories that either set has, each a bin of one type."""
    return counter_tallies([_counts(g, category) for g in generated], [_counts(g, category) for g in reference])


def counter_tallies(
    generated: Sequence[dict[Hashable, int]], reference: Sequence[dict[Hashable, int]]
) -> tuple[Tally, Tally]:
    """Tallies of one type without a name, whose bins are the keys that occur on either side."""
    known = {key for counts in reference for key in counts}
    keys = sorted(known.union(*generated), key=str)
    places = {key: k for k, key in enumerate(keys)}
    sides = []
    for part in (generated, reference):
        rows = [(owner, places[key], n) for owner, counts in enumerate(part) for key, n in counts.items()]
        outside = sum(n for counts in part for key, n in counts.items() if key not in known)
        owners, columns, values = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
        matrix = _sparse(owners, columns, np.array(values, dtype=np.float64), len(part), len(keys))
        counted = int(matrix.sum())
        sides.append(Tally(("all",), len(keys), len(part), matrix, counted, outside, named=False))
    return sides[0], sides[1]


def _counts(geometry: Geometry, category: Category) -> dict[Hashable, int]:
    if category == "sizes":
        return {geometry.n_atoms: 1}
    if category == "rings":
        return {geometry.rings: 1}
    return dict(getattr(geometry, category) or {})


def _sparse(owners: list[int], columns: list[int], values: FloatArray, rows: int, width: int) -> Any:
    from scipy.sparse import coo_array

    places = (np.array(owners, dtype=np.int64), np.array(columns, dtype=np.int64))
    return coo_array((values, places), shape=(rows, width)).tocsr()
