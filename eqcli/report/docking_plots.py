"""Plots of an evaluation of docking: shares of pairs below each error, and errors against scores.

`curves` has one mapping for each complex and method: `method`, `pocket`, `trained_on`, `rmsd` (Å of the first pose,
None where the method failed) and `points`, the score and the RMSD of each pose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from eqcli.report.curves import line_style, shares_below
from eqcli.report.numbers import count
from eqcli.report.svg import INK, MUTED, SERIES, Plot, document_of, figure

WIDTH, HEIGHT = 5.2, 3.6
FARTHEST: Final = 15.0
"""Å at which the axes of RMSD end."""
NEAR: Final = 2.0

Curve = Mapping[str, Any]


def docking_plots(curves: Sequence[Curve]) -> list[Plot]:
    """Cumulative curves for each pocket and part of the complexes, and a map of scores for each method that has any."""
    plots: list[Plot] = []
    for pocket in dict.fromkeys(curve["pocket"] for curve in curves):
        of_pocket = [curve for curve in curves if curve["pocket"] == pocket]
        parts = list(dict.fromkeys(curve["trained_on"] for curve in of_pocket))
        for part in parts:
            chosen = [curve for curve in of_pocket if curve["trained_on"] == part]
            plots.append(_cumulative(chosen, pocket, part if part != "unknown" else ""))
    plots += _scores(curves)
    return plots


def _cumulative(curves: Sequence[Curve], pocket: str, part: str) -> Plot:
    """The share of pairs whose first pose is nearer than each RMSD; failures are never nearer."""
    by_method: dict[str, list[float]] = {}
    for curve in curves:
        value = curve["rmsd"]
        by_method.setdefault(curve["method"], []).append(np.inf if value is None else float(value))
    with figure(WIDTH, HEIGHT) as drawn:
        axes = drawn.add_subplot()
        for k, (name, values) in enumerate(by_method.items()):
            axes.step(*shares_below(values, FARTHEST), where="post", label=name, **line_style(k))
        axes.axvline(NEAR, color=MUTED, linewidth=0.8)
        axes.set(xlabel="RMSD of the first pose (Å)", ylabel="share of pairs (%)", xlim=(0, FARTHEST), ylim=(0, 100))
        axes.legend(loc="upper left", fontsize=7)
        document = document_of(drawn)
    words = {"seen": ", trained on", "unseen": ", never seen"}.get(part, "")
    title = f"RMSD, {pocket}{words}"
    most = max(len(values) for values in by_method.values())
    caption = f"{count(most, 'pair')} for each method; the line is at 2 Å. A pair that failed is below no RMSD."
    name = "-".join(["rmsd", *pocket.split(), *([part] if part else [])])
    return Plot(name, title, caption, f"{title}: cumulative shares of {', '.join(by_method)}", document)


def _scores(curves: Sequence[Curve]) -> Iterator[Plot]:
    """The RMSD of all poses over their scores less the best score of their complex."""
    kinds = dict.fromkeys((curve["method"], curve["pocket"]) for curve in curves if curve["points"])
    for method, pocket in kinds:
        of_kind = [curve for curve in curves if (curve["method"], curve["pocket"]) == (method, pocket)]
        found = [curve["points"] for curve in of_kind if curve["points"]]
        above: list[float] = []
        errors: list[float] = []
        firsts: list[bool] = []
        for points in found:
            scores = np.array([score for score, _ in points], dtype=np.float64)
            above += (scores - scores.min()).tolist() if len(scores) else []
            errors += [rmsd for _, rmsd in points]
            firsts += [k == 0 for k in range(len(points))]
        first = np.array(firsts, dtype=bool)
        x, y = np.array(above), np.minimum(np.array(errors), FARTHEST)
        with figure(WIDTH, HEIGHT) as drawn:
            axes = drawn.add_subplot()
            axes.scatter(x[~first], y[~first], s=12, color=SERIES[0], alpha=0.5, linewidths=0, label="other poses")
            axes.scatter(x[first], y[first], s=26, color=SERIES[1], alpha=0.9, linewidths=0, label="first poses")
            axes.axhline(NEAR, color=INK, linewidth=0.8)
            axes.set(
                xlabel="score above the best of its complex (kcal/mol)", ylabel="RMSD (Å)", ylim=(0, FARTHEST + 0.5)
            )
            axes.legend(loc="upper right", fontsize=8)
            document = document_of(drawn)
        title = f"Score and RMSD: {method}, {pocket}"
        caption = (
            f"{count(len(x), 'pose')} of {count(len(found), 'pair')}. A good score finds poses below the line at the "
            f"left; errors above {FARTHEST:g} Å are drawn there."
        )
        yield Plot(
            "-".join(["score", *_plain(f"{method} {pocket}").split()]), title, caption, f"{title}. {caption}", document
        )


def _plain(words: str) -> str:
    return "".join(letter if letter.isalnum() else " " for letter in words.lower())
