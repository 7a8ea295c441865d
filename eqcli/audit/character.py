"""How a symmetry that fails fails: by an error that stays, or by one that averages away.

A function of random frames or random directions may be equivariant in expectation: no
single call is, and the mean of n calls is but for an error that falls as 1/sqrt(n).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from eqcli.io.structure import FloatArray

DRAWS = 256
"""Calls whose mean is looked at."""

BLOCKS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of calls averaged, for the law of the error of the mean."""

UNBIASED = 2.0
"""A mean error below this many standard errors is none."""

SHRINKING = -0.25
"""The exponent of the error of the mean must be below this: halfway to -1/2."""


@dataclass(frozen=True)
class Character:
    """`exact`, `approximate` or `in expectation`, with the figures that say so.

    Attributes
    ----------
    bias
        Mean error of the draws in units of its standard error; about 1 when the mean is exact.
    exponent
        Of the error of the mean against the number of draws; -1/2 when the mean is exact.
    draws, error_of_mean
        The law itself: relative error of the mean of so many draws.
    """

    kind: str
    bias: float | None = None
    exponent: float | None = None
    draws: list[int] = field(default_factory=list)
    error_of_mean: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in (None, [])}

    def __str__(self) -> str:
        if self.kind != "in expectation":
            return self.kind
        return (
            f"in expectation: the error of the mean falls as n^{self.exponent:.2f}, "
            f"to {self.error_of_mean[-1]:.1e} at n = {self.draws[-1]}"
        )


EXACT = Character("exact")
APPROXIMATE = Character("approximate")


def characterise(worst: float, limit: float, random: bool, draw: Callable[[], FloatArray]) -> Character:
    """The character of a symmetry whose worst error is `worst`.

    Parameters
    ----------
    limit
        Of what counts as rounding.
    random
        Whether two equal calls differ.
    draw
        The relative error of one more pair of calls, any shape; not called unless it matters.
    """
    if worst <= limit:
        return EXACT
    return in_expectation(np.stack([draw().ravel() for _ in range(DRAWS)])) if random else APPROXIMATE


def in_expectation(errors: FloatArray) -> Character:
    """Whether independent errors `[n, k]` have the mean zero."""
    n = len(errors)
    spread = float(np.mean(errors.var(axis=0, ddof=1)))
    bias = float(np.sqrt(np.mean(errors.mean(axis=0) ** 2) / (spread / n))) if spread > 0 else np.inf
    sizes = [size for size in BLOCKS if n // size >= 4]
    means = [errors[: n // size * size].reshape(n // size, size, -1).mean(axis=1) for size in sizes]
    errors_of_mean = [float(np.sqrt(np.mean(mean**2))) for mean in means]
    exponent = float(np.polyfit(np.log(sizes), np.log(np.maximum(errors_of_mean, 1e-300)), 1)[0])
    kind = "in expectation" if bias < UNBIASED and exponent < SHRINKING else "approximate"
    return Character(kind, bias, exponent, list(sizes), errors_of_mean)
