"""A page in which two clouds are turned by hand, before and after the motion that brings one onto the other.

It needs no network, no library and no graphics card. Positions are written as 16-bit numbers within the box of their
cloud, so that a page of 80 000 points stays below a megabyte or two.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqcli.files import atomic_path
from eqcli.report.cloud_scene import MOST_POINTS, CloudScene, FloatArray, ShownMatches, extent, scene
from eqcli.report.cloud_viewer_script import SCRIPT
from eqcli.report.html import Markup, facts, page, tag
from eqcli.report.style import DARK, LIGHT
from eqcli.report.turning_script import HELP

if TYPE_CHECKING:
    from eqcli.geometry.motions import Motion
    from eqcli.io.point_cloud import PointCloud

CSS: Final = """
main { max-width: 84rem; }
.clouds { display: grid; grid-template-columns: minmax(0, 1fr) minmax(13rem, 20rem); gap: .9rem; margin: .8rem 0; }
.clouds canvas { width: 100%; height: 40rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; touch-action: none; cursor: grab; }
.switches label { display: flex; gap: .5rem; align-items: baseline; padding: .15rem 0; overflow-wrap: anywhere; }
.switches .swatch { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; flex: none;
  align-self: center; }
.switches .range { display: block; margin-top: .7rem; } .switches input[type=range] { width: 100%; }
.switches .ends { display: flex; justify-content: space-between; }
@media (max-width: 48rem) { .clouds { grid-template-columns: minmax(0, 1fr); } .clouds canvas { height: 24rem; } }
@media print { .switches { display: none; } }
"""

SOURCE, TARGET, INLIER, OUTLIER = "c1", "c0", "good", "bad"
"""Colours of the palette: the cloud that is moved, the one that stays, the two kinds of matches."""

_LEVELS: Final = 65535


def viewer(
    path: str | Path,
    source: PointCloud,
    target: PointCloud,
    motion: Motion | ArrayLike,
    matches: ShownMatches | None = None,
    *,
    title: str = "Registration",
    facts: Mapping[str, object] | None = None,
    most: int = MOST_POINTS,
) -> int:
    """Writes the page, and returns its size in bytes.

    Parameters
    ----------
    source, target
        Each in its own frame; of larger clouds `most` points are drawn, at random.
    motion
        Maps points of the source onto the target: y = R x + t, as a motion or a matrix `[4, 4]`.
    matches
        Lines between the clouds, inliers green and outliers red.
    facts
        Names and values below the picture.

    Raises
    ------
    ValueError
        A cloud has no finite points, or the motion is no matrix of 4 x 4 finite numbers.
    """
    shown = scene(source, target, motion, matches, most=most)
    text = page(title, [tag("style", Markup(CSS)), *_body(shown, title, facts or {})])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return len(text.encode())


def _body(shown: CloudScene, title: str, rows: Mapping[str, object]) -> Iterator[Markup]:
    yield tag("header", tag("p", "Registration", cls="eyebrow"), tag("h1", title), cls="top")
    canvas = '<canvas id="cloud-canvas" tabindex="0" role="img" aria-label="Two clouds of points"></canvas>'
    yield tag("div", Markup(canvas), tag("div", *_switches(shown), cls="switches"), cls="clouds")
    yield tag("noscript", tag("p", "The picture needs JavaScript.", cls="callout"))
    if rows:
        yield facts(rows.items())
    text = json.dumps(_data(shown), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    yield Markup(f'<script type="application/json" id="cloud-data">{text}</script>\n<script>{SCRIPT}</script>')


def _switches(shown: CloudScene) -> Iterator[Markup]:
    yield Markup(
        '<label class="range" for="cloud-progress"><span>From before to after the motion</span></label>'
        '<input type="range" id="cloud-progress" min="0" max="100" step="any" value="100">'
        '<div class="ends sub"><span>before</span><span>after</span></div>'
        '<button type="button" id="cloud-play">Play</button>'
    )
    yield _box("source", f"{shown.source.words} (moves)", f"var(--{SOURCE})")
    yield _box("target", f"{shown.target.words} (stays)", f"var(--{TARGET})")
    if shown.source.colours is not None or shown.target.colours is not None:
        yield _box("own", "Colours of the files", on=False)
    for name, words in shown.match_words.items():
        colour = INLIER if name == "inliers" else OUTLIER
        yield _box(name, f"Matches: {words}", f"var(--{colour})", on=name == "inliers")
    yield Markup(
        '<label class="range" for="cloud-size"><span>Size of points</span></label>'
        f'<input type="range" id="cloud-size" min="1" max="8" step="1" value="{_size(shown)}">'
    )
    if words := shown.nearer_words:
        yield tag("p", f"Before the motion the source is {words}.", cls="quiet")
    yield tag("p", HELP, cls="quiet")


def _box(name: str, words: str, colour: str | None = None, *, on: bool = True) -> Markup:
    box = Markup(f'<input type="checkbox" data-shows="{name}"{" checked" if on else ""}>')
    swatch = [] if colour is None else [tag("span", "", cls="swatch", style=f"background:{colour}")]
    return tag("label", box, *swatch, tag("span", words))


def _size(shown: CloudScene) -> int:
    """Pixels: few points are drawn large."""
    points = len(shown.source.points) + len(shown.target.points)
    return 5 if points < 1500 else 3 if points < 15000 else 2


def _data(shown: CloudScene) -> dict[str, Any]:
    """What the script reads: the source about its own middle, everything else about the middle of the target."""
    from scipy.spatial.transform import Rotation

    own, origin = extent(shown.source.points)[0], extent(shown.target.points)[0]
    vector = Rotation.from_matrix(shown.matrix[:3, :3]).as_rotvec()
    angle = float(np.linalg.norm(vector))
    start = shown.nearer
    before = np.concatenate([shown.source.points + start, shown.target.points])
    after = np.concatenate([shown.moved(shown.source.points), shown.target.points])
    found: dict[str, Any] = {
        "clouds": [
            _cloud(shown.source.points - own, shown.source.colours, SOURCE),
            _cloud(shown.target.points - origin, shown.target.colours, TARGET),
        ],
        "axis": (vector / angle).tolist() if angle > 0 else [1.0, 0.0, 0.0],
        "angle": angle,
        "from": (own + start - origin).tolist(),
        "to": (shown.moved(own) - origin).tolist(),
        "before": _sphere(before - origin),
        "after": _sphere(after - origin),
        "strokes": [[LIGHT[name], DARK[name]] for name in (OUTLIER, INLIER)],
    }
    if shown.matches is not None and len(shown.matches.inliers):
        found["lines"] = {
            "source": _packed(shown.matches.source - own),
            "target": _packed(shown.matches.target - origin),
            "inliers": _text(shown.matches.inliers.astype(np.uint8)),
        }
    return found


def _cloud(points: FloatArray, colours: NDArray[np.uint8] | None, name: str) -> dict[str, Any]:
    plain = [[int(palette[name][k : k + 2], 16) for k in (1, 3, 5)] for palette in (LIGHT, DARK)]
    return {**_packed(points), "colours": None if colours is None else _text(colours), "plain": plain}


def _sphere(points: FloatArray) -> dict[str, Any]:
    centre, radius = extent(points)
    return {"centre": centre.tolist(), "radius": radius}


def _packed(points: FloatArray) -> dict[str, Any]:
    """Positions as whole numbers between the least and the largest of each coordinate."""
    low, high = points.min(axis=0), points.max(axis=0)
    step = np.where(high > low, (high - low) / _LEVELS, 1.0)
    return {"low": low.tolist(), "step": step.tolist(), "data": _text(np.rint((points - low) / step).astype("<u2"))}


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
