"""How far the geometry and the make-up of generated molecules are from those of a reference.

The figure is the Jensen-Shannon distance to base 2: the square root of the divergence (Lin, IEEE Trans. Inf. Theory
37, 145 (1991)), a metric from 0, equal, to 1, nothing in common. Internal coordinates are compared type by type, and
types are averaged with their counts in the reference as weights. A small sample is never at 0, for its histogram is
rough: every distance has a `floor` beside it, what a sample of that size from the reference itself would get.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eqcli.metrics.molecules.geometry import Geometry
from eqcli.metrics.molecules.histograms import (
    BINS,
    CATEGORIES,
    Tally,
    category_tally,
    coordinate_tally,
    frequent_types,
)
from eqcli.metrics.statistics import Interval

FloatArray = NDArray[np.float64]
Kind = Literal[
    "lengths", "angles", "torsions", "elements", "bond_orders", "sizes", "rings", "ring_sizes", "hybridisations"
]

LEAST = 50
"""Values of a type that the reference must have for the type to be compared."""
SPLITS = 5
NORMAL_95 = 1.959964


@dataclass(frozen=True)
class TypeDistance:
    """The distance of one type of coordinate, the floor of it, and how many values there are; see `Comparison`."""

    distance: float
    floor: float
    generated: int
    reference: int


@dataclass(frozen=True)
class Comparison:
    """The distance of one kind of distribution.

    Attributes
    ----------
    distance
        Jensen-Shannon distance to base 2, averaged over types; NaN where either side has nothing to compare. Its
        bounds are those of a normal distribution with the spread of bootstrap samples of the generated molecules:
        their quantiles lie too high, as a sample of a sample is rougher.
    floor
        The same of random molecules of the reference, as many as were generated but at most half of them, against
        the others: what a perfect generator would get. With more than half, this is an upper bound.
    types
        By type, those with at least `LEAST` values in the reference; empty for categories. A type that no generated
        molecule has is at distance 1.
    outside
        Share of the generated values whose types are not compared, for the reference has too few of them; of
        categories, the share that the reference does not have at all. NaN without generated values.
    n_generated, n_reference
        Numbers of molecules.
    """

    distance: Interval
    floor: float
    types: dict[str, TypeDistance]
    outside: float
    n_generated: int
    n_reference: int


def jensen_shannon(first: Any, second: Any) -> FloatArray:
    """The distance to base 2 of histograms of counts over the last axis `[..., bins]` -> `[...]`; 1 if one is empty.

    NaN where both are.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    sums = one.sum(axis=-1), other.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (side / total[..., None] for side, total in zip((one, other), sums, strict=True))
        middle = (p + q) / 2
        terms = [np.where(part > 0, part * np.log2(part / middle), 0.0) for part in (p, q)]
    divergence = (terms[0].sum(axis=-1) + terms[1].sum(axis=-1)) / 2
    found = np.sqrt(np.clip(divergence, 0.0, 1.0))
    empty = [total == 0 for total in sums]
    return np.where(empty[0] & empty[1], np.nan, np.where(empty[0] | empty[1], 1.0, found))


def compare(
    generated: Sequence[Geometry],
    reference: Sequence[Geometry],
    *,
    least: int = LEAST,
    splits: int = SPLITS,
    resamples: int = 100,
    seed: int = 0,
) -> dict[Kind, Comparison]:
    """Every kind of distribution of generated molecules against that of the reference.

    `lengths`, `angles` and `torsions` by type; `elements`, `bond_orders`, `ring_sizes` and `hybridisations` as shares
    of all atoms, bonds and rings; `sizes` and `rings` as shares of molecules with so many atoms and rings.

    Parameters
    ----------
    least
        Values of a type in the reference below which it is not compared.
    splits
        Random splits of the reference that the floor is the mean of.
    resamples
        Bootstrap samples that give the bounds; 0 for none.
    """
    found: dict[Kind, Comparison] = {}
    for kind in BINS:
        types = frequent_types(reference, kind, least)
        sides = [coordinate_tally(part, kind, types) for part in (generated, reference)]
        found[kind] = compare_tallies(*sides, splits=splits, resamples=resamples, seed=seed)
    for category in CATEGORIES:
        one, other = category_tally(generated, reference, category)
        compared = compare_tallies(one, other, splits=splits, resamples=resamples, seed=seed)
        found[category] = compared
    return found


def compare_tallies(
    generated: Tally, reference: Tally, *, splits: int = SPLITS, resamples: int = 100, seed: int = 0
) -> Comparison:
    """The comparison of two tallies of the same types and bins."""
    rng = np.random.default_rng(seed)
    whole, target = generated.total(), reference.total()
    weights = target.sum(axis=-1)
    by_type = jensen_shannon(whole, target)
    value = _mean(by_type, weights) if generated.counted else np.nan
    floors = _floors(reference, generated.molecules, splits, rng)
    n = generated.molecules
    # A figure that is not defined has no bounds.
    draws = rng.multinomial(n, np.full(n, 1 / n), size=resamples) if n and np.isfinite(value) else np.zeros((0, n))
    drawn = [_mean(jensen_shannon(generated.weighted(row), target), weights) for row in draws]
    named = zip(generated.types, by_type, floors, whole.sum(axis=-1), weights, strict=True) if generated.named else ()
    return Comparison(
        distance=spread(value, drawn),
        floor=_mean(floors, weights),
        types={t: TypeDistance(float(d), float(f), int(g), int(r)) for t, d, f, g, r in named},
        outside=generated.outside / generated.counted if generated.counted else np.nan,
        n_generated=n,
        n_reference=reference.molecules,
    )


def spread(value: float, draws: Sequence[float], *, highest: float = 1.0) -> Interval:
    """`value` with 95 % bounds from the standard deviation of bootstrap draws, between 0 and `highest`.

    For figures that a sample biases upwards: the quantiles of their draws need not even enclose the value.
    """
    if len(draws) < 2:
        return Interval(value, np.nan, np.nan)
    width = NORMAL_95 * float(np.std(draws, ddof=1))
    return Interval(value, max(0.0, value - width), min(highest, value + width))


def _floors(reference: Tally, size: int, splits: int, rng: np.random.Generator) -> FloatArray:
    """The mean distance of a part of the reference to the rest by type, `[types]`; NaN where there is no part."""
    n = reference.molecules
    part = min(size, n // 2)
    if part == 0 or splits < 1:
        return np.full(len(reference.types), np.nan)
    found = []
    for _ in range(splits):
        chosen = np.zeros(n)
        chosen[rng.permutation(n)[:part]] = 1.0
        found.append(jensen_shannon(reference.weighted(chosen), reference.weighted(1.0 - chosen)))
    return np.mean(found, axis=0)


def _mean(distances: FloatArray, weights: FloatArray) -> float:
    """The mean over types with weights; NaN where nothing weighs."""
    total = float(weights.sum())
    return float((distances * weights)[weights > 0].sum() / total) if total > 0 else float("nan")
