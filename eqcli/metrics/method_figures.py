"""The row of a method in a table: figures over many pairs, with intervals over the groups that the pairs come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.metrics.group_intervals import mean_over_groups, quantiles_over_groups
from eqcli.metrics.statistics import Interval

Column = NDArray[np.float64]


@dataclass(frozen=True)
class PairFigures:
    """Figures of a method over pairs.

    Attributes
    ----------
    figures
        By name; a figure that nothing is known of is absent.
    known
        Of how many pairs each figure is.
    pairs, failed
        How many pairs there are, and how many have no result.
    """

    figures: dict[str, Interval]
    known: dict[str, int]
    pairs: int
    failed: int

    def as_dict(self) -> dict[str, Any]:
        """Counts by name, then `figures`: name -> `value`, `low`, `high` and `n`."""
        counts = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("figures", "known")}
        figures = {name: {**found._asdict(), "n": self.known[name]} for name, found in self.figures.items()}
        return counts | {"figures": figures}


def figures_of(
    columns: Mapping[str, tuple[Column, float | None]], groups: Sequence[str], *, resamples: int, seed: int
) -> tuple[dict[str, Interval], dict[str, int]]:
    """Figures, and of how many pairs each is; without those that nothing is known of.

    Parameters
    ----------
    columns
        Figure -> values of the pairs, NaN where unknown, and which quantile the figure is of them; None for the mean.
    groups
        Of the pairs; pairs of one group are drawn together.
    """
    figures: dict[str, Interval] = {}
    known: dict[str, int] = {}
    for name, (values, share) in columns.items():
        if share is None:
            found = mean_over_groups(values, groups, resamples=resamples, seed=seed)
        else:
            (found,) = quantiles_over_groups(values, groups, [share], resamples=resamples, seed=seed)
        if np.isfinite(found.value):
            figures[name], known[name] = found, int(np.isfinite(values).sum())
    return figures, known


def numbers(outcomes: Sequence[object], name: str) -> Column:
    """One attribute of all outcomes."""
    return np.array([getattr(outcome, name) for outcome in outcomes], dtype=np.float64)
