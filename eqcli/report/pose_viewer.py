"""A small viewer of poses in a pocket: sticks and traces on a canvas, drawn by a script that stands in the page.

It knows layers, each a name, a colour and lines between points, which boxes turn on and off. It needs no network and
no library, and turns thousands of sticks smoothly, since all are straight lines sorted by depth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from eqcli.report.html import Markup, tag
from eqcli.report.pose_viewer_script import SCRIPT
from eqcli.report.turning_script import HELP

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """What one box turns on and off.

    Attributes
    ----------
    name
        Beside its box.
    points
        `[N, 3]`, Å.
    colours
        One for each point: `element` names of `COLOURS`, or `#rrggbb`.
    lines
        Pairs of points.
    width
        Of its sticks, Å.
    shown
        Whether it is on at first.
    swatch
        The colour beside its name.
    labels
        Words at points, by number.
    """

    name: str
    points: FloatArray
    colours: Sequence[str]
    lines: Sequence[tuple[int, int]]
    width: float = 0.22
    shown: bool = True
    swatch: str = "#888888"
    labels: Mapping[int, str] = field(default_factory=dict)


CSS: Final = """
main { max-width: 84rem; }
.poses { display: grid; grid-template-columns: minmax(0, 1fr) minmax(13rem, 22rem); gap: .9rem; margin: .8rem 0; }
.poses canvas { width: 100%; height: 38rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; touch-action: none; cursor: grab; }
.layers label { display: flex; gap: .5rem; align-items: baseline; padding: .15rem 0; }
.layers .swatch { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; flex: none;
  align-self: center; }
@media (max-width: 48rem) { .poses { grid-template-columns: minmax(0, 1fr); } .poses canvas { height: 24rem; } }
@media print { .layers { display: none; } }
"""

COLOURS: Final[dict[str, tuple[str, str]]] = {
    "N": ("#2468a8", "#74b0ea"),
    "O": ("#b3261e", "#ff8a80"),
    "S": ("#9a7d00", "#e6c950"),
    "P": ("#c9601d", "#f0a061"),
    "F": ("#2b8a5f", "#66c79a"),
    "Cl": ("#2b8a5f", "#66c79a"),
    "Br": ("#8a3d2a", "#d08a78"),
    "I": ("#8a4fa3", "#c596dc"),
    "H": ("#9ba6b1", "#c9d0d7"),
}
"""Of elements other than carbon, on light and on dark ground; carbon has the colour of its layer."""

METAL: Final = ("#5b6570", "#b9c2cb")
"""Of all other elements."""


def viewer(layers: Sequence[Layer], centre: FloatArray, radius: float) -> Markup:
    """The canvas with its boxes; `radius` (Å) around `centre` fills the canvas at first."""
    boxes = [
        tag(
            "label",
            Markup(f'<input type="checkbox" data-layer="{k}"{" checked" if layer.shown else ""}>'),
            tag("span", "", cls="swatch", style=f"background:{layer.swatch}"),
            tag("span", layer.name),
        )
        for k, layer in enumerate(layers)
    ]
    boxes.append(tag("label", Markup('<input type="checkbox" id="pose-names" checked>'), tag("span", "Names")))
    text = json.dumps(_data(layers, centre, radius), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    canvas = '<canvas id="pose-canvas" tabindex="0" role="img" aria-label="Poses in the pocket"></canvas>'
    return Markup(
        tag("div", Markup(canvas), tag("div", *boxes, tag("p", HELP, cls="quiet"), cls="layers"), cls="poses")
        + tag("noscript", tag("p", "The picture needs JavaScript.", cls="callout"))
        + f'<script type="application/json" id="pose-data">{text}</script>\n<script>{SCRIPT}</script>'
    )


def _data(layers: Sequence[Layer], centre: FloatArray, radius: float) -> dict[str, Any]:
    """What the script reads: every colour once, as a pair for light and dark ground."""
    palette: dict[str, int] = {}
    written = []
    for layer in layers:
        numbers = [palette.setdefault(colour, len(palette)) for colour in layer.colours]
        written.append(
            {
                "points": (layer.points - centre).round(3).ravel().tolist(),
                "colours": numbers,
                "lines": [int(i) for pair in layer.lines for i in pair],
                "width": layer.width,
                "shown": layer.shown,
                "labels": [[int(i), words] for i, words in layer.labels.items()],
            }
        )
    return {"layers": written, "colours": [_pair(colour) for colour in palette], "radius": round(float(radius), 3)}


def _pair(colour: str) -> tuple[str, str]:
    return (colour, colour) if colour.startswith("#") else COLOURS.get(colour, METAL)
