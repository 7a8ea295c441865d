"""Tables of figures of sets of molecules, one column for each set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from eqcli.report.html import Markup, table, tag
from eqcli.report.molecules_words import METHODS, SET_TITLES, STRAIN, WAYS, title_of
from eqcli.report.numbers import show

Figures = Mapping[str, Any]
SHORT: Final = {"rule": "bond rule", "own": "own bonds"}


def stability_table(sets: Mapping[str, Any], ways: Sequence[str]) -> Markup:
    """Stability, validity, uniqueness and novelty: under each set a column for each way of taking bonds."""
    keys = _keys(found.get(way) for found in sets.values() for way in ways)
    top = [tag("th", "", scope="col")] + [
        tag("th", SET_TITLES.get(name, name), scope="colgroup", colspan=str(len(ways)), cls="n") for name in sets
    ]
    below = [tag("th", "Figure", scope="col")] + [
        tag("th", WAYS[way].removeprefix("by ").removeprefix("the "), scope="col", cls="n")
        for _ in sets
        for way in ways
    ]
    body = []
    for key in keys:
        cells = [
            tag("td", figure_cell((found.get(way) or {}).get(key)), cls="n") for found in sets.values() for way in ways
        ]
        body.append(tag("tr", tag("th", title_of(key), scope="row"), *cells))
    head = tag("thead", *([tag("tr", *top), tag("tr", *below)] if len(ways) > 1 else [tag("tr", *top)]))
    return tag("div", tag("table", head, tag("tbody", *body), cls="tight"), cls="scroll")


def figures_table(
    columns: Mapping[str, Figures | None],
    *,
    sets: Mapping[str, str] = SET_TITLES,
    titles: Mapping[str, str] | None = None,
) -> Markup | None:
    """A row for each figure and a column for each set that has any; None where none has.

    `sets` and `titles` are the words for sets and figures that are not called what they usually are.
    """
    known = {name: figures for name, figures in columns.items() if figures}
    if not known:
        return None
    words = titles or {}
    rows = [
        [words.get(key) or title_of(key), *(figure_cell(figures.get(key)) for figures in known.values())]
        for key in _keys(known.values())
    ]
    return table(["Figure", *(sets.get(name, name) for name in known)], rows, numbers=range(1, len(known) + 1))


def strain_tables(sets: Mapping[str, Any]) -> Iterator[Markup]:
    """One table for each method with which strain was measured."""
    methods = dict.fromkeys(method for found in sets.values() for method in found.get("strain") or {})
    for method in methods:
        columns = {name: (found.get("strain") or {}).get(method) for name, found in sets.items()}
        written = figures_table(columns, titles=STRAIN)
        if written is not None:
            yield tag("h3", f"Strain, {METHODS.get(method, method)}")
            yield written


def types_table(types: Mapping[str, Any], most: int) -> Markup | None:
    """Lengths, angles and torsions by type, the worst of each kind first; at most so many of each."""
    rows: list[list[object]] = []
    for kind, found in types.items():
        worst = sorted(found.items(), key=lambda item: (-(item[1].get("js") or 0.0), item[0]))[:most]
        rows += [
            [name, kind, *(show(one.get(key)) for key in ("js", "floor", "generated", "reference"))]
            for name, one in worst
        ]
    header = ["Type", "Kind", "JS", "Floor", "Generated", "Reference"]
    return table(header, rows, numbers=range(2, len(header))) if rows else None


def reasons_table(reasons: Mapping[str, Mapping[str, int]], ways: Sequence[str], most: int) -> Markup | None:
    """Why molecules are invalid, and how many for each way of taking bonds; the most frequent first."""
    total: dict[str, int] = {}
    for found in reasons.values():
        for reason, number in found.items():
            total[reason] = total.get(reason, 0) + number
    if not total:
        return None
    first = sorted(total, key=lambda reason: (-total[reason], reason))[:most]
    rows = [[reason, *(show(int(reasons.get(way, {}).get(reason, 0))) for way in ways)] for reason in first]
    return table(["Reason", *(WAYS[way] for way in ways)], rows, numbers=range(1, len(ways) + 1))


def figure_cell(figure: Mapping[str, Any] | None) -> Markup | str:
    """A value with the bounds of its interval below."""
    if figure is None or figure.get("value") is None:
        return "–"
    low, high = figure.get("low"), figure.get("high")
    bounds = "" if low is None or high is None else tag("div", f"{show(low)} to {show(high)}", cls="sub")
    return tag("div", show(figure["value"]), bounds)


def _keys(many: Any) -> list[str]:
    """Names of all figures, in the order in which they come."""
    return list(dict.fromkeys(key for figures in many if figures for key in figures))
