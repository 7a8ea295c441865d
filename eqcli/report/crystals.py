"""The page that `evaluate` writes for generated crystals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from eqcli.report.evaluation_parts import callouts, header, last_sections, section_link
from eqcli.report.html import Markup, card, facts, page, plot_grid, table, tag
from eqcli.report.numbers import count, show
from eqcli.report.svg import Plot

TITLES: Final = {
    "match_rate": "match rate",
    "rmse": "RMSE",
    "crmse": "cRMSE",
    "match_rate_valid": "match rate, valid",
    "rmse_valid": "RMSE, valid",
    "metre": "METRe",
    "volume_error": "volume error",
    "valid_structure": "valid structure",
    "valid_composition": "valid composition",
    "valid": "valid",
    "uniqueness": "unique",
    "novelty": "novel",
    "unique_and_novel": "unique and novel",
    "valid_unique_novel": "valid, unique, novel",
    "coverage_recall": "coverage recall",
    "coverage_precision": "coverage precision",
    "distance_density": "d density",
    "distance_n_elements": "d elements",
    "distance_n_atoms": "d atoms",
    "distance_volume_per_atom": "d volume per atom",
    "distance_energy_per_atom": "d energy per atom",
    "distance_space_group": "TV space group",
    "distance_crystal_system": "TV crystal system",
}
MAIN: Final = ("match_rate", "rmse", "metre", "valid", "uniqueness", "novelty", "coverage_recall", "coverage_precision")
"""Figures that the terminal shows."""
MOST_ROWS: Final = 100
"""Structures in the table of the page; the CSV file has all."""

MEANINGS: Final = (
    ("match rate @k", "share of the reference that one of the first k predictions matches by pymatgen's matcher"),
    ("match rate, valid", "the same where prediction and target are both valid too: the rule of the papers"),
    ("RMSE", "of the sites of the best match, in units of (V/N)^(1/3), over matched targets alone"),
    ("cRMSE", "the same over all targets; one that is not matched counts as the site tolerance"),
    ("METRe", "share of the reference that any prediction matches, whatever it was made for"),
    ("volume error", "|V/V_ref − 1| per atom of the best match; the matcher itself does not see the volume"),
    ("valid structure", "atoms more than 0.5 Å apart, a cell of more than 0.1 Å³, finite numbers"),
    ("valid composition", "smact finds neutral oxidation states, or all elements are metals"),
    ("unique, novel", "repeats no earlier structure; is not in the training set; of all structures, valid or not"),
    ("coverage recall", "share of the reference with a generated structure near; precision: the other way round"),
    ("d …", "Wasserstein-1 distance to the reference, of valid structures: g/cm³, number, number, Å³, eV"),
    ("TV …", "total variation distance of the shares: 0 is alike, 1 has nothing in common"),
)


def title_of(key: str) -> str:
    """The words of a figure's name, `match rate @20` for `match_rate@20`."""
    name, at, k = key.partition("@")
    return TITLES.get(name, name) + (f" @{k}" if at else "")


def interval_text(figure: Sequence[float | None] | Mapping[str, float | None]) -> str:
    """`0.520 (0.491 to 0.549)`."""
    value, low, high = figure.values() if isinstance(figure, Mapping) else figure
    return show(value) if low is None else f"{show(value)} ({show(low)} to {show(high)})"


def crystals_page(
    result: Mapping[str, Any], structures: Sequence[Mapping[str, Any]], plots: Sequence[Plot], origin: Mapping[str, Any]
) -> str:
    """The HTML document of what `CrystalEvaluation.as_dict` gives."""
    return page(f"Crystals: {result['situation']}", _body(result, structures, plots, origin))


def _body(
    result: Mapping[str, Any], structures: Sequence[Mapping[str, Any]], plots: Sequence[Plot], origin: Mapping[str, Any]
) -> Iterator[Markup]:
    counts = result["counts"]
    size = f"{count(counts['generated'], 'structure')} against {counts['reference']:,} of the reference"
    sections = ["Comparison", "Distributions", "Structures", "Provenance"]
    below = f"{size}, {result['seconds']:.0f} s"
    yield header("Generated crystals", result["situation"].capitalize(), below, map(section_link, sections))
    yield tag("div", *_cards(result), cls="cards")
    yield from callouts(result["warnings"])
    yield from _comparison(result)
    if result["stability"]:
        yield from _stability(result["stability"])
    yield tag("h2", "Distributions", id="distributions")
    yield plot_grid(plots)
    yield from _structures(structures)
    yield from last_sections(result, origin, MOST_ROWS)


def _cards(result: Mapping[str, Any]) -> Iterator[Markup]:
    rows = result["compared"]
    others = [(row["name"], row["figures"]) for row in rows[1:]]
    for key, figure in rows[0]["figures"].items():
        if key.split("@")[0] in MAIN:
            beside = "; ".join(f"{name} {show(f[key]['value'])}" for name, f in others if key in f)
            yield card(title_of(key), show(figure["value"]), "", beside)


def _comparison(result: Mapping[str, Any]) -> Iterator[Markup]:
    yield tag("h2", "Comparison", id="comparison")
    rows = result["compared"]
    yield table(
        ["", *(row["name"] for row in rows)],
        [[title_of(key), *(_cell(row["figures"].get(key)) for row in rows)] for key in rows[0]["figures"]],
        numbers=range(1, len(rows) + 1),
    )
    yield tag("p", "Below a figure: its 95 % interval, by drawing targets or structures anew.", cls="quiet")
    for row in rows:
        if row["without_prediction"]:
            words = f"{row['name']}: nothing for {row['without_prediction']:,} targets, which count as not matched."
            yield tag("p", words, cls="quiet")
    if len(rows) > 1:
        yield tag(
            "p",
            "The baselines are no models: random coordinates have the true cell, random species and template "
            "substitution take known crystals of the same formula, training copies are known crystals and nothing new. "
            "A figure that is no better than theirs is no sign of learning.",
        )
    if "coverage" in result["settings"]:
        yield tag("p", _coverage_words(result["settings"]), cls="callout")
    extra = {key: value for key, value in result["common"].items() if key not in rows[0]["figures"]}
    shown = [[title_of(key), show(value)] for key, value in extra.items() if isinstance(value, float)]
    if shown:
        yield tag("h3", "Generated structures as a set")
        yield table(["Figure", "Value"], shown, numbers=(1,))
    yield tag("details", tag("summary", "What the figures mean"), facts(MEANINGS))


def _cell(figure: Mapping[str, float | None] | None) -> Markup | str:
    if figure is None:
        return "–"
    low = figure["low"]
    bounds = "" if low is None else tag("div", f"{show(low)} to {show(figure['high'])}", cls="sub")
    return tag("div", show(figure["value"]), bounds)


def _coverage_words(settings: Mapping[str, Any]) -> str:
    cutoffs = settings["coverage"]["cutoffs"]
    words = (
        f"Coverage: within {show(cutoffs['structure'])} in structure and {show(cutoffs['composition'])} in composition "
        f"({cutoffs['source']})."
    )
    if settings["fingerprint"] == "fast" or not cutoffs["source"].startswith("published"):
        return f"{words} These figures of coverage cannot be compared with those of papers."
    return (
        f"{words} The fingerprint of structures is that of the papers; that of compositions has 19 of its 22 "
        "properties and is standardised by this reference, so small differences mean nothing."
    )


def _stability(stability: Mapping[str, Any]) -> Iterator[Markup]:
    figures = stability["figures"]
    yield tag("h2", "Stability", id="stability")
    names = ("converged", "certified", "stable", "stable_unique", "sun")
    titles = ("came to rest", "and sane", "stable", "stable, unique", "stable, unique, novel")
    yield table(
        ["", "Structures", "Share"],
        [[t, show(figures[n]), show(figures["rates"][n])] for n, t in zip(names, titles, strict=True)],
        numbers=(1, 2),
    )
    yield tag(
        "p",
        f"Stable is at most {figures['threshold']:g} eV/atom above the hull of {stability['reference']['hull']:,} "
        "crystals. The rate depends on the relaxer, the hull and the threshold: compare it where all three agree.",
        cls="callout",
    )
    yield facts((key.replace("_", " "), value) for key, value in stability["relaxer"].items())


COLUMNS: Final = {
    "formula": "Formula",
    "target": "Target",
    "sample": "Sample",
    "space_group": "Space group",
    "valid": "Valid",
    "matched": "Matched",
    "rmse": "RMSE",
    "near_reference": "Near reference",
    "duplicate_of": "Repeats",
    "known_as": "Known as",
    "e_hull": "Above hull",
    "reason": "Reason",
}


def _structures(structures: Sequence[Mapping[str, Any]]) -> Iterator[Markup]:
    yield tag("h2", "Structures", id="structures")
    columns = [key for key in COLUMNS if any(row[key] not in (None, "") for row in structures)]
    shown = structures[:MOST_ROWS]
    yield table([COLUMNS[key] for key in columns], [[_word(row[key]) for key in columns] for row in shown])
    rest = f"The first {MOST_ROWS} of {len(structures):,}; " if len(structures) > MOST_ROWS else ""
    yield tag("p", f"{rest}all with every column are in ", tag("code", "structures.csv"), ".", cls="quiet")


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else show(value) if isinstance(value, float) else str(value)
