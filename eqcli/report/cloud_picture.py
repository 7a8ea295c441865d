"""A picture of two clouds before and after the motion that brings one onto the other, from three sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from eqcli.files import atomic_path
from eqcli.report.cloud_scene import CloudScene, FloatArray, ShownMatches, extent, scene
from eqcli.report.style import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from eqcli.geometry.motions import Motion
    from eqcli.io.point_cloud import PointCloud

SIDES: Final = (("x", "y", 0, 1), ("x", "z", 0, 2), ("y", "z", 1, 2))
"""Names and numbers of the axes to the right and upwards: from above, from the front, from the side."""
POINTS, LINES = 20_000, 150
DOTS: Final = 150
"""Pixels per inch of a picture that is 10 inches wide."""


def picture(
    path: str | Path,
    source: PointCloud,
    target: PointCloud,
    motion: Motion | ArrayLike,
    matches: ShownMatches | None = None,
    *,
    title: str = "Registration",
    facts: Mapping[str, object] | None = None,
    most: int = POINTS,
) -> None:
    """Writes a PNG: source orange and target blue, before above and after below, along the axes of the target's frame.

    Lines between the clouds as they were before are matches, inliers green and outliers red. The arguments are those
    of `cloud_viewer.viewer`; `facts` stand in one line below the title.

    Raises
    ------
    ValueError
        A cloud has no finite points, or the motion is no matrix of 4 x 4 finite numbers.
    """
    from eqcli.report.svg import figure

    shown = scene(source, target, motion, matches, most=most, lines=LINES)
    before, after = shown.source.points + shown.nearer, shown.moved(shown.source.points)
    told = dict(facts or {}) | ({"before": f"source {shown.nearer_words}"} if shown.nearer_words else {})
    below = "   ".join(f"{name}: {value}" for name, value in told.items())
    with figure(10.0, 6.9) as drawn:
        grid = drawn.subplots(2, 3)
        _row(grid[0], "before", before, shown, lines=True)
        _row(grid[1], "after", after, shown, lines=False)
        drawn.suptitle(f"{title}\n{below}" if below else title, fontsize=11, color=LIGHT["ink"])
        _legend(grid[0][0], shown)
        _light(drawn.axes)
        with atomic_path(path) as temporary:
            drawn.savefig(temporary, format="png", dpi=DOTS, facecolor="#ffffff", metadata={"Software": None})


def _row(row: Sequence[Axes], words: str, points: FloatArray, shown: CloudScene, *, lines: bool) -> None:
    centre, radius = extent(np.concatenate([points, shown.target.points]))
    for axes, (right, up, i, j) in zip(row, SIDES, strict=True):
        _side(axes, points, shown, i, j, lines=lines)
        axes.set(xlim=_range(centre[i], radius), ylim=_range(centre[j], radius), aspect="equal")
        axes.set_title(f"{words}: {right}{up}" + (f" ({shown.units})" if shown.units else ""), loc="left")
        axes.tick_params(labelsize=7)
        axes.locator_params(nbins=5)


def _side(axes: Axes, points: FloatArray, shown: CloudScene, i: int, j: int, *, lines: bool) -> None:
    """Points of both clouds in one random order, so that neither hides the other."""
    target = shown.target.points
    both = np.concatenate([points, target])
    colours = np.array([LIGHT["c1"]] * len(points) + [LIGHT["c0"]] * len(target))
    order = np.random.default_rng(0).permutation(len(both))
    size = float(np.clip(12000 / len(both), 0.35, 9.0))
    axes.scatter(both[order, i], both[order, j], s=size, c=colours[order], linewidths=0, alpha=0.7, rasterized=True)
    if lines and shown.matches is not None:
        from matplotlib.collections import LineCollection

        found = shown.matches
        for kind, colour, alpha in ((False, LIGHT["bad"], 0.35), (True, LIGHT["good"], 0.7)):
            ends = np.stack([found.source + shown.nearer, found.target], axis=1)[found.inliers == kind][:, :, [i, j]]
            axes.add_collection(LineCollection(list(ends), colors=colour, linewidths=0.6, alpha=alpha))


def _range(middle: float, radius: float) -> tuple[float, float]:
    return middle - 1.08 * radius, middle + 1.08 * radius


def _legend(axes: Axes, shown: CloudScene) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=LIGHT[colour], marker="o", linestyle="", markersize=5, label=name)
        for name, colour in ((shown.source.name, "c1"), (shown.target.name, "c0"))
    ]
    kinds = {"inliers": "good", "outliers": "bad"}
    marks += [Line2D([], [], color=LIGHT[kinds[name]], label=words) for name, words in shown.match_words.items()]
    axes.legend(handles=marks, loc="upper left", fontsize=7, frameon=True, framealpha=0.8)


def _light(every: list[Axes]) -> None:
    """The colours of the light palette: a file has no page whose colours it could follow."""
    for axes in every:
        axes.grid(color=LIGHT["line"])
        axes.title.set_color(LIGHT["ink"])
        axes.tick_params(colors=LIGHT["muted"])
        for spine in axes.spines.values():
            spine.set_color(LIGHT["muted"])
