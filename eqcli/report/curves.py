"""What plots of several methods have in common: the look of their lines, and shares of pairs below an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.report.svg import SERIES

DASHES: Final = ("-", "--", ":", "-.")
FloatArray = NDArray[np.float64]


def line_style(k: int) -> dict[str, Any]:
    """Colour and dashes of the `k`-th line; dashes change where the colours begin again."""
    return {"color": SERIES[k % len(SERIES)], "linestyle": DASHES[k // len(SERIES) % len(DASHES)]}


def shares_below(errors: Sequence[float], end: float) -> tuple[FloatArray, FloatArray]:
    """Corners of the steps from 0 to `end` of the share of errors, in per cent, that are at most x.

    Infinite errors are below none, and count.
    """
    at = np.sort(errors)
    share = np.arange(1, len(at) + 1) / len(at) * 100
    inside = at <= end
    last = share[inside][-1] if inside.any() else 0.0
    return np.concatenate([[0.0], at[inside], [end]]), np.concatenate([[0.0], share[inside], [last]])
