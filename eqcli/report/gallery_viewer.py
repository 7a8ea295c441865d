"""The viewer of a gallery: chemiscope's script and the crystals, packed into the page itself.

Both are compressed, and unpacked by the browser, so that a page works offline and stays below two megabytes.
Source: Fraux, Cersonsky, Ceriotti, Journal of Open Source Software 5, 2117 (2020).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.io.structure import Structure
from eqcli.report.gallery_rows import Column, is_number
from eqcli.report.html import Markup, tag

SCRIPT = Path("sphinx", "static", "chemiscope.min.js")
LARGEST = 2000
"""Atoms of a structure that is shown."""

FACE = 0.02
"""Fraction of a lattice vector within which an atom counts as one at the face of the cell."""

_HARMLESS = str.maketrans({"<": "‹", ">": "›", "&": "+", '"': "″", "'": "′", "`": "′"})
"""The viewer may set words as HTML; these stand for what would be markup."""

_VERTICAL = ("energy_above_hull", "energy_per_atom", "volume_per_atom", "n_atoms")

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
    script: Path, structures: Sequence[Structure], rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]
) -> Markup:
    """The viewer of these structures, with a map of the figures that all of them have."""
    data = json.dumps(dataset(structures, rows, columns), separators=(",", ":"), allow_nan=False)
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
    structures: Sequence[Structure], rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]
) -> dict[str, Any]:
    """What chemiscope reads: structures, figures and the axes of the map."""
    properties = {_word(column.title): found for column in columns if (found := _property(column, rows)) is not None}
    titles = {column.key: _word(column.title) for column in columns if column.key in _numeric(columns, rows)}
    vertical = [titles[key] for key in _VERTICAL if key in titles] or list(titles.values())
    horizontal = titles.get("density", vertical[0])
    colour = next((titles[key] for key in ("n_atoms", "rank") if key in titles), vertical[0])
    axes = {"x": {"property": horizontal}, "y": {"property": vertical[0]}, "color": {"property": colour}}
    shape = {"unitCell": True, "bonds": True, "spaceFilling": False, "supercell": [1, 1, 1]}
    return {
        "meta": {"name": "Crystals"},
        "structures": [_structure(structure) for structure in structures],
        "properties": properties,
        "settings": {"target": "structure", "map": axes, "structure": [shape]},
    }


def _numeric(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns with a number in some rows and nothing else in the others."""
    values = {column.key: [row.get(column.key) for row in rows] for column in columns}
    return [
        key
        for key, found in values.items()
        if any(map(is_number, found)) and all(v is None or is_number(v) for v in found)
    ]


def _property(column: Column, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    values: list[float | str | None]
    if column.key in _numeric([column], rows):
        numbers = [row.get(column.key) for row in rows]
        values = [None if v is None or not np.isfinite(v) else float(v) for v in numbers]
    else:
        values = [_word(column.text(row.get(column.key))) for row in rows]
    return {"target": "structure", "values": values} | ({"units": column.unit} if column.unit else {})


def _word(text: str) -> str:
    return text.translate(_HARMLESS)[:200]


def _structure(structure: Structure) -> dict[str, Any]:
    """The atoms and their cell, turned together so that no crystal is seen along a vector of its cell."""
    # A cell without volume cannot be drawn.
    drawn = structure.volume > 1e-3
    numbers, positions = _filled(structure) if drawn else (structure.numbers, structure.positions)
    x, y, z = (positions @ _VIEW.T).round(5).T.tolist()
    names = [SYMBOLS[number] for number in numbers.tolist()]
    found: dict[str, Any] = {"size": len(names), "names": names, "x": x, "y": y, "z": z}
    return found | ({"cell": (structure.cell @ _VIEW.T).round(6).ravel().tolist()} if drawn else {})


def _filled(structure: Structure) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The atoms moved into the cell; those at its faces, edges and corners stand at all of them."""
    fractions = np.linalg.solve(structure.cell.T, structure.positions.T).T
    pbc = structure.pbc
    inside = np.where(pbc, fractions - np.floor(fractions + FACE), fractions)
    images, sources = [inside], [np.arange(len(structure))]
    for shift in product((0, 1), repeat=3):
        step = np.array(shift)
        if not step.any() or (step * ~pbc).any():
            continue
        # Atoms are at the lower faces of the cell, never at the upper ones.
        chosen = np.flatnonzero((np.abs(inside) < FACE)[:, step == 1].all(axis=1))
        images.append(inside[chosen] + step)
        sources.append(chosen)
    return structure.numbers[np.concatenate(sources)], np.concatenate(images) @ structure.cell


def _turn(axis: int, degrees: float) -> NDArray[np.float64]:
    angle = np.radians(degrees)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turned = np.eye(3)
    turned[i, i] = turned[j, j] = np.cos(angle)
    turned[j, i] = np.sin(angle)
    turned[i, j] = -turned[j, i]
    return turned


_VIEW = _turn(0, 14) @ _turn(1, -24) @ _turn(0, -90)
"""From above and from one side, the third vector upright on the screen."""
