"""Plots of predicted uncertainties against the errors that came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eqcli.io.structure import FloatArray
from eqcli.metrics.calibration import binned, coverage
from eqcli.report.numbers import show
from eqcli.report.svg import INK, MUTED, SERIES, Plot, document_of, figure, logarithmic

POINTS = 3000
"""Pairs that are drawn one by one."""


def calibration_plots(samples: Mapping[str, tuple[FloatArray, float, str]], figures: Mapping[str, Any]) -> list[Plot]:
    """For each quantity with its sample `[n, 2]`, factor and unit: errors by size, and shares within intervals."""
    plots = []
    for name, (rows, factor, unit) in samples.items():
        if name in figures and len(rows) > 1:
            plots += [size_plot(name, factor * rows, unit, figures[name]), coverage_plot(name, rows, figures[name])]
    return plots


def size_plot(name: str, rows: FloatArray, unit: str, figures: Mapping[str, Any]) -> Plot:
    """Absolute errors against standard deviations, and the root mean squares of ten groups."""
    rows = rows[(rows > 0).all(axis=1)]
    groups = binned(rows)
    with figure(5.6, 4.6) as drawn:
        axes = drawn.add_subplot()
        drawn_rows = rows[np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).astype(int)]
        axes.plot(*drawn_rows.T, ".", color=SERIES[0], markersize=2.5, alpha=0.35, label=f"one {_one(name)}")
        axes.plot(*groups.T, "o-", color=SERIES[1], markersize=6, label="root mean square of a tenth")
        ends = np.array([rows[:, 0].min(), rows[:, 0].max()])
        axes.plot(ends, ends, color=INK, linewidth=1.0, label="as predicted")
        logarithmic(axes, "x")
        logarithmic(axes, "y")
        axes.set_xlabel(f"predicted standard deviation ({unit})")
        axes.set_ylabel(f"absolute error ({unit})")
        axes.legend(loc="upper left")
        document = document_of(drawn)
    alt = f"Root mean square error {show(figures['rmse'])} {unit}, predicted {show(figures['root_mean_variance'])}"
    return Plot(f"calibration-{name}", f"Errors by predicted size, {_words(name)}", alt + ".", alt, document)


def coverage_plot(name: str, rows: FloatArray, figures: Mapping[str, Any]) -> Plot:
    """Share of errors within the central interval of each level."""
    levels = np.linspace(0.02, 0.98, 49)
    found = coverage(rows, levels)
    with figure(4.6, 4.6) as drawn:
        axes = drawn.add_subplot()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.0)
        axes.plot(levels, found, color=SERIES[0])
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.set_xlabel("expected share of errors")
        axes.set_ylabel("share found")
        document = document_of(drawn)
    alt = f"{100 * figures['within_one']:.0f} % of errors are within one standard deviation, 68 % expected"
    caption = f"{alt}. Above the line: too cautious. Below: too sure."
    return Plot(f"coverage-{name}", f"Errors within intervals, {_words(name)}", caption, alt, document)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _one(name: str) -> str:
    return "structure" if name.startswith("energy") else "force component"
