"""The page over a screen: how many pairs were docked, their scores, the best of them drawn, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from eqcli.report.distribution_plots import histogram
from eqcli.report.html import Markup, card, facts, page, plot_grid, table, tag, with_code
from eqcli.report.numbers import count, show
from eqcli.report.svg import Plot

SHOWN: Final = 500
"""Pairs in the table, the best first; the file has all."""
MOST_FAILURES: Final = 200
MOST_RECEPTORS: Final = 4
"""Receptors whose scores are drawn apart; more are drawn together."""

Row = Mapping[str, Any]


def screen_page(
    ranked: Sequence[Row],
    failed: Sequence[Row],
    *,
    title: str,
    pictures: Mapping[int, Markup] | None = None,
    pages: Mapping[int, str] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> str:
    """The HTML document.

    Parameters
    ----------
    ranked, failed
        Rows of `results.csv` as mappings, those that are ok with the best first.
    pictures, pages
        By place in `ranked`: the ligand drawn flat, and a page with the pose, relative to this one.
    """
    return page(title, _body(ranked, failed, title, pictures or {}, pages or {}, provenance or {}))


def _body(
    ranked: Sequence[Row],
    failed: Sequence[Row],
    title: str,
    pictures: Mapping[int, Markup],
    pages: Mapping[int, str],
    provenance: Mapping[str, Any],
) -> Iterator[Markup]:
    size = count(len(ranked) + len(failed), "pair")
    yield tag("header", tag("p", "Screen", cls="eyebrow"), tag("h1", title), tag("p", size, cls="quiet"), cls="top")
    yield tag("div", *_cards(ranked, failed), cls="cards")
    plots = screen_plots(ranked)
    if plots:
        yield tag("h2", "Scores", id="scores")
        words = "Scores rank ligands of one receptor; between receptors, and as free energies, they mean little."
        yield tag("p", words, cls="quiet")
        yield plot_grid(plots, wide=True)
    yield tag("h2", "Best pairs", id="best")
    told = (
        f"The first {len(ranked[:SHOWN]):,} of {len(ranked):,}; all are in `ranked.csv`, their poses in `poses-*.sdf`."
    )
    yield tag("p", with_code(told), cls="quiet")
    yield _ranked_table(ranked[:SHOWN], pictures, pages)
    if failed:
        yield tag("h2", "Failures", id="failures")
        yield from _failures(failed)
    if provenance:
        yield tag("h2", "Provenance", id="provenance")
        yield facts((key.replace("_", " "), value) for key, value in provenance.items())


def _cards(ranked: Sequence[Row], failed: Sequence[Row]) -> Iterator[Markup]:
    yield card("Docked", f"{len(ranked):,}", sub=f"of {count(len(ranked) + len(failed), 'pair')}")
    yield card("Failed", f"{len(failed):,}", kind="bad" if failed else "")
    scores = _values(ranked, "score")
    if len(scores):
        yield card("Best score", show(float(scores.min())), "kcal/mol", f"median {show(float(np.median(scores)))}")
    seconds = _values([*ranked, *failed], "seconds")
    if len(seconds):
        yield card("Time", show(float(seconds.mean())), "s per pair", f"{show(float(seconds.sum()) / 60)} min in all")
    clashes = _values(ranked, "clashes")
    if len(clashes):
        free = int((clashes == 0).sum())
        yield card("Without clashes", f"{free:,}", sub=f"of {len(clashes):,} best poses")


def _values(rows: Sequence[Row], key: str) -> Any:
    return np.array([row[key] for row in rows if row.get(key) is not None], dtype=np.float64)


def screen_plots(ranked: Sequence[Row]) -> list[Plot]:
    """Histograms of the score, by receptor where there are few, and of confidence and strain."""
    receptors = dict.fromkeys(str(row["receptor"]) for row in ranked)
    parts: dict[str, Sequence[Row]] = {"all pairs": ranked}
    if 1 < len(receptors) <= MOST_RECEPTORS:
        parts = {Path(name).name: [row for row in ranked if str(row["receptor"]) == name] for name in receptors}
    drawn = []
    for key, title, axis in (
        ("score", "Scores", "score (kcal/mol)"),
        ("confidence", "Confidence", "confidence"),
        ("strain", "Strain", "strain (kcal/mol)"),
    ):
        plot = histogram(key, title, axis, {name: _values(rows, key).tolist() for name, rows in parts.items()})
        drawn += [plot] if plot is not None else []
    return drawn


def _ranked_table(rows: Sequence[Row], pictures: Mapping[int, Markup], pages: Mapping[int, str]) -> Markup:
    figures = [
        (key, heading)
        for key, heading in (
            ("score", "Score (kcal/mol)"), ("confidence", "Confidence"), ("clashes", "Clashes"),
            ("strain", "Strain (kcal/mol)"), ("seconds", "Seconds"),
        )
        if len(_values(rows, key))
    ]  # fmt: skip
    header = ["Rank", *(["Ligand drawn"] if pictures else []), "Ligand", "Receptor", *(words for _, words in figures)]
    body: list[list[object]] = []
    for k, row in enumerate(rows):
        name = tag("a", row["name"], href=pages[k]) if k in pages else row["name"]
        drawn = [pictures.get(k, "–")] if pictures else []
        values = [show(row.get(key)) for key, _ in figures]
        body.append([k + 1, *drawn, name, Path(str(row["receptor"])).name, *values])
    return table(header, body, numbers=[0, *range(len(header) - len(figures), len(header))])


def _failures(failed: Sequence[Row]) -> Iterator[Markup]:
    """How many failed for which reason, then the first of them."""
    reasons = Counter(str(row["reason"]) for row in failed)
    yield table(["Reason", "Pairs"], [[reason, n] for reason, n in reasons.most_common(20)], numbers=[1])
    rows = [[row["name"], row["ligand"], row["reason"]] for row in failed[:MOST_FAILURES]]
    yield tag("details", tag("summary", f"The first {len(rows)} of them"), table(["Pair", "Ligand", "Reason"], rows))
