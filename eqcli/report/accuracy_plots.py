"""Plots of errors: parity, histogram, cumulative distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.io.structure import FloatArray
from eqcli.report.numbers import fit, rounded, show
from eqcli.report.style import DENSITY
from eqcli.report.svg import INK, MUTED, SERIES, Plot, document_of, figure
from eqcli.units import STRESS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VECTOR_POINTS = 1500
"""More points than this are drawn as an image inside the SVG."""

WIDTH, HEIGHT = 4.1, 3.5


@dataclass(frozen=True)
class Quantity:
    """A quantity to plot: its name among the samples and among the figures, and how it is written.

    Errors of a `milli` quantity are shown in thousandths of its unit.
    """

    key: str
    measure: str
    title: str
    factor: float
    unit: str
    centred: bool = False
    milli: bool = True


QUANTITIES = (
    Quantity("energy_per_atom", "energy_per_atom", "Energy per atom", 1e3, "meV/atom", centred=True),
    Quantity("forces", "forces", "Force components", 1.0, "eV/Å"),
    Quantity("stress", "stress_gpa", "Stress components", 1 / STRESS["GPa"], "GPa", milli=False),
)


def accuracy_plots(samples: Mapping[str, FloatArray], figures: Mapping[str, Any], shift: float = 0.0) -> list[Plot]:
    """Three plots for each quantity that has samples, rows (reference, predicted) in the units of the tool.

    `shift` (eV per atom) is taken away from predicted energies before they are
    drawn: the mean error, where another zero of energy would hide everything else.
    """
    plots: list[Plot] = []
    for quantity in QUANTITIES:
        rows = samples.get(quantity.key)
        if rows is None or not len(rows):
            continue
        note = ""
        if shift and quantity.centred:
            rows = rows - np.array([0.0, shift])
            note = f"The mean error of {show(shift)} eV/atom is taken away. "
        plots += [
            parity(quantity, rows, figures[quantity.measure]),
            histogram(quantity, rows),
            cumulative(quantity, rows),
        ]
        plots[-3:] = [replace(plot, caption=note + plot.caption) for plot in plots[-3:]]
    return plots


def property_plots(samples: Mapping[str, FloatArray], figures: Mapping[str, Mapping[str, Any]]) -> list[Plot]:
    """A parity plot and a histogram of errors for each property that has labels, in its unit."""
    plots: list[Plot] = []
    for name, measured in figures.items():
        rows = samples.get(f"property:{name}")
        if rows is not None and len(rows):
            quantity = Quantity(f"property-{name}", name, name, 1.0, measured["unit"] or "no unit", milli=False)
            plots += [parity(quantity, rows, measured), histogram(quantity, rows)]
    return plots


def parity(quantity: Quantity, rows: FloatArray, figures: Mapping[str, Any]) -> Plot:
    """Predicted against reference values, coloured by the density of points."""
    reference, predicted = rows.T * quantity.factor
    if quantity.centred:
        centre = reference.mean()
        reference, predicted = reference - centre, predicted - centre
    low, high = float(min(reference.min(), predicted.min())), float(max(reference.max(), predicted.max()))
    margin = 0.04 * (high - low) or 1.0
    errors, unit = _errors(quantity, rows)
    mae, rmse = float(np.abs(errors).mean()), float(np.sqrt((errors**2).mean()))
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        axes.axline((low, low), slope=1, color=MUTED, linewidth=1, zorder=1)
        _density_scatter(axes, reference, predicted)
        axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin), aspect="equal")
        axes.locator_params(nbins=6)
        axes.set_xlabel(f"reference ({quantity.unit})")
        axes.set_ylabel(f"predicted ({quantity.unit})")
        text = f"MAE {show(mae)}\nRMSE {show(rmse)}\n{unit}"
        axes.text(0.04, 0.97, text, transform=axes.transAxes, va="top", color=INK, fontsize=9.5)
        document = document_of(drawn)
    caption = " ".join(_parity_words(quantity, len(rows), figures))
    alt = f"Predicted against reference {quantity.title.lower()}: MAE {show(mae)} {unit}. {caption}"
    return Plot(f"parity-{quantity.key}".replace("_", "-"), f"{quantity.title}: parity", caption, alt, document)


def _parity_words(quantity: Quantity, points: int, figures: Mapping[str, Any]) -> list[str]:
    words = [f"R² = {fit(figures['r2'])}."]
    if figures["count"] > points:
        words.append(f"{points:,} of {figures['count']:,} values, drawn at random.")
    if quantity.centred:
        words.append("Zero is the mean of the reference energies.")
    return [*words, "Orange where points are dense."] if points > VECTOR_POINTS else words


def _density_scatter(axes: Axes, x: FloatArray, y: FloatArray) -> None:
    many = len(x) > VECTOR_POINTS
    if not many:
        size = 16 if len(x) < 400 else 8
        axes.scatter(x, y, s=size, color=SERIES[0], alpha=0.65, linewidths=0, zorder=2)
        return
    from matplotlib.colors import LinearSegmentedColormap

    density = np.log1p(local_density(x, y))
    order = np.argsort(density)
    colours = LinearSegmentedColormap.from_list("density", DENSITY)
    axes.scatter(x[order], y[order], s=5, c=density[order], cmap=colours, linewidths=0, rasterized=True, zorder=2)


def local_density(x: FloatArray, y: FloatArray, bins: int = 60) -> FloatArray:
    """Number of points in the same cell of a grid that follows the diagonal: along it, and away from it."""
    along, across = x + y, y - x
    counts, edges_a, edges_b = np.histogram2d(along, across, bins=bins)
    a = np.clip(np.searchsorted(edges_a, along, side="right") - 1, 0, bins - 1)
    b = np.clip(np.searchsorted(edges_b, across, side="right") - 1, 0, bins - 1)
    density: FloatArray = counts[a, b]
    return density


def _errors(quantity: Quantity, rows: FloatArray) -> tuple[FloatArray, str]:
    """Errors and the unit they are shown in."""
    if not quantity.milli:
        return (rows[:, 1] - rows[:, 0]) * quantity.factor, quantity.unit
    return (rows[:, 1] - rows[:, 0]) * 1e3, f"m{quantity.unit.removeprefix('m')}"


def histogram(quantity: Quantity, rows: FloatArray) -> Plot:
    """Signed errors; the outermost thousandth on each side is left out of the picture."""
    errors, unit = _errors(quantity, rows)
    low, high = np.quantile(errors, [0.001, 0.999]) if len(errors) > 1000 else (errors.min(), errors.max())
    reach = max(abs(low), abs(high)) or 1.0
    mean, spread = rounded(float(errors.mean()), float(errors.std())), float(errors.std())
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        bins = int(np.clip(np.sqrt(len(errors)), 12, 60))
        axes.hist(errors, bins=bins, range=(-reach, reach), color=SERIES[0], alpha=0.85)
        axes.axvline(0, color=INK, linewidth=1)
        axes.axvline(mean, color=SERIES[1], linewidth=1.4, linestyle="--", label=f"mean {show(mean)} {unit}")
        axes.legend(loc="upper right")
        axes.margins(y=0.18)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(f"predicted − reference ({unit})")
        axes.set_ylabel("count")
        axes.grid(visible=False, axis="x")
        document = document_of(drawn)
    return Plot(
        f"errors-{quantity.key}".replace("_", "-"),
        f"{quantity.title}: errors",
        f"Mean {show(mean)}, standard deviation {show(spread)} {unit}.",
        f"Histogram of the errors of {quantity.title.lower()}: mean {show(mean)}, spread {show(spread)} {unit}",
        document,
    )


def cumulative(quantity: Quantity, rows: FloatArray) -> Plot:
    """Share of values whose absolute error is below a bound."""
    errors, unit = _errors(quantity, rows)
    size = np.sort(np.abs(errors))
    share = np.arange(1, len(size) + 1) / len(size)
    marks = {q: float(np.quantile(size, q)) for q in (0.5, 0.9, 0.99)}
    reach = 1.25 * marks[0.99] or 1.0
    chosen = np.unique(np.linspace(0, len(size) - 1, 400).astype(int))
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        axes.plot(size[chosen], 100 * share[chosen], color=SERIES[0])
        for q, bound in marks.items():
            axes.plot([bound], [100 * q], "o", color=SERIES[1], markersize=5)
        bounds = "\n".join(f"{q:.0%} below {show(bound)}" for q, bound in marks.items())
        axes.text(0.97, 0.05, bounds, transform=axes.transAxes, ha="right", color=INK, fontsize=9.5)
        axes.set(ylim=(0, 104), xlim=(0, reach))
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(f"absolute error ({unit})")
        axes.set_ylabel("share of values below (%)")
        document = document_of(drawn)
    text = f"Half of the values are within {show(marks[0.5])}, 99% within {show(marks[0.99])} {unit}."
    name = f"cumulative-{quantity.key}".replace("_", "-")
    return Plot(name, f"{quantity.title}: cumulative", text, text, document)
