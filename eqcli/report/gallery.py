"""Galleries: one page with a viewer linked to a map of figures, and a table of all structures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eqcli.files import atomic_path
from eqcli.io.structure import Structure
from eqcli.report import gallery_viewer
from eqcli.report.gallery_crystals import CRYSTALS
from eqcli.report.gallery_rows import Column, Kind, Row, columns, complete
from eqcli.report.html import Markup, facts, page, table, tag, with_code
from eqcli.report.numbers import count

SHOWN = 200
"""Structures in the viewer; the table has all."""

HOW = "The viewer is left out, since chemiscope is not installed: `pip install 'eqcli[{}]'`, and write it again."


def gallery_page(
    structures: Sequence[Structure],
    rows: Sequence[Mapping[str, Any]],
    path: str | Path,
    *,
    title: str,
    kind: Kind = CRYSTALS,
    provenance: Mapping[str, Any] | None = None,
    shown: int = SHOWN,
) -> int:
    """Writes the page, which needs nothing but itself, and returns its size in bytes.

    Parameters
    ----------
    structures
        In the order of the table. The first `shown` that can be drawn are in the viewer.
    rows
        What is known of each of them: the keys of `kind.known`, in the units of its columns, and any other numbers and
        words; what they lack is taken from the structures. May be empty.
    path
        The page; replaced where it exists.
    title
        Its headline.
    kind
        Whether the structures are crystals or molecules.
    provenance
        Facts at its end.
    shown
        Structures in the viewer, and rows with a picture where the kind has one.

    Raises
    ------
    ValueError
        There are rows, and not as many as structures.
    """
    known = complete(structures, rows, kind)
    picked = [i for i, structure in enumerate(structures) if gallery_viewer.can_show(structure)][:shown]
    body = [*_body(structures, known, picked, title, kind, provenance or {})]
    size = sum(len(part.encode()) for part in body)
    text = page(title, [tag("style", Markup(gallery_viewer.CSS)), *body, _foot(size)])
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return len(text.encode())


def _body(
    structures: Sequence[Structure],
    rows: Sequence[Row],
    picked: Sequence[int],
    title: str,
    kind: Kind,
    provenance: Mapping[str, Any],
) -> Iterator[Markup]:
    yield tag(
        "header",
        tag("p", f"Gallery of {kind.name}", cls="eyebrow"),
        tag("h1", title),
        tag("p", count(len(rows), "structure"), cls="quiet"),
        cls="top",
    )
    yield tag("div", *kind.cards(rows), cls="cards")
    script = gallery_viewer.script_path()
    if script is None:
        yield tag("p", with_code(HOW.format(kind.extra)), cls="callout")
    elif picked:
        yield tag("h2", "Map and structures")
        yield tag("p", _explained(len(picked), len(rows), kind), cls="quiet")
        few = [rows[i] for i in picked]
        yield gallery_viewer.viewer(script, [structures[i] for i in picked], few, columns(few, kind), kind)
        yield tag("noscript", tag("p", "The viewer needs JavaScript; the table below does not.", cls="callout"))
    yield tag("h2", "All structures", id="structures")
    pictures = {i: kind.picture(structures[i]) for i in picked} if kind.picture else {}
    yield _table(rows, columns(rows, kind), picked if script else (), pictures)
    yield tag("p", kind.note, cls="quiet")
    if provenance:
        yield tag("h2", "Provenance", id="provenance")
        yield facts((key.replace("_", " "), value) for key, value in provenance.items())


def _explained(picked: int, total: int, kind: Kind) -> str:
    which = "all structures" if picked == total else f"the first {picked:,} of {total:,} structures that can be drawn"
    return f"Each point is one of {which}. Click a point, or a row of the table, to see it in three dimensions; " + (
        kind.explained
    )


def _table(
    rows: Sequence[Row], found: Sequence[Column], picked: Sequence[int], pictures: Mapping[int, Markup]
) -> Markup:
    heading = [column.heading for column in found]
    numbers = [k for k, column in enumerate(found) if column.digits]
    lines: list[list[object]] = [[column.text(row.get(column.key)) for column in found] for row in rows]
    if pictures:
        heading.insert(1, "Picture")
        numbers = [k + (k > 0) for k in numbers]
        for i, line in enumerate(lines):
            line.insert(1, pictures.get(i, "–"))
    written = table(heading, lines, numbers=numbers)
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
