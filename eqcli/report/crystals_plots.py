"""Plots of generated crystals beside a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from eqcli.report.numbers import count, show
from eqcli.report.svg import SERIES, Plot, document_of, figure

WIDTH, HEIGHT = 4.1, 3.2
SYSTEMS: Final = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
MOST_GROUPS: Final = 10

NUMBERS: Final = {
    "density": ("Density", "density (g/cm³)"),
    "volume_per_atom": ("Volume per atom", "volume per atom (Å³)"),
}
COUNTS: Final = {"n_elements": ("Elements", "number of elements"), "n_atoms": ("Atoms", "atoms per cell")}


def crystal_plots(curves: Mapping[str, Any]) -> list[Plot]:
    """A plot for each distribution that has values; sides are named by the keys."""
    plots = [_histogram("rmse", "RMSE of matches", "RMSE / (V/N)^(1/3)", curves["rmse"])] if "rmse" in curves else []
    plots += [_histogram(name, *words, curves[name]) for name, words in NUMBERS.items() if name in curves]
    for name, words in COUNTS.items():
        if name in curves:
            kinds = sorted({int(v) for side in curves[name].values() for v in side})
            if len(kinds) > 24:
                plots.append(_histogram(name, *words, curves[name]))
            else:
                plots.append(_bars(name, *words, curves[name], kinds))
    if "crystal_system" in curves:
        present = {v for side in curves["crystal_system"].values() for v in side}
        systems: list[str | None] = [name for name in SYSTEMS if name in present]
        systems += [None] if None in present else []
        plots.append(_bars("crystal_system", "Crystal systems", "", curves["crystal_system"], systems))
    if "space_group" in curves:
        plots.append(
            _bars("space_group", "Space groups", "number", curves["space_group"], _groups(curves["space_group"]))
        )
    return [plot for plot in plots if plot is not None]


def _groups(sides: Mapping[str, Sequence[int | None]]) -> list[int | None]:
    """The most frequent space groups of all sides, each side weighing the same."""
    share: dict[int | None, float] = {}
    for side in sides.values():
        for value in side:
            share[value] = share.get(value, 0.0) + 1 / len(side)
    most = sorted(share, key=lambda group: (-share[group], group or 0))[:MOST_GROUPS]
    return sorted(most, key=lambda group: group or 0)


def _histogram(name: str, title: str, axis: str, sides: Mapping[str, Sequence[float]]) -> Plot | None:
    """Shares of values in bins, one outline per side; the outermost hundredth is left out of the picture."""
    filled = {side: np.asarray(values, dtype=np.float64) for side, values in sides.items() if len(values)}
    if not filled:
        return None
    low = min(float(np.quantile(values, 0.005)) for values in filled.values())
    high = max(float(np.quantile(values, 0.995)) for values in filled.values())
    low, high = (low - 0.5, high + 0.5) if high - low < 1e-9 else (low, high)
    edges = np.linspace(low, high, 31).tolist()
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        for k, (side, values) in enumerate(filled.items()):
            colour = SERIES[k % len(SERIES)]
            weights = np.full(len(values), 100 / len(values))
            axes.hist(values, bins=edges, weights=weights, histtype="stepfilled", color=colour, alpha=0.18)
            axes.hist(values, bins=edges, weights=weights, histtype="step", color=colour, label=side)
        axes.set(xlabel=axis, ylabel="share (%)")
        axes.margins(y=0.25)
        axes.legend(loc="upper right", fontsize=8)
        axes.grid(visible=False, axis="x")
        document = document_of(drawn)
    words = "; ".join(f"{side}: mean {show(float(v.mean()))} of {count(len(v), 'value')}" for side, v in filled.items())
    return Plot(name.replace("_", "-"), title, f"{words}.", f"{title}: {words}", document)


def _bars(name: str, title: str, axis: str, sides: Mapping[str, Sequence[Any]], kinds: Sequence[Any]) -> Plot | None:
    """Shares of the kinds, a bar per side."""
    filled = {side: values for side, values in sides.items() if len(values)}
    if not filled or not kinds:
        return None
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        width = 0.8 / len(filled)
        for k, (side, values) in enumerate(filled.items()):
            shares = [100 * sum(v == kind for v in values) / len(values) for kind in kinds]
            at = np.arange(len(kinds)) + (k - (len(filled) - 1) / 2) * width
            axes.bar(at, shares, width, color=SERIES[k % len(SERIES)], alpha=0.85, label=side)
        labels = ["none" if kind is None else str(kind) for kind in kinds]
        long = max(map(len, labels)) > 4
        axes.set_xticks(range(len(kinds)), labels, rotation=40 if long else 0, ha="right" if long else "center")
        axes.set(xlabel=axis, ylabel="share (%)")
        axes.margins(y=0.25)
        axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= 100])
        axes.legend(loc="upper right", fontsize=8)
        axes.grid(visible=False, axis="x")
        document = document_of(drawn)
    left = {side: sum(v not in kinds for v in values) / len(values) for side, values in filled.items()}
    rest = ", ".join(f"{side} {share:.0%}" for side, share in left.items() if share > 0)
    caption = f"Not shown, in other groups: {rest}." if rest else "All values are shown."
    return Plot(name.replace("_", "-"), title, caption, f"{title}: {caption}", document)
