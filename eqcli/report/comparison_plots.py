"""Plots of the comparison of models: accuracy against cost, and how each model learned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eqcli.report.numbers import show
from eqcli.report.svg import INK, MUTED, SERIES, Plot, document_of, figure, logarithmic

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STROKES = ("-", "--", ":", "-.")
Entries = Sequence[Mapping[str, Any]]


def comparison_plots(content: Mapping[str, Any]) -> list[Plot]:
    """For each data set: force error against the time of energy and forces, and against training steps."""
    return list(_plots(content))


def _plots(content: Mapping[str, Any]) -> Iterator[Plot]:
    entries = content["entries"]
    for dataset in dict.fromkeys(entry["dataset"] for entry in entries):
        members = [e for e in entries if e["dataset"] == dataset and "forces" in e["errors"]]
        slug = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-")
        if sum(e["evaluate_ms"] is not None for e in members) > 1:
            yield cost_plot(dataset, slug, [e for e in members if e["evaluate_ms"] is not None])
        if any(len(e["curve"]) > 1 for e in members):
            yield curve_plot(dataset, slug, [e for e in members if len(e["curve"]) > 1])


def cost_plot(dataset: str, slug: str, members: Entries) -> Plot:
    """Force MAE against the time of energy and forces per atom, a point for each model."""
    with figure(6.4, 4.4) as drawn:
        axes = drawn.add_subplot()
        for index, entry in enumerate(members):
            place = entry["evaluate_us_per_atom"], entry["errors"]["forces"]["mae"]
            axes.plot(
                *([value] for value in place),
                marker=MARKERS[index % len(MARKERS)],
                color=SERIES[index % len(SERIES)],
                linestyle="none",
                markersize=8,
            )
            axes.annotate(entry["name"], place, xytext=(7, 4), textcoords="offset points", color=INK, fontsize=9)
        logarithmic(axes, "x")
        logarithmic(axes, "y")
        axes.margins(x=0.25, y=0.15)
        axes.set_xlabel("energy and forces (µs per atom)")
        axes.set_ylabel("force MAE (meV/Å)")
        document = document_of(drawn)
    spoken = "; ".join(
        f"{e['name']} {show(e['errors']['forces']['mae'])} meV/Å at {show(e['evaluate_us_per_atom'])} µs per atom"
        for e in members
    )
    return Plot(f"cost-{slug}", f"Accuracy against cost, {dataset}", "Low and left is better.", spoken, document)


def curve_plot(dataset: str, slug: str, members: Entries) -> Plot:
    """Validation error of the forces against training steps, a line for each model."""
    with figure(6.4, 4.4) as drawn:
        axes = drawn.add_subplot()
        for index, entry in enumerate(members):
            axes.plot(
                *zip(*entry["curve"], strict=True),
                color=SERIES[index % len(SERIES)],
                linestyle=STROKES[index // len(SERIES) % len(STROKES)],
                label=entry["name"],
            )
        logarithmic(axes, "x")
        logarithmic(axes, "y")
        axes.set_xlabel("training steps")
        axes.set_ylabel("validation force MAE (meV/Å)")
        axes.tick_params(colors=MUTED)
        axes.legend()
        document = document_of(drawn)
    spoken = "; ".join(f"{e['name']} ends at {show(e['curve'][-1][1])} meV/Å" for e in members)
    return Plot(f"learning-{slug}", f"Learning, {dataset}", "Error on the validation part.", spoken, document)
