"""Confidence intervals of figures of grouped items by the bootstrap over groups.

Items of one group are alike: complexes of one protein share its pocket, pairs of clouds of one scene its surfaces.
Drawing items one by one would count them as independent and give intervals that are too narrow, so whole groups are
drawn, each with all its items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqcli.metrics.statistics import Interval, ratio_interval

Array = NDArray[np.float64]

FEWEST = 2
"""Groups below which there is no interval: one group, drawn again and again, says nothing of another."""

LEVEL = 0.95


def mean_over_groups(values: ArrayLike, groups: Sequence[str], *, resamples: int = 1000, seed: int = 0) -> Interval:
    """The mean of `values` `[n]` with the 95 % interval over the `groups` of the values; NaN marks unknown values."""
    numbers, index, count = _indexed(values, groups)
    known = np.isfinite(numbers)
    above = np.bincount(index, np.where(known, numbers, 0.0), count)
    below = np.bincount(index, known.astype(np.float64), count)
    found = ratio_interval(above, below, level=LEVEL, resamples=resamples, seed=seed)
    return found if _enough(index[known]) else Interval(found.value, np.nan, np.nan)


def quantiles_over_groups(
    values: ArrayLike,
    groups: Sequence[str],
    shares: Sequence[float],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Interval]:
    """Quantiles (linear between values, as numpy's) of the known `values` `[n]`, one interval for each of `shares`."""
    numbers, index, count = _indexed(values, groups)
    known = np.isfinite(numbers)
    order = np.argsort(numbers[known], kind="stable")
    sorted_values, owner = numbers[known][order], index[known][order]
    if not len(sorted_values):
        return [Interval(np.nan, np.nan, np.nan) for _ in shares]
    found = _quantiles(sorted_values, np.ones((1, len(sorted_values))), shares)[:, 0]
    if not _enough(owner) or resamples < 1:
        return [Interval(float(value), np.nan, np.nan) for value in found]
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    counts = draws[:, owner].astype(np.float64)
    drawn = _quantiles(sorted_values, counts[counts.sum(axis=1) > 0], shares)
    bounds = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return [Interval(float(v), float(low), float(high)) for v, low, high in zip(found, *bounds, strict=True)]


def _quantiles(values: Array, counts: Array, shares: Sequence[float]) -> Array:
    """Of samples in which the sorted `values` `[n]` stand `counts` `[draws, n]` times: `[shares, draws]`."""
    last = np.cumsum(counts, axis=1)
    total = last[:, -1]
    found = []
    for share in shares:
        place = (total - 1) * share
        low, high = np.floor(place), np.ceil(place)
        first, second = (values[(last <= at[:, None]).sum(axis=1)] for at in (low, high))
        found.append(first + (place - low) * (second - first))
    return np.stack(found)


def _indexed(values: ArrayLike, groups: Sequence[str]) -> tuple[Array, NDArray[np.int64], int]:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (len(groups),):
        raise ValueError(f"{len(groups)} groups for values of shape {numbers.shape}")
    names, index = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    return numbers, index.astype(np.int64), len(names)


def _enough(owners: NDArray[np.int64]) -> bool:
    return len(np.unique(owners)) >= FEWEST
