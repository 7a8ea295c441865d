"""The gallery of crystals: one page with a viewer linked to a map of their figures, and a table of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eqcli.files import atomic_path
from eqcli.io.structure import Structure
from eqcli.report import gallery_viewer
from eqcli.report.gallery_rows import SYMPREC, Column, columns, complete
from eqcli.report.html import Markup, card, facts, page, table, tag, with_code
from eqcli.report.numbers import count, show

SHOWN = 200
"""Structures in the viewer; the table has all."""

HOW = "The viewer is left out, since chemiscope is not installed: `pip install 'eqcli[crystals]'`, and write it again."
HULL = "energy_above_hull"


def gallery_page(
    structures: Sequence[Structure],
    rows: Sequence[Mapping[str, Any]],
    path: str | Path,
    *,
    title: str,
    provenance: Mapping[str, Any] | None = None,
    shown: int = SHOWN,
) -> int:
    """Writes the page, which needs nothing but itself, and returns its size in bytes.

    Parameters
    ----------
    structures
        In the order of the table. The first `shown` that can be drawn are in the viewer.
    rows
        What is known of each of them (`rank`, `formula`, `space_group`, `density` in g/cm^3, `volume_per_atom` in Å^3,
        `energy_above_hull` in eV/atom, `flags`, and any other numbers and words); what they lack is taken
        from the structures. May be empty.
    path
        The page; replaced where it exists.
    title
        Its headline.
    provenance
        Facts at its end.
    shown
        Structures in the viewer.

    Raises
    ------
    ValueError
        There are rows, and not as many as structures.
    """
    known = complete(structures, rows)
    picked = [i for i, structure in enumerate(structures) if gallery_viewer.can_show(structure)][:shown]
    body = [*_body(structures, known, picked, title, provenance or {})]
    size = sum(len(part.encode()) for part in body)
    text = page(title, [tag("style", Markup(gallery_viewer.CSS)), *body, _foot(size)])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return len(text.encode())


def _body(
    structures: Sequence[Structure],
    rows: Sequence[Mapping[str, Any]],
    picked: Sequence[int],
    title: str,
    provenance: Mapping[str, Any],
) -> Iterator[Markup]:
    found = columns(rows)
    yield tag(
        "header",
        tag("p", "Gallery of crystals", cls="eyebrow"),
        tag("h1", title),
        tag("p", count(len(rows), "structure"), cls="quiet"),
        cls="top",
    )
    yield tag("div", *_cards(rows), cls="cards")
    script = gallery_viewer.script_path()
    if script is None:
        yield tag("p", with_code(HOW), cls="callout")
    elif picked:
        yield tag("h2", "Map and structures")
        yield tag("p", _explained(len(picked), len(rows)), cls="quiet")
        few = [rows[i] for i in picked]
        yield gallery_viewer.viewer(script, [structures[i] for i in picked], few, columns(few))
        yield tag("noscript", tag("p", "The viewer needs JavaScript; the table below does not.", cls="callout"))
    yield tag("h2", "All structures", id="structures")
    yield _table(rows, found, picked if script else ())
    yield tag("p", f"Space groups that are not given with a structure are found within {SYMPREC} Å.", cls="quiet")
    if provenance:
        yield tag("h2", "Provenance", id="provenance")
        yield facts((key.replace("_", " "), value) for key, value in provenance.items())


def _cards(rows: Sequence[Mapping[str, Any]]) -> Iterator[Markup]:
    yield card(
        "Structures", f"{len(rows):,}", sub=count(len({row.get("formula") for row in rows}), "formula", "formulas")
    )
    hulls = [row[HULL] for row in rows if isinstance(row.get(HULL), int | float)]
    if hulls:
        stable = sum(energy <= 0 for energy in hulls)
        yield card("Lowest energy above hull", show(min(hulls)), "eV/atom", f"{stable:,} on or below the hull")
    groups = [row["space_group"] for row in rows if row.get("space_group")]
    if groups:
        low = sum(str(group).strip().startswith("P1 (") for group in groups)
        yield card("Space groups", f"{len(set(groups)):,}", sub=f"{low:,} of {count(len(groups), 'structure')} in P1")
    flagged = sum(bool(row.get("flags")) for row in rows)
    yield card("With flags", f"{flagged:,}", sub="overlaps, odd cells and the like")


def _explained(picked: int, total: int) -> str:
    which = "all structures" if picked == total else f"the first {picked:,} of {total:,} structures that can be drawn"
    return (
        f"Each point is one of {which}. Click a point, or a row of the table, to see its crystal; the menus of the map "
        "choose other figures, those of the crystal more cells and styles. Atoms are moved into the cell, and those at "
        "its faces stand at all of them; the whole is turned, which no other file is."
    )


def _table(rows: Sequence[Mapping[str, Any]], found: Sequence[Column], picked: Sequence[int]) -> Markup:
    numbers = [k for k, column in enumerate(found) if column.digits]
    lines = [[column.text(row.get(column.key)) for column in found] for row in rows]
    written = table([column.heading for column in found], lines, numbers=numbers)
    # Rows of the viewer say which of its structures they are.
    parts = written.split("<tbody>", 1)
    if len(parts) < 2 or not picked:
        return written
    places = {i: k for k, i in enumerate(picked)}
    pieces = parts[1].split("<tr>")
    marked = [f'<tr data-shown="{places[i]}">' if i in places else "<tr>" for i in range(len(pieces) - 1)]
    return Markup(parts[0] + "<tbody>" + pieces[0] + "".join(a + b for a, b in zip(marked, pieces[1:], strict=True)))


def _foot(size: int) -> Markup:
    version = gallery_viewer.version()
    viewer = f" Viewer: chemiscope {version} (BSD 3-Clause, chemiscope.org)." if version else ""
    return tag("footer", tag("p", f"This page has {size / 1e6:.2f} MB and needs no network.{viewer}"))
