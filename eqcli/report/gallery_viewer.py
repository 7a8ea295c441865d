"""The viewer of a gallery: chemiscope's script and the structures, packed into the page itself.

Both are compressed, and unpacked by the browser, so that a page works offline and stays below two megabytes.
Source: Fraux, Cersonsky, Ceriotti, Journal of Open Source Software 5, 2117 (2020).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from eqcli.io.structure import Structure
from eqcli.report.gallery_rows import Column, Kind, Row, is_number
from eqcli.report.html import Markup, tag

SCRIPT = Path("sphinx", "static", "chemiscope.min.js")
LARGEST = 2000
"""Atoms of a structure that is shown."""

_HARMLESS = str.maketrans({"<": "‹", ">": "›", "&": "+", '"': "″", "'": "′", "`": "′"})
"""The viewer may set words as HTML; these stand for what would be markup."""

CSS = """
main { max-width: 84rem; }
tbody td, tbody th { white-space: nowrap; }
.viewer { background: #ffffff; color: #1c2126; color-scheme: light; border: 1px solid var(--line);
  border-radius: .6rem; padding: .6rem; margin: .8rem 0; display: grid; gap: .6rem;
  grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
.viewer > div { min-width: 0; }
#viewer-map, #viewer-structure { height: 34rem; position: relative; }
#viewer-info { grid-column: 1 / -1; } #viewer-meta { display: none; }
.viewer table { font-size: inherit; }
.viewer th, .viewer td { border-bottom: 0; }
td svg { display: block; }
tr.seen > * { background: color-mix(in srgb, var(--c0) 14%, transparent); }
tr[data-shown] { cursor: pointer; }
@media (max-width: 48rem) { .viewer { grid-template-columns: minmax(0, 1fr); } }
@media print { .viewer { display: none; } }
"""

_START = """
(async () => {
  const status = document.getElementById("viewer-status");
  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return await new Response(stream).text();
  };
  try {
    const script = document.createElement("script");
    script.textContent = await unpack("viewer-script");
    document.head.append(script);
    const data = JSON.parse(await unpack("viewer-data"));
    for (const property of Object.values(data.properties)) {
      property.values = property.values.map((value) => (value === null ? NaN : value));
    }
    const warnings = new Chemiscope.Warnings();
    warnings.addHandler((message) => { status.textContent = message; });
    const places = { map: "viewer-map", info: "viewer-info", meta: "viewer-meta", structure: "viewer-structure" };
    const viewer = await Chemiscope.DefaultVisualizer.load(places, data, warnings);
    const rows = [...document.querySelectorAll("tr[data-shown]")];
    const mark = (k) => rows.forEach((row) => row.classList.toggle("seen", Number(row.dataset.shown) === k));
    for (const row of rows) {
      row.addEventListener("click", () => {
        const k = Number(row.dataset.shown);
        viewer.select({ structure: k, environment: k });
        mark(k);
        document.getElementById("viewer").scrollIntoView({ behavior: "smooth", block: "nearest" });
      });
    }
    status.textContent = "";
  } catch (error) {
    status.textContent = "The viewer could not start in this browser (" + error + "). The table below is complete.";
  }
})();
"""


def script_path() -> Path | None:
    """The file of chemiscope's script; None where the package is absent or has none."""
    found = find_spec("chemiscope")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / SCRIPT
    return path if path.is_file() else None


def version() -> str:
    """Version of chemiscope; empty where it is absent."""
    try:
        return metadata.version("chemiscope")
    except metadata.PackageNotFoundError:
        return ""


def can_show(structure: Structure) -> bool:
    """Whether the viewer can draw a structure: finite, with atoms, and not too many."""
    finite = np.isfinite(structure.positions).all() and np.isfinite(structure.cell).all()
    return bool(0 < len(structure) <= LARGEST and finite and ((structure.numbers > 0).all()))


def viewer(
    script: Path, structures: Sequence[Structure], rows: Sequence[Row], columns: Sequence[Column], kind: Kind
) -> Markup:
    """The viewer of these structures, with a map of the figures that all of them have."""
    data = json.dumps(dataset(structures, rows, columns, kind), separators=(",", ":"), allow_nan=False)
    places = [tag("div", "", id=f"viewer-{name}") for name in ("map", "structure", "info", "meta")]
    return Markup(
        tag("div", *places, cls="viewer", id="viewer")
        + tag("p", "The viewer is being unpacked …", cls="quiet", id="viewer-status")
        + _packed("viewer-script", script.read_bytes())
        + _packed("viewer-data", data.encode())
        + f"<script>{_START}</script>"
    )


def _packed(name: str, content: bytes) -> str:
    text = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'<script type="text/plain" id="{name}">{text}</script>\n'


def dataset(
    structures: Sequence[Structure], rows: Sequence[Row], columns: Sequence[Column], kind: Kind
) -> dict[str, Any]:
    """What chemiscope reads: structures, figures and the axes of the map."""
    properties = {_word(column.title): found for column in columns if (found := _property(column, rows)) is not None}
    titles = {column.key: _word(column.title) for column in columns if column.key in _numeric(columns, rows)}
    vertical = _first(kind.vertical, titles, next(iter(titles.values())))
    axes = {
        "x": {"property": _first(kind.horizontal, titles, vertical)},
        "y": {"property": vertical},
        "color": {"property": _first(kind.colour, titles, vertical)},
    }
    shape = {"unitCell": kind.cell, "bonds": True, "spaceFilling": False, "supercell": [1, 1, 1]}
    return {
        "meta": {"name": kind.name.capitalize()},
        "structures": [kind.drawn(structure) for structure in structures],
        "properties": properties,
        "settings": {"target": "structure", "map": axes, "structure": [shape]},
    }


def _first(keys: Sequence[str], titles: dict[str, str], otherwise: str) -> str:
    return next((titles[key] for key in keys if key in titles), otherwise)


def _numeric(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """Columns with a number in some rows and nothing else in the others."""
    values = {column.key: [row.get(column.key) for row in rows] for column in columns}
    return [
        key
        for key, found in values.items()
        if any(map(is_number, found)) and all(v is None or is_number(v) for v in found)
    ]


def _property(column: Column, rows: Sequence[Row]) -> dict[str, Any] | None:
    values: list[float | str | None]
    if column.key in _numeric([column], rows):
        numbers = [row.get(column.key) for row in rows]
        values = [None if v is None or not np.isfinite(v) else float(v) for v in numbers]
    else:
        values = [_word(column.text(row.get(column.key))) for row in rows]
    return {"target": "structure", "values": values} | ({"units": column.unit} if column.unit else {})


def _word(text: str) -> str:
    return text.translate(_HARMLESS)[:200]
