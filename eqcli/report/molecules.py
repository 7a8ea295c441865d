"""The page that `evaluate` writes for generated molecules; the form of `result` stands in
`eqcli.tasks.evaluate_molecules_result`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from eqcli.io.structure import Structure
from eqcli.report.evaluation_parts import callouts, header, last_sections, section_link
from eqcli.report.html import Markup, card, facts, page, plot_grid, tag
from eqcli.report.molecules_pictures import first_molecules, worst_and_best
from eqcli.report.molecules_tables import figures_table, reasons_table, stability_table, strain_tables, types_table
from eqcli.report.molecules_words import FAULTS, FLOOR_TITLES, GENERATED, MAIN, MEANINGS, SET_MEANINGS, WAYS, title_of
from eqcli.report.numbers import count, show
from eqcli.report.svg import Plot

MOST_ROWS: Final = 100
MOST_REASONS: Final = 30
MOST_TYPES: Final = 12
"""Rows of tables on the page; the files beside it have all."""


def molecules_page(
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    plots: Sequence[Plot],
    origin: Mapping[str, Any],
    structures: Sequence[Structure] = (),
) -> str:
    """The HTML document of what `MoleculeEvaluation.as_dict` gives.

    Parameters
    ----------
    rows
        Those of `molecules.csv`.
    plots
        Of `molecules_plots.molecule_plots`.
    origin
        Facts at the end, such as versions.
    structures
        The generated molecules in the order of the rows, for pictures; none for a page without.

    Raises
    ------
    ValueError
        There are structures, and not as many as rows.
    """
    if structures and len(structures) != len(rows):
        raise ValueError(f"{len(structures)} structures for {len(rows)} rows")
    return page("Generated molecules", _body(result, rows, plots, origin, structures))


def _body(
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    plots: Sequence[Plot],
    origin: Mapping[str, Any],
    structures: Sequence[Structure],
) -> Iterator[Markup]:
    yield _header(result, bool(structures))
    yield tag("div", *_cards(result), cls="cards")
    yield from callouts(result["warnings"])
    yield from _comparison(result, plots)
    yield from _geometry(result, plots)
    yield from _strain_and_checks(result)
    yield from _properties(result, plots)
    yield from _invalid(result)
    if structures:
        yield from worst_and_best(rows, structures, result["main"])
        yield from first_molecules(rows, structures, result["main"])
    yield from last_sections(result, origin, MOST_ROWS)


def _header(result: Mapping[str, Any], pictures: bool) -> Markup:
    counts = result["counts"]
    size = f"{count(counts['generated'], 'molecule')} against {counts['reference']:,} of the reference"
    sections = ["Comparison", "Geometry", "Strain", "Properties", "Invalid"]
    links = [section_link(name) for name in [*sections, *(["Molecules"] if pictures else [])]]
    if result.get("gallery"):
        links.append(tag("a", "Gallery in three dimensions", href=Path(result["gallery"]).name))
    links.append(section_link("Provenance"))
    below = f"{size}, {result['seconds']:.0f} s{_versions(result)}"
    return header("Evaluation", "Generated molecules", below, links)


def _versions(result: Mapping[str, Any]) -> str:
    """`, rdkit 2026.9.1, posebusters 0.6.5`, of what the figures depend on."""
    versions = result["settings"].get("versions") or {}
    return "".join(f", {name} {version}" for name, version in versions.items() if version)


def _cards(result: Mapping[str, Any]) -> Iterator[Markup]:
    way, sets = result["main"], result["sets"]
    generated = sets[GENERATED].get(way) or {}
    for key in MAIN:
        if (generated.get(key) or {}).get("value") is not None:
            others = {name: (found.get(way) or {}).get(key) for name, found in sets.items() if name != GENERATED}
            beside = "; ".join(f"{name} {show(f['value'])}" for name, f in others.items() if f)
            yield card(title_of(key), show(generated[key]["value"]), "", beside)


def _comparison(result: Mapping[str, Any], plots: Sequence[Plot]) -> Iterator[Markup]:
    ways, sets = result["bonds"], result["sets"]
    yield tag("h2", "Comparison", id="comparison")
    yield tag(
        "p",
        f"Each figure is made in the same way of every set; below it is its 95 % interval. Uniqueness falls with the "
        f"number of molecules: compare it at {count(result['counts']['generated'], 'molecule')}.",
        cls="quiet",
    )
    yield plot_grid([plot for plot in plots if plot.name.startswith("stability")], wide=True)
    yield stability_table(sets, ways)
    yield facts((name, words) for name, words in SET_MEANINGS if name in sets)
    if "rule" in ways:
        yield tag(
            "div",
            tag("strong", "Known faults of the bond rule. "),
            "It is that of EDM, so that its figures can be compared with published ones; real molecules do not all "
            "pass it.",
            tag("ul", *(tag("li", fault) for fault in FAULTS)),
            cls="callout",
        )
    yield tag("details", tag("summary", "What the figures mean"), facts(_meanings()))


def _meanings() -> Iterator[tuple[str, str]]:
    from eqcli.metrics.molecules.table import MEANINGS as OF_JUDGEMENTS

    yield from ((title_of(key), words) for key, words in OF_JUDGEMENTS.items() if key != "valence_errors")
    yield from MEANINGS


def _geometry(result: Mapping[str, Any], plots: Sequence[Plot]) -> Iterator[Markup]:
    yield tag("h2", "Geometry", id="geometry")
    yield tag("p", f"With bonds {WAYS[result['main']]}, of molecules that are valid and connected.", cls="quiet")
    columns = {name: found.get("geometry") for name, found in result["sets"].items()}
    written = figures_table(columns, sets=FLOOR_TITLES)
    yield written or tag("p", "Nothing could be measured.", cls="callout")
    yield plot_grid([plot for plot in plots if plot.name.startswith(("lengths-", "angles-", "torsions-"))])
    types = types_table(result.get("geometry_types") or {}, MOST_TYPES)
    if types is not None:
        summary = f"Types that differ most, {MOST_TYPES} of each kind; all are in report.json"
        yield tag("details", tag("summary", summary), types)


def _strain_and_checks(result: Mapping[str, Any]) -> Iterator[Markup]:
    yield tag("h2", "Strain and checks", id="strain")
    shown = [*strain_tables(result["sets"])]
    checks = figures_table({name: found.get("checks") for name, found in result["sets"].items()})
    if checks is not None:
        of_generated = result["sets"][GENERATED].get("checks") or {}
        first = (of_generated.get("passes") or {}).get("n")
        of = "" if first is None else f" Of the first {count(first, 'molecule')}, invalid ones too."
        words = f"Shares that pass the checks of PoseBusters.{of} What could not be checked has not passed."
        shown += [tag("h3", "Checks"), tag("p", words, cls="quiet"), checks]
    if not shown:
        yield tag("p", "Neither strain nor checks were measured.", cls="quiet")
    yield from shown


def _properties(result: Mapping[str, Any], plots: Sequence[Plot]) -> Iterator[Markup]:
    yield tag("h2", "Properties", id="properties")
    others = ("stability", "lengths-", "angles-", "torsions-")
    yield plot_grid([plot for plot in plots if not plot.name.startswith(others)])
    columns = {name: found.get("properties") for name, found in result["sets"].items()}
    written = figures_table(columns, sets=FLOOR_TITLES)
    if written is not None:
        yield tag("p", "Distances of the reference are their floor, that of samples of itself.", cls="quiet")
        yield written


def _invalid(result: Mapping[str, Any]) -> Iterator[Markup]:
    yield tag("h2", "Why molecules are invalid", id="invalid")
    written = reasons_table(result["reasons"], result["bonds"], MOST_REASONS)
    yield written or tag("p", "All generated molecules are valid.", cls="quiet")
