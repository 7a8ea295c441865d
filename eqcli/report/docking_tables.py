"""Tables of an evaluation of docking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from eqcli.report.html import Markup, table, tag
from eqcli.report.molecules_tables import figure_cell
from eqcli.report.numbers import show

TITLES: Final = {
    "rmsd_p25": "RMSD 25 % (Å)",
    "rmsd_p50": "RMSD 50 %",
    "rmsd_p75": "RMSD 75 %",
    "rmsd_mean": "RMSD mean",
    "rmsd_below_2": "RMSD < 2 Å",
    "rmsd_below_5": "RMSD < 5 Å",
    "centroid_p25": "Centroid 25 % (Å)",
    "centroid_p50": "Centroid 50 %",
    "centroid_p75": "Centroid 75 %",
    "centroid_below_2": "Centroid < 2 Å",
    "centroid_below_5": "Centroid < 5 Å",
    "kabsch_p50": "Kabsch 50 %",
    "valid": "PB-valid",
    "near_and_valid": "< 2 Å and PB-valid",
    "best_rmsd_p50": "Best of n: RMSD 50 % (Å)",
    "best_rmsd_below_2": "Best of n: RMSD < 2 Å",
    "best_near_and_valid": "Best of n: < 2 Å and PB-valid",
    "clashes_mean": "Clashes",
    "strain_p50": "Strain 50 %",
    "seconds": "Seconds per pair",
}
"""Figure -> heading of its column."""

COUNTS: Final = {"pairs": "Pairs", "failed": "Failed", "not_checked": "Not checked", "poses": "n"}

GROUPS: Final = {
    "Found and valid": (
        "pairs", "failed", "rmsd_below_2", "rmsd_below_5", "valid", "near_and_valid", "not_checked", "seconds",
    ),
    "RMSD and shape": ("rmsd_p25", "rmsd_p50", "rmsd_p75", "rmsd_mean", "kabsch_p50", "strain_p50", "clashes_mean"),
    "Place": ("centroid_p25", "centroid_p50", "centroid_p75", "centroid_below_2", "centroid_below_5"),
    "Best of n poses": ("poses", "best_rmsd_p50", "best_rmsd_below_2", "best_near_and_valid"),
}  # fmt: skip
"""Tables that fit a page, each with its columns."""


def methods_tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[Markup]:
    """Tables of a row for each method and pocket, with the figures that any of them has."""
    for title, names in GROUPS.items():
        keys = [key for key in names if key in COUNTS or any(key in row["figures"] for row in rows)]
        if any(key not in COUNTS for key in keys):
            yield tag("h4", title)
            yield _methods_table(rows, keys)


def _methods_table(rows: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> Markup:
    header = ["Method", "Pocket", *(COUNTS.get(key) or TITLES[key] for key in keys)]
    body = [
        [
            row["method"],
            row["pocket"],
            *(show(row[key]) if key in COUNTS else figure_cell(row["figures"].get(key)) for key in keys),
        ]
        for row in rows
    ]
    return table(header, body, numbers=range(2, len(header)))


def complexes_table(
    rows: Sequence[Mapping[str, Any]], pages: Mapping[str, str], pictures: Mapping[str, Markup]
) -> Markup:
    """A row for each complex: its ligand, and the RMSD of each method, marked where the pose is not valid."""
    methods = list(dict.fromkeys((row["method"], row["pocket"]) for row in rows))
    by_complex: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in rows:
        by_complex.setdefault(row["complex"], {})[row["method"], row["pocket"]] = row
    drawn = [("Ligand", pictures)] if pictures else []
    header = ["Complex", *(name for name, _ in drawn), "Protein", *(f"{name}, {pocket}" for name, pocket in methods)]
    body: list[list[object]] = []
    for name, found in by_complex.items():
        any_row = next(iter(found.values()))
        title = tag("a", name, href=pages[name]) if name in pages else name
        trained = {"seen": "trained on", "unseen": "never seen"}.get(any_row["trained_on"], "")
        protein = tag("div", any_row["protein"], *([tag("div", trained, cls="sub")] if trained else []))
        body.append([title, *(p.get(name, "–") for _, p in drawn), protein, *(_cell(found.get(m)) for m in methods)])
    return table(header, body, numbers=range(len(header) - len(methods), len(header)))


def _cell(row: Mapping[str, Any] | None) -> Markup | str:
    if row is None:
        return "–"
    if row["rmsd"] is None:
        return tag("span", "failed", cls="fail", title=str(row["reason"]))
    below = []
    if row["valid"] is not None:
        below = [tag("span", "valid", cls="pass") if row["valid"] else tag("span", "not valid", cls="fail",
                 title=str(row["failed_checks"]))]  # fmt: skip
    return tag("div", f"{show(row['rmsd'])} Å", tag("div", *below, cls="sub"))
