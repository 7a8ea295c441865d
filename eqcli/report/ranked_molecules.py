"""The page of a ranking of molecules: what was dropped and why, pictures of the best, and a table of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eqcli.files import atomic_path
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.properties import UNITS as PROPERTY_UNITS
from eqcli.report.depictions import depiction_grid
from eqcli.report.gallery_rows import Column, columns
from eqcli.report.html import Markup, card, facts, page, table, tag, with_code
from eqcli.report.molecules_gallery import MOLECULES
from eqcli.report.numbers import count, show

DRAWN = 60
"""Molecules in the grid of pictures; the table has all."""

UNITS = {"strain": "eV", "relax_rmsd": "Å", "energy": "eV"} | {
    name: unit.replace("Angstrom", "Å").replace("^2", "²").replace("*", " ") for name, unit in PROPERTY_UNITS.items()
}
"""Units of figures, as people read them."""


def ranked_page(
    structures: Sequence[Structure],
    rows: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    title: str,
    order: str,
    by: str,
    dropped: Mapping[str, Mapping[str, int]],
    asked: Sequence[str],
    links: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> None:
    """Writes the page.

    Parameters
    ----------
    structures, rows
        The ranked molecules and their figures, the best first.
    order, by
        How they are ordered, in words, and the figure of that.
    dropped
        Counts of dropped molecules by step and kind of reason, in the order of the steps.
    asked
        What a ranked molecule passed, a sentence each.
    links
        Files beside the page: what they are called -> name.
    provenance
        Facts at its end.
    """
    body = [*_body(structures, rows, title, order, by, dropped, asked, links), tag("h2", "Provenance")]
    body.append(facts((key.replace("_", " "), value) for key, value in provenance.items()))
    with atomic_path(path) as temporary:
        temporary.write_text(page(title, body), encoding="utf-8")


def _body(
    structures: Sequence[Structure],
    rows: Sequence[Mapping[str, Any]],
    title: str,
    order: str,
    by: str,
    dropped: Mapping[str, Mapping[str, int]],
    asked: Sequence[str],
    links: Mapping[str, str],
) -> Iterator[Markup]:
    lost = sum(sum(kinds.values()) for kinds in dropped.values())
    yield tag("header", tag("p", "Molecules", cls="eyebrow"), tag("h1", title), tag("p", order, cls="quiet"), cls="top")
    cards = [card("Ranked", f"{len(rows):,}", sub=f"of {count(len(rows) + lost, 'molecule')}")]
    if rows:
        cards.append(card(f"Best {by}", show(rows[0].get(by)), UNITS.get(by, ""), str(rows[0]["smiles"])))
    yield tag("div", *cards, cls="cards")
    files = [tag("a", name, href=file) for name, file in links.items()]
    yield tag("p", "Files: ", *_between(files))
    yield tag("h2", "What a ranked molecule passed")
    yield tag("ul", *(tag("li", with_code(line)) for line in asked))
    yield tag("h2", "What was dropped")
    yield _dropped(dropped) if lost else tag("p", "Nothing.")
    yield tag("h2", "Molecules", id="molecules")
    if not rows:
        yield tag("p", "No molecule passed.", cls="callout")
        return
    captions = [f"{row['rank']}. {row['smiles']}: {show(row.get(by))}" for row in rows[:DRAWN]]
    yield depiction_grid(structures[:DRAWN], captions)
    if len(rows) > DRAWN:
        yield tag("p", f"The first {DRAWN} are drawn; the table has all {len(rows):,}.", cls="quiet")
    yield tag("h2", "Figures", id="figures")
    yield _figures(rows)


def _between(items: Sequence[Markup]) -> Iterator[object]:
    for k, item in enumerate(items):
        yield from (", ", item) if k else (item,)


def _dropped(dropped: Mapping[str, Mapping[str, int]]) -> Markup:
    lines = [(step, kind, number) for step, kinds in dropped.items() for kind, number in kinds.items()]
    return table(["Step", "Reason", "Molecules"], lines, numbers=(2,))


def _figures(rows: Sequence[Mapping[str, Any]]) -> Markup:
    found = [_with_unit(column) for column in columns(rows, MOLECULES)]
    lines = [[column.text(row.get(column.key)) for column in found] for row in rows]
    numbers = [k for k, column in enumerate(found) if column.digits]
    return table([column.heading for column in found], lines, numbers=numbers)


def _with_unit(column: Column) -> Column:
    unit = UNITS.get(column.key, "")
    return Column(column.key, column.title, unit, column.digits) if unit and not column.unit else column
