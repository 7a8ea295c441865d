"""How far the properties of generated molecules are from those of a reference, and from what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqcli.io.structure import Structure
from eqcli.metrics.molecules.distances_js import SPLITS, Comparison, compare_tallies, spread
from eqcli.metrics.molecules.histograms import Bins, counter_tallies
from eqcli.metrics.molecules.properties import COUNTS, Values
from eqcli.metrics.statistics import Interval, mean_interval

FloatArray = NDArray[np.float64]

WIDTH, REACH = 0.2, 5.0
"""Width of bins and how far they go from the reference's mean, in its standard deviations."""
WANTED = "wanted_"
ALIASES = {"mu": "dipole", "logp": "log_p", "mw": "molecular_weight"}
"""Names that data sets use for properties; their units are those of the tool."""


@dataclass(frozen=True)
class PropertyDistance:
    """The distance of one property.

    Attributes
    ----------
    wasserstein
        Wasserstein-1 distance in standard deviations of the reference; NaN where it does not vary or a side has no
        values. Bounds as those of `Comparison.distance`.
    wasserstein_floor
        The same of random molecules of the reference against its others; see `Comparison.floor`.
    js
        Jensen-Shannon distance: whole numbers as categories, others in bins of `WIDTH` standard deviations.
    mean
        Of the generated molecules, in the unit of the property.
    reference_mean, reference_deviation
        Of the reference, in that unit.
    """

    wasserstein: Interval
    wasserstein_floor: float
    js: Comparison
    mean: Interval
    reference_mean: float
    reference_deviation: float


@dataclass(frozen=True)
class WantedError:
    """How well generated molecules have the property that they were generated for.

    Attributes
    ----------
    mae
        Mean absolute difference of wanted and found property, in its unit.
    mae_of_shuffled
        The null baseline: the expectation of that for a random molecule of the reference in place of each.
    n, missing
        Molecules with both a wanted and a found value, and those with a wanted one alone.
    """

    mae: Interval
    mae_of_shuffled: Interval
    n: int
    missing: int


def property_distances(
    generated: Sequence[Values | None], reference: Sequence[Values | None], *, resamples: int = 100, seed: int = 0
) -> dict[str, PropertyDistance]:
    """The distance of each property that the reference has; None stands for molecules that have no properties."""
    names = list(dict.fromkeys(name for values in reference if values for name in values))
    return {
        name: property_distance(
            *(column(part, name) for part in (generated, reference)),
            whole=name in COUNTS,
            resamples=resamples,
            seed=seed,
        )
        for name in names
    }


def column(rows: Sequence[Values | None], name: str) -> FloatArray:
    """The finite values of a property."""
    values = np.array([row[name] for row in rows if row and name in row], dtype=np.float64)
    return values[np.isfinite(values)]


def property_distance(
    generated: FloatArray, reference: FloatArray, *, whole: bool = False, resamples: int = 100, seed: int = 0
) -> PropertyDistance:
    """The distance of the values `[n]` of one property to those of the reference `[m]`; `whole` numbers or others."""
    middle = float(reference.mean()) if len(reference) else float("nan")
    deviation = float(reference.std()) if len(reference) else float("nan")
    # The deviation of equal numbers is not always exactly zero.
    scale = deviation if deviation > 1e-9 * max(1.0, abs(middle)) else float("nan")
    rng = np.random.default_rng(seed)
    value = _wasserstein(generated, reference, scale)
    draws = [] if np.isnan(value) else [
        _wasserstein(rng.choice(generated, len(generated)), reference, scale) for _ in range(resamples)
    ]  # fmt: skip
    sides = [[_binned(v, whole, middle, scale) for v in part] for part in (generated.tolist(), reference.tolist())]
    return PropertyDistance(
        wasserstein=spread(value, draws, highest=float("inf")),
        wasserstein_floor=_wasserstein_floor(reference, len(generated), scale, rng),
        js=compare_tallies(*counter_tallies(sides[0], sides[1]), resamples=resamples, seed=seed),
        mean=mean_interval(generated, resamples=resamples, seed=seed),
        reference_mean=middle,
        reference_deviation=deviation,
    )


def wanted_errors(
    structures: Sequence[Structure],
    found: Sequence[Values | None],
    reference: Sequence[Values | None],
    *,
    aliases: Mapping[str, str] = ALIASES,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, WantedError]:
    """The errors of each property that structures were generated for (`info["wanted_<name>"]`) and that is computed.

    Parameters
    ----------
    structures, found
        Generated molecules and their properties, None for those that have none.
    reference
        Properties of the molecules that the null baseline draws from.
    aliases
        Wanted name -> property, where they differ. Values must be in the units of `properties.UNITS`.
    """
    names = sorted({key[len(WANTED) :] for s in structures for key in s.info if key.startswith(WANTED)})
    errors = {}
    for name in names:
        target = aliases.get(name, name)
        pool = column(reference, target)
        asked = [(s.info[WANTED + name], v) for s, v in zip(structures, found, strict=True) if WANTED + name in s.info]
        pairs = [(float(w), v[target]) for w, v in asked if v and np.isfinite(v.get(target, np.nan))]
        if not pairs and not len(pool):
            continue
        wanted, got = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        errors[name] = WantedError(
            mae=mean_interval(np.abs(wanted - got), resamples=resamples, seed=seed),
            mae_of_shuffled=mean_interval(mean_distances(wanted, pool), resamples=resamples, seed=seed),
            n=len(pairs),
            missing=len(asked) - len(pairs),
        )
    return errors


def mean_distances(values: FloatArray, pool: FloatArray) -> FloatArray:
    """The mean of |value - p| over all p of `pool`, `[n]`: exact, by sorting the pool; NaN if it is empty."""
    if not len(pool):
        return np.full(len(values), np.nan)
    ordered = np.sort(pool)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    below = np.searchsorted(ordered, values)
    n, total = len(pool), sums[-1]
    return ((2 * below - n) * values - 2 * sums[below] + total) / n


def _wasserstein(first: FloatArray, second: FloatArray, scale: float) -> float:
    from scipy.stats import wasserstein_distance

    if not len(first) or not len(second) or np.isnan(scale):
        return float("nan")
    return float(wasserstein_distance(first, second)) / scale


def _wasserstein_floor(reference: FloatArray, size: int, scale: float, rng: np.random.Generator) -> float:
    part = min(size, len(reference) // 2)
    if part == 0:
        return float("nan")
    shuffled = [rng.permutation(reference) for _ in range(SPLITS)]
    return float(np.mean([_wasserstein(values[:part], values[part:], scale) for values in shuffled]))


def _binned(value: float, whole: bool, middle: float, scale: float) -> dict[object, int]:
    """A count of one in the bin of a value; values are their own bins where they are whole or do not vary."""
    if whole or np.isnan(scale):
        return {value: 1}
    bins = Bins(middle - REACH * scale, WIDTH * scale, round(2 * REACH / WIDTH))
    return {int(bins.index(value)): 1}
