"""Figures as SVG text that follows the theme of the page it stands in, and as PNG.

Figures are matplotlib objects that nobody else can see: pyplot and its state
are never used.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from eqcli.report.numbers import show
from eqcli.report.style import LIGHT, STAND_INS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE = STAND_INS["ink"], STAND_INS["muted"], STAND_INS["line"]
SERIES = [STAND_INS[name] for name in ("c0", "c1", "c2", "c3")]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

_RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "eqcli",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.linewidth": 0.8,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True)
class Drawing:
    """One figure twice: an SVG document in stand-in colours, and a PNG image in the light palette on white."""

    svg: str
    png: bytes


@dataclass(frozen=True)
class Plot:
    """A drawn figure: `name` of its file, title, caption, text for those who cannot see it, the drawing."""

    name: str
    title: str
    caption: str
    alt: str
    document: Drawing
    full: bool = False

    def inline(self) -> str:
        """The `<svg>` element for a page; colours are the page's variables."""
        body = self.document.svg[self.document.svg.index("<svg") :]
        body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
        body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
        body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
        body = body.replace("<svg", f'<svg role="img" aria-label="{escape(self.alt, quote=True)}"', 1)
        # Several documents in one page: their identifiers must not meet.
        body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{self.name}-", body)
        return _coloured(body, {name: f"var(--{name})" for name in STAND_INS})

    def standalone(self) -> str:
        """An SVG file with a white ground."""
        document = re.sub(
            r"(<svg[^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', self.document.svg, count=1
        )
        return _coloured(document, LIGHT)


def _coloured(document: str, palette: dict[str, str]) -> str:
    for name, stand_in in STAND_INS.items():
        document = document.replace(stand_in, palette[name])
    return document


@contextmanager
def figure(width: float, height: float) -> Iterator[Figure]:
    """A matplotlib figure of that size (inches) drawn with the report's settings, which end with the block."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_RC):  # type: ignore[arg-type]
        yield Figure(figsize=(width, height), layout="constrained")


def document_of(drawn: Figure) -> Drawing:
    """A figure as SVG and PNG, the same bytes every time. Call inside the `figure` block, last: colours change."""
    buffer = io.StringIO()
    drawn.savefig(buffer, format="svg", transparent=True, dpi=160, metadata={"Date": None, "Creator": None})
    svg = re.sub(r"'DejaVu Sans'(, sans-serif)?", FONT, buffer.getvalue())
    _recolour(drawn)
    image = io.BytesIO()
    drawn.savefig(image, format="png", facecolor="#ffffff", dpi=160, metadata={"Software": None})
    return Drawing(svg, image.getvalue())


def _recolour(drawn: Figure) -> None:
    """Gives every artist the colour of the light palette that its stand-in stands for."""
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    for artist in drawn.findobj():
        if isinstance(artist, Line2D):
            artist.set_color(_light(artist.get_color()))
            artist.set_markerfacecolor(_light(artist.get_markerfacecolor()))
            artist.set_markeredgecolor(_light(artist.get_markeredgecolor()))
        elif isinstance(artist, Text):
            artist.set_color(_light(artist.get_color()))
        elif isinstance(artist, Patch):
            artist.set_facecolor(_light(artist.get_facecolor()))
            artist.set_edgecolor(_light(artist.get_edgecolor()))
        elif isinstance(artist, Collection):
            artist.set_edgecolor([_light(colour) for colour in artist.get_edgecolor()])
            # Colours that come from values are no stand-ins.
            if artist.get_array() is None:
                artist.set_facecolor([_light(colour) for colour in artist.get_facecolor()])


def _light(colour: Any) -> Any:
    """A colour of the light palette for its stand-in, transparency kept; any other colour as it is."""
    from matplotlib.colors import same_color, to_hex, to_rgba

    if isinstance(colour, str) and same_color(colour, "none"):
        return colour
    rgba = to_rgba(colour)
    name = next((name for name, stand_in in STAND_INS.items() if stand_in == to_hex(rgba)), None)
    return (*to_rgba(LIGHT[name])[:3], rgba[3]) if name else colour


def power(value: float, position: object = None) -> str:
    """A power of ten as a tick label: `10⁻³`; plain numbers between 0.01 and 1000."""
    if value <= 0:
        return ""
    exponent = round(math.log10(value))
    if abs(value / 10.0**exponent - 1) > 1e-6:
        return ""
    if -2 <= exponent <= 3:
        return f"{value:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def logarithmic(axes: Axes, which: str) -> None:
    """A logarithmic axis (`x` or `y`) with legible labels and no minor clutter, of two labels at least."""
    from matplotlib.ticker import FuncFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis.set_major_formatter(FuncFormatter(power))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: between(value, *sorted(axis.get_view_interval()))))


def between(value: float, low: float, high: float) -> str:
    """The label of a tick between powers of ten: none where the axis from `low` to `high` shows two of those."""
    if low <= 0 or math.floor(math.log10(high)) > math.ceil(math.log10(low)):
        return ""
    first = round(value / 10.0 ** math.floor(math.log10(value) + 1e-9))
    return show(value, 1) if high < 4 * low or first in (2, 5) else ""
