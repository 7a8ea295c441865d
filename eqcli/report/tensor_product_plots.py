"""Plots of the comparison of tensor products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eqcli.report.numbers import count, show
from eqcli.report.svg import INK, MUTED, SERIES, Plot, document_of, figure, logarithmic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STROKES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
Measurements = Sequence[Mapping[str, Any]]


def tensor_product_plots(content: Mapping[str, Any]) -> list[Plot]:
    """Time against degree for each pass, then the ratios to e3nn, all at the most channels and rows."""
    return list(_plots(content))


def _plots(content: Mapping[str, Any]) -> Iterator[Plot]:
    most = largest(content["measurements"])
    steps = list(dict.fromkeys(m["step"] for m in most))
    if not most:
        return
    size = f"{count(most[0]['channels'], 'channel')}, {count(most[0]['rows'], 'row')}"
    for step in steps:
        chosen = [m for m in most if m["step"] == step]
        exponents = {
            e["product"]: e["time"]
            for e in content["exponents"]
            if (e["step"], e["channels"], e["rows"]) == (step, chosen[0]["channels"], chosen[0]["rows"])
        }
        if len({m["lmax"] for m in chosen}) > 1:
            yield time_plot(step, chosen, exponents, size)
    for key, title, name in (
        ("ratio", "Times faster than e3nn", "ratio"),
        ("memory_ratio", "Times less memory than e3nn", "memory"),
    ):
        bars = ratio_bars(most, key)
        if bars:
            yield ratio_plot(bars, steps, key, title, name, size)


def largest(measurements: Measurements) -> list[Mapping[str, Any]]:
    """Those at the most channels and rows."""
    top = max(((m["channels"], m["rows"]) for m in measurements), default=None)
    return [m for m in measurements if (m["channels"], m["rows"]) == top]


def time_plot(step: str, chosen: Measurements, exponents: Mapping[str, float], size: str) -> Plot:
    """Time against degree, a line for each product, its fitted power in the legend."""
    with figure(8.4, 5.2) as drawn:
        axes = drawn.add_subplot()
        names = list(dict.fromkeys(m["product"] for m in chosen))
        for index, name in enumerate(names):
            line = sorted((m["lmax"], 1e3 * m["seconds"]) for m in chosen if m["product"] == name)
            power = f"  $(L+1)^{{{exponents[name]:.1f}}}$" if name in exponents else ""
            axes.plot(
                *zip(*line, strict=True),
                color=SERIES[index % len(SERIES)],
                linestyle=STROKES[index // len(SERIES) % len(STROKES)],
                marker=MARKERS[index // len(SERIES) % len(MARKERS)],
                markersize=4,
                label=f"{name}{power}",
            )
        _guides(axes, chosen)
        _degree_axis(axes, [m["lmax"] for m in chosen])
        logarithmic(axes, "y")
        axes.set_ylabel("time (ms)")
        drawn.legend(loc="outside right upper")
        document = document_of(drawn)
    caption = (
        f"Median time, {step}, {size}. The power of L + 1 is fitted to the upper half of the degrees; grey: the third "
        "and the sixth power."
    )
    alt = f"Time against degree for {', '.join(names)}: {step}"
    return Plot(f"time-{step.replace(' ', '-')}", f"Time, {step}", caption, alt, document, full=True)


def _guides(axes: Axes, chosen: Measurements) -> None:
    """The third and the sixth power of L + 1, ending at the longest time."""
    low, high = min(m["lmax"] for m in chosen), max(m["lmax"] for m in chosen)
    degrees = np.geomspace((low * high) ** 0.5, high, 30)
    longest = 1e3 * max(m["seconds"] for m in chosen)
    for power in (3, 6):
        values = longest * ((degrees + 1) / (high + 1)) ** power
        axes.plot(degrees, values, color=MUTED, linewidth=0.9)
        axes.annotate(f"$(L+1)^{power}$", (degrees[0], values[0]), color=MUTED, fontsize=9, ha="right", va="center")


def _degree_axis(axes: Axes, degrees: Sequence[int]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    logarithmic(axes, "x")
    axes.xaxis.set_major_locator(FixedLocator(sorted(set(degrees))))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("highest degree L")


def ratio_bars(most: Measurements, key: str) -> dict[str, tuple[Mapping[str, Any], dict[str, float]]]:
    """Product -> a measurement and the ratios of all passes, at the highest degree where all have one."""
    bars = {}
    for name in dict.fromkeys(m["product"] for m in most):
        by_degree: dict[int, list[Mapping[str, Any]]] = {}
        for m in most:
            if m["product"] == name and m[key] is not None:
                by_degree.setdefault(m["lmax"], []).append(m)
        if by_degree:
            full = max(len(group) for group in by_degree.values())
            group = by_degree[max(degree for degree, found in by_degree.items() if len(found) == full)]
            bars[name] = (group[0], {m["step"]: m[key] for m in group})
    return bars


def ratio_plot(
    bars: Mapping[str, tuple[Mapping[str, Any], Mapping[str, float]]],
    steps: Sequence[str],
    key: str,
    title: str,
    name: str,
    size: str,
) -> Plot:
    """Bars for each product and pass; products that e3nn does not have are marked."""
    with figure(8.4, 0.9 + 0.42 * len(bars)) as drawn:
        axes = drawn.add_subplot()
        height = 0.8 / len(steps)
        for index, step in enumerate(steps):
            present = [(row, ratios[step]) for row, (_, ratios) in enumerate(bars.values()) if step in ratios]
            places = [row + (index - (len(steps) - 1) / 2) * height for row, _ in present]
            drawn_bars = axes.barh(places, [v - 1 for _, v in present], height, left=1, color=SERIES[index], label=step)
            axes.bar_label(drawn_bars, [show(value, 2) for _, value in present], padding=2, fontsize=6)
        axes.set_yticks(range(len(bars)), [_label(product, m) for product, (m, _) in bars.items()])
        axes.invert_yaxis()
        axes.axvline(1, color=INK, linewidth=0.9)
        logarithmic(axes, "x")
        axes.set_xlabel("e3nn / eqcli")
        drawn.legend(loc="outside upper center", ncols=len(steps))
        document = document_of(drawn)
    caption = (
        f"{size}, at the highest degree that both were measured at. Products with a star are not in e3nn and are "
        "compared with the nearest that is, named in the table."
    )
    return Plot(f"{name}-to-e3nn", title, caption, f"{title}: bars for {', '.join(bars)}", document, full=True)


def _label(product: str, measurement: Mapping[str, Any]) -> str:
    return f"{product}{'' if measurement['same_function'] else '*'}, L = {measurement['lmax']}"
