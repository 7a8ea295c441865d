"""The page that `evaluate` writes for docking; the form of `result` stands in `eqcli.tasks.evaluate_docking_result`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from eqcli.report.docking_tables import complexes_table, methods_tables
from eqcli.report.evaluation_parts import callouts, header, last_sections, section_link
from eqcli.report.html import Markup, card, facts, page, plot_grid, tag, with_code
from eqcli.report.numbers import count, show
from eqcli.report.svg import Plot

MOST_FAILURES: Final = 200

WHAT: Final = (
    "Every method starts from a shape that RDKit makes of the bonds alone; torsions of the crystal pose are shown to "
    "none. Errors are those of heavy atoms, equivalent atoms exchanged, without superposition, to the nearest copy of "
    "the ligand in the crystal. Below each figure is its 95 % interval over proteins: complexes of one protein are "
    "drawn together. In shares a pair that failed is a miss; percentiles are of pairs that have a pose."
)
WIDE: Final = "main { max-width: 84rem; } tbody th { min-width: 11rem; }"
SPLITS: Final = {
    "unseen": "Proteins never seen",
    "seen": "Proteins trained on",
    "all": "All complexes",
}


def docking_page(
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    plots: Sequence[Plot],
    origin: Mapping[str, Any],
    *,
    pages: Mapping[str, str] | None = None,
    pictures: Mapping[str, Markup] | None = None,
) -> str:
    """The HTML document of what `DockingEvaluation.as_dict` gives.

    Parameters
    ----------
    rows
        Those of `complexes.csv`.
    plots
        Of `docking_plots.docking_plots`.
    origin
        Facts at the end, such as versions.
    pages, pictures
        Complex -> its page relative to this one, and its ligand drawn flat.
    """
    return page(
        "Docking", [tag("style", Markup(WIDE)), *_body(result, rows, plots, origin, pages or {}, pictures or {})]
    )


def _body(
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    plots: Sequence[Plot],
    origin: Mapping[str, Any],
    pages: Mapping[str, str],
    pictures: Mapping[str, Markup],
) -> Iterator[Markup]:
    yield _header(result)
    yield tag("div", *_cards(result), cls="cards")
    yield from callouts(result["warnings"])
    yield tag("h2", "Methods", id="methods")
    yield tag("p", WHAT, cls="quiet")
    for found in result["tables"]:
        yield tag("h3", SPLITS.get(found["split"], found["split"]))
        yield tag("p", f"{found['words']}.", cls="quiet")
        yield from methods_tables(found["rows"])
    yield tag("details", tag("summary", "What the figures mean"), facts(_meanings()))
    yield tag("h2", "Plots", id="plots")
    yield plot_grid(plots, wide=True)
    yield tag("h2", "Complexes", id="complexes")
    yield tag("p", with_code("All figures of each are in `complexes.csv`, all poses in `poses/`."), cls="quiet")
    yield complexes_table(rows, pages, pictures)
    yield from last_sections(result, origin, MOST_FAILURES)


def _header(result: Mapping[str, Any]) -> Markup:
    counts = result["counts"]
    size = f"{count(counts['complexes'], 'complex', 'complexes')} of {count(counts['proteins'], 'protein')}"
    sections = ["Methods", "Plots", "Complexes", *(["Failures"] if result["failures"] else []), "Provenance"]
    return header("Evaluation", "Docking", f"{size}, {result['seconds']:.0f} s", map(section_link, sections))


def _cards(result: Mapping[str, Any]) -> Iterator[Markup]:
    """The last method of each pocket in the first table: what a user would run."""
    if not result["tables"]:
        return
    first = result["tables"][0]
    own = [row for row in first["rows"] if not row["method"].startswith(("ligand at", "Vina"))]
    for pocket in dict.fromkeys(row["pocket"] for row in own):
        row = [one for one in own if one["pocket"] == pocket][-1]
        figures = row["figures"]
        below = f"{row['method']}, {pocket}; {SPLITS.get(first['split'], '').lower()}"
        for key, title, unit in (
            ("rmsd_below_2", "RMSD < 2 Å", ""),
            ("near_and_valid", "RMSD < 2 Å and valid", ""),
            ("rmsd_p50", "Median RMSD", "Å"),
        ):
            if key in figures:
                yield card(title, show(figures[key]["value"]), unit, below)


def _meanings() -> Iterator[tuple[str, str]]:
    from eqcli.metrics.docking.docking_table import MEANINGS
    from eqcli.report.docking_tables import TITLES

    yield from ((TITLES[key], words) for key, words in MEANINGS.items())
