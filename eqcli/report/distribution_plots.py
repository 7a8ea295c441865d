"""Distributions of several sets drawn over each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.report.numbers import count, show
from eqcli.report.svg import SERIES, Plot, document_of, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 4.1, 3.2
BINS = 30

Sides = Mapping[str, Sequence[float]]


def histogram(
    name: str,
    title: str,
    axis: str,
    sides: Sides,
    *,
    width: float | None = None,
    limits: tuple[float, float] | None = None,
    colours: Mapping[str, str] | None = None,
    means: bool = True,
    note: str = "",
) -> Plot | None:
    """Shares of values in bins, one outline per side; None where there are no values.

    Parameters
    ----------
    width
        Of a bin; a thirtieth of the axis by default.
    limits
        Of the axis. By default they leave out the outermost hundredth of each side.
    colours
        By side; those of `SERIES` in turn for others.
    means
        Whether the caption gives them; directions have none.
    note
        Before the caption.
    """
    filled = {side: _finite(values) for side, values in sides.items()}
    filled = {side: values for side, values in filled.items() if len(values)}
    if not filled:
        return None
    edges = _edges(filled, width, limits)
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        for k, (side, values) in enumerate(filled.items()):
            colour = (colours or {}).get(side, SERIES[k % len(SERIES)])
            weights = np.full(len(values), 100 / len(values))
            axes.hist(values, bins=edges, weights=weights, histtype="stepfilled", color=colour, alpha=0.18)
            axes.hist(values, bins=edges, weights=weights, histtype="step", color=colour, label=side)
        axes.set(xlabel=axis, ylabel="share (%)")
        _finish(axes)
        document = document_of(drawn)
    said = {side: f"mean {show(float(v.mean()))} of " if means else "" for side, v in filled.items()}
    words = "; ".join(f"{side}: {said[side]}{count(len(values), 'value')}" for side, values in filled.items())
    caption = f"{note} {words}.".strip()
    return Plot(name.replace("_", "-"), title, caption, f"{title}: {words}", document)


def _finish(axes: Axes) -> None:
    """Room for the legend above the shares, of which none is more than all."""
    axes.margins(y=0.25)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 100])
    axes.legend(loc="upper right", fontsize=8)
    axes.grid(visible=False, axis="x")


def _finite(values: Sequence[float]) -> Any:
    numbers = np.asarray(values, dtype=np.float64)
    return numbers[np.isfinite(numbers)]


def _edges(filled: Mapping[str, Any], width: float | None, limits: tuple[float, float] | None) -> list[float]:
    # Values that there are, not points between them: of a few values none is left out.
    low = min(float(np.quantile(values, 0.005, method="lower")) for values in filled.values())
    high = max(float(np.quantile(values, 0.995, method="higher")) for values in filled.values())
    low, high = limits or ((low - 0.5, high + 0.5) if high - low < 1e-9 else (low, high))
    if width is None:
        return np.linspace(low, high, BINS + 1).tolist()
    first, last = np.floor(low / width + 1e-9), np.ceil(high / width - 1e-9)
    # A bin at least, and no more than can be told apart, where a value is far off.
    number = int(np.clip(last - first, 1, 20 * BINS))
    return ((first + np.arange(number + 1)) * width).tolist()


def bars(
    name: str,
    title: str,
    axis: str,
    sides: Mapping[str, Sequence[Any] | Mapping[Any, int]],
    kinds: Sequence[Any],
    *,
    colours: Mapping[str, str] | None = None,
    note: str = "",
) -> Plot | None:
    """Shares of the kinds, a bar per side; sides are values, or counts of kinds."""
    counted: dict[str, Counter[Any]] = {side: Counter(values) for side, values in sides.items()}
    filled = {side: found for side, found in counted.items() if found.total()}
    if not filled or not kinds:
        return None
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        width = 0.8 / len(filled)
        for k, (side, found) in enumerate(filled.items()):
            shares = [100 * found[kind] / found.total() for kind in kinds]
            at = np.arange(len(kinds)) + (k - (len(filled) - 1) / 2) * width
            colour = (colours or {}).get(side, SERIES[k % len(SERIES)])
            axes.bar(at, shares, width, color=colour, alpha=0.85, label=side)
        labels = ["none" if kind is None else str(kind) for kind in kinds]
        long = max(map(len, labels)) > 4
        axes.set_xticks(range(len(kinds)), labels, rotation=40 if long else 0, ha="right" if long else "center")
        axes.set(xlabel=axis, ylabel="share (%)")
        _finish(axes)
        document = document_of(drawn)
    left = {side: 1 - sum(found[kind] for kind in kinds) / found.total() for side, found in filled.items()}
    rest = ", ".join(f"{side} {share:.0%}" for side, share in left.items() if share > 1e-12)
    caption = f"Not shown, in other groups: {rest}." if rest else "All values are shown."
    return Plot(name.replace("_", "-"), title, f"{note} {caption}".strip(), f"{title}: {caption}", document)
