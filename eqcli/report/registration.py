"""The page that `evaluate` writes for registration.

The form of `result` stands in `eqcli.tasks.evaluate_registration_result`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from eqcli.report.evaluation_parts import callouts, header, last_sections, section_link
from eqcli.report.html import Markup, card, facts, page, plot_grid, tag, with_code
from eqcli.report.numbers import count, show
from eqcli.report.registration_tables import MOST_PAIRS, RULES, TITLES, methods_tables, pairs_table
from eqcli.report.svg import Plot

MOST_FAILURES: Final = 200
WIDE: Final = "main { max-width: 84rem; } tbody th { min-width: 11rem; } .pairs img { width: 100%; height: auto; }"

Row = Mapping[str, Any]


def registration_page(
    result: Mapping[str, Any],
    rows: Sequence[Row],
    plots: Sequence[Plot],
    origin: Mapping[str, Any],
    meanings: Mapping[str, str],
    *,
    gallery: Sequence[Row] = (),
) -> str:
    """The HTML document of what `RegistrationEvaluation.as_dict` gives.

    Parameters
    ----------
    rows
        Those of `pairs.csv`.
    plots
        Of `registration_plots.registration_plots`.
    origin
        Facts at the end, such as versions.
    meanings
        Figure -> what it is.
    gallery
        `pair`, `words`, `best`, and `picture` and `page` relative to this page.
    """
    body = _body(result, rows, plots, origin, meanings, gallery)
    return page("Registration", [tag("style", Markup(WIDE)), *body])


def _body(
    result: Mapping[str, Any],
    rows: Sequence[Row],
    plots: Sequence[Plot],
    origin: Mapping[str, Any],
    meanings: Mapping[str, str],
    gallery: Sequence[Row],
) -> Iterator[Markup]:
    yield _header(result, gallery)
    yield tag("div", *_cards(result), cls="cards")
    yield from callouts(result["warnings"])
    yield tag("h2", "Methods", id="methods")
    yield tag("p", _what(result), cls="quiet")
    yield facts(result["thresholds"].items())
    yield from methods_tables(result["rows"], result["unit"])
    shown = {key for row in result["rows"] for key in row["figures"]}
    words = [(TITLES[key], text) for key, text in meanings.items() if key in shown]
    yield tag("details", tag("summary", "What the figures mean"), facts(words))
    if plots:
        yield tag("h2", "Plots", id="plots")
        yield plot_grid(plots, wide=True)
    if gallery:
        yield tag("h2", "Gallery", id="gallery")
        yield from _gallery(gallery)
    yield tag("h2", "Pairs", id="pairs")
    more = f" The first {MOST_PAIRS:,} pairs are shown." if result["counts"]["pairs"] > MOST_PAIRS else ""
    yield tag("p", with_code(f"All figures of each are in `pairs.csv`.{more}"), cls="quiet")
    yield pairs_table(rows, result["rule"])
    yield from last_sections(result, origin, MOST_FAILURES)


def _header(result: Mapping[str, Any], gallery: Sequence[Row]) -> Markup:
    counts = result["counts"]
    size = f"{count(counts['pairs'], 'pair')} of {count(counts['scenes'], 'scene')}"
    if counts["without_truth"]:
        size += f", {count(counts['without_truth'], 'pair')} without a truth"
    if counts["failed"]:
        size += f", {count(counts['failed'], 'item')} that could not be read"
    sections = ["Methods", "Plots", *(["Gallery"] if gallery else []), "Pairs"]
    sections += [*(["Failures"] if result["failures"] else []), "Provenance"]
    return header("Evaluation", "Registration", f"{size}, {result['seconds']:.0f} s", map(section_link, sections))


def _cards(result: Mapping[str, Any]) -> Iterator[Markup]:
    """Recall of each method at its best, by the chosen rule."""
    best: dict[str, Row] = {}
    for row in result["rows"]:
        found = row["figures"].get(result["rule"])
        held = best.get(row["method"])
        if found and (held is None or found["value"] > held["figures"][result["rule"]]["value"]):
            best[row["method"]] = row
    for name, row in best.items():
        below = f"recall by the rule of {RULES[result['rule']]}, refinement: {row['refinement']}"
        yield card(name, show(row["figures"][result["rule"]]["value"]), "", below)


def _what(result: Mapping[str, Any]) -> str:
    scenes = result["counts"]["scenes"]
    over = "scenes: pairs of one scene are drawn together" if scenes > 1 else "pairs, all of one scene"
    return (
        f"Below each figure is its 95 % interval over {over}. In shares a pair that failed is a miss. Errors are means "
        f"and medians over the pairs that each method finds by the rule of {RULES[result['rule']]}. Of symmetric "
        "objects the nearest of the truths that their symmetry allows counts."
    )


def _gallery(gallery: Sequence[Row]) -> Iterator[Markup]:
    for best, title in ((False, "Worst"), (True, "Best")):
        chosen = [one for one in gallery if one["best"] is best]
        if not chosen:
            continue
        yield tag("h3", f"{title} pairs of {chosen[0]['method']}")
        shown = []
        for one in chosen:
            words = escape(f"{one['pair']} before and after", quote=True)
            image = Markup(f'<img src="{escape(one["picture"], quote=True)}" alt="{words}" loading="lazy">')
            link = tag("a", image, href=one["page"]) if one["page"] else image
            shown.append(tag("figure", link, tag("figcaption", f"{one['pair']}: {one['words']}")))
        yield tag("div", *shown, cls="plots wide pairs")
