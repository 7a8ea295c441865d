"""Plots of an evaluation of registration: recall against overlap, angle and hypotheses, and shares below each error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from eqcli.report.curves import line_style, shares_below
from eqcli.report.numbers import count, show
from eqcli.report.svg import MUTED, Plot, document_of, figure, logarithmic

WIDTH, HEIGHT = 5.2, 3.6
AXES: Final = {
    "overlap": ("Recall against overlap", "overlap", (0.0, 1.0)),
    "angle": ("Recall against rotation angle", "angle of the true rotation (°)", (0.0, 180.0)),
}
Row = Mapping[str, Any]


def registration_plots(
    curves: Mapping[str, Sequence[Row]], rows: Sequence[Row], *, rule: str, unit: str, limits: Mapping[str, float]
) -> list[Plot]:
    """The plots that the pairs allow.

    Parameters
    ----------
    curves
        Those of `RegistrationEvaluation`.
    rows
        Of `pairs.csv`.
    rule
        In words, by which a pair counts as found.
    limits
        `rre` and `rte` at which the axes of the errors end.
    """
    plots = [plot for key in AXES for plot in _recall(key, curves.get(key, ()), rule)]
    plots += [plot for key in ("rre", "rte") for plot in _errors(key, rows, unit, limits)]
    return plots + list(_hypotheses(curves.get("hypotheses", ())))


def _label(row: Row) -> str:
    refinement = row.get("refinement", "none")
    return str(row["method"]) if refinement in ("none", "its own") else f"{row['method']}, {refinement}"


def _recall(key: str, curves: Sequence[Row], rule: str) -> Iterator[Plot]:
    """Recall in bins, a mark at the middle of each; bins of few pairs say little, hence their numbers."""
    drawn_curves = [curve for curve in curves if len(curve["bins"]) > 1]
    if not drawn_curves:
        return
    title, axis, span = AXES[key]
    numbers = {(low + high) / 2: pairs for low, high, _, pairs in max(drawn_curves, key=_pairs)["bins"]}
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        for k, curve in enumerate(drawn_curves):
            x = [(low + high) / 2 for low, high, _, _ in curve["bins"]]
            y = [100 * share for _, _, share, _ in curve["bins"]]
            axes.plot(x, y, marker="o", markersize=3.5, label=_label(curve), **line_style(k))
        for x_, pairs in numbers.items():
            axes.text(x_, 103, f"{pairs}", ha="center", fontsize=7, color=MUTED)
        axes.set(xlabel=axis, ylabel="recall (%)", xlim=span, ylim=(-3, 110))
        axes.set_yticks([0, 20, 40, 60, 80, 100])
        axes.legend(loc="best", fontsize=7)
        document = document_of(drawn)
    caption = f"Found by the rule of {rule}; a pair that failed is a miss. The numbers on top are pairs in each bin."
    yield Plot(f"recall-{key}", title, caption, f"{title} for {', '.join(map(_label, drawn_curves))}", document)


def _pairs(curve: Row) -> int:
    return sum(int(pairs) for *_, pairs in curve["bins"])


def _errors(key: str, rows: Sequence[Row], unit: str, limits: Mapping[str, float]) -> Iterator[Plot]:
    """The share of pairs whose error is below each value; failures are below none."""
    kinds: dict[str, list[float]] = {}
    for row in rows:
        if row["status"] != "no truth":
            kinds.setdefault(_label(row), []).append(np.inf if row[key] is None else float(row[key]))
    if not kinds or max(map(len, kinds.values())) < 2:
        return
    title, axis = {"rre": ("Errors of rotation", "RRE (°)"), "rte": ("Errors of translation", f"RTE ({unit})")}[key]
    end = limits[key]
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        for k, (name, values) in enumerate(kinds.items()):
            axes.step(*shares_below(values, end), where="post", label=name, **line_style(k))
        axes.set(xlabel=axis, ylabel="share of pairs below (%)", xlim=(0, end), ylim=(0, 104))
        axes.legend(loc="lower right", fontsize=7)
        document = document_of(drawn)
    most = max(len(values) for values in kinds.values())
    caption = f"{count(most, 'pair')} for each method, found or not; a pair that failed is below no error."
    yield Plot(f"errors-{key}", title, caption, f"{title}: cumulative shares of {', '.join(kinds)}", document)


def _hypotheses(curves: Sequence[Row]) -> Iterator[Plot]:
    """Recall of solvers that may try so many motions."""
    if not curves:
        return
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        for k, curve in enumerate(curves):
            x, y = np.array(curve["points"], dtype=np.float64).T
            axes.plot(x, 100 * y, marker="o", markersize=3.5, label=curve["method"], **line_style(k))
        logarithmic(axes, "x")
        axes.set(xlabel="motions tried", ylabel="recall (%)", ylim=(-3, 104))
        axes.legend(loc="best", fontsize=7)
        document = document_of(drawn)
    pairs = max(int(curve["pairs"]) for curve in curves)
    caption = (
        f"{count(pairs, 'pair')} by the rule of PARE-Net, without refinement: what solvers find in the same matches."
    )
    caption = " ".join([caption, *_needed(curves)])
    words = ", ".join(str(curve["method"]) for curve in curves)
    yield Plot("hypotheses", "Recall against hypotheses", caption, f"Recall against motions tried: {words}", document)


def _needed(curves: Sequence[Row]) -> Iterator[str]:
    """How many motions the solvers of the same features need for the recall that all of them reach."""
    for features in dict.fromkeys(curve["features"] for curve in curves):
        mine = [curve for curve in curves if curve["features"] == features and curve["needed"] is not None]
        if mine:
            told = "; ".join(f"{curve['method'].partition(' + ')[2]} {show(curve['needed'], 2)}" for curve in mine)
            yield f"{features}, motions for a recall of {100 * mine[0]['reached']:.0f} %: {told}."
