"""Confidence intervals of figures by the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LARGEST_BLOCK = 4_000_000
"""Counts that are drawn at once."""


class Interval(NamedTuple):
    """A figure and the bounds of its confidence interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def mean_interval(values: ArrayLike, *, level: float = 0.95, resamples: int = 1000, seed: int = 0) -> Interval:
    """The mean of `values` `[n]` with its percentile interval; yes and no count as 1 and 0."""
    numbers = np.asarray(values, dtype=np.float64)
    return ratio_interval(numbers, np.ones_like(numbers), level=level, resamples=resamples, seed=seed)


def mean_of_known_interval(values: ArrayLike, *, level: float = 0.95, resamples: int = 1000, seed: int = 0) -> Interval:
    """The mean over the items that have a value, e.g. the RMSE over those that match; NaN marks the others.

    All items are drawn, so that the number of those with a value varies as it would in another sample.
    """
    numbers = np.asarray(values, dtype=np.float64)
    known = np.isfinite(numbers)
    above = np.where(known, numbers, 0.0)
    return ratio_interval(above, known, level=level, resamples=resamples, seed=seed)


def ratio_interval(
    above: ArrayLike, below: ArrayLike, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Interval:
    """sum(above) / sum(below) of items `[n]`, drawn together, with its percentile interval.

    Draws whose sum `below` is zero have no ratio and are left out.
    """
    upper, lower = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    if upper.shape != lower.shape or upper.ndim != 1:
        raise ValueError(f"expected two arrays of one length, got {upper.shape} and {lower.shape}")
    columns = np.stack([upper, lower], axis=1)

    def ratio(sums: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(sums[:, 1] != 0, sums[:, 0] / sums[:, 1], np.nan)

    return _interval(columns, ratio, level, resamples, seed)


def difference_interval(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Interval:
    """mean(first - second) of the same items `[n]`, drawn together: whether one model beats another."""
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return mean_interval(difference, level=level, resamples=resamples, seed=seed)


def _interval(columns: Array, figure: Callable[[Array], Array], level: float, resamples: int, seed: int) -> Interval:
    """`figure` maps sums over drawn items `[draws, k]` to `[draws]`."""
    value = float(figure(columns.sum(axis=0, keepdims=True))[0])
    if len(columns) == 0 or resamples < 1 or not np.isfinite(value):
        return Interval(value, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    n = len(columns)
    rows = max(1, LARGEST_BLOCK // n)
    draws = []
    for start in range(0, resamples, rows):
        # How often each item is drawn says all about a sample with replacement.
        counts = rng.multinomial(n, np.full(n, 1 / n), size=min(rows, resamples - start))
        draws.append(figure(counts @ columns))
    low, high = np.nanquantile(np.concatenate(draws), [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, *(_unless_rounding(float(bound), value) for bound in (low, high)))


def _unless_rounding(bound: float, value: float) -> float:
    """The bound; the figure itself where they differ by the order alone in which a machine adds numbers up."""
    return value if math.isclose(bound, value, rel_tol=1e-12) else bound
