"""Tables of an evaluation of registration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from eqcli.report.html import Markup, table, tag
from eqcli.report.molecules_tables import figure_cell
from eqcli.report.numbers import show

TITLES: Final = {
    "3dmatch": "Recall (3DMatch)",
    "3dmatch-info": "Recall (gt.info)",
    "pare": "Recall (PARE-Net)",
    "kitti-loose": "5°, 2 m",
    "kitti-strict": "1.5°, 0.3 m",
    "kitti-finest": "1°, 0.1 m",
    "feature_recall": "Feature matching recall",
    "inlier_ratio": "Inlier ratio",
    "rre_mean": "RRE mean (°)",
    "rre_p50": "RRE 50 % (°)",
    "rte_mean": "RTE mean",
    "rte_p50": "RTE 50 %",
    "vouched": "Vouched for",
    "vouched_found": "Vouched, found",
    "vouched_wrong": "Vouched, wrong",
    "hypotheses_p50": "Hypotheses 50 %",
    "seconds": "Seconds per pair",
}
"""Figure -> heading of its column."""

RULES: Final = {
    "3dmatch": "3DMatch",
    "3dmatch-info": "gt.info",
    "pare": "PARE-Net",
    "kitti-loose": "KITTI (5°, 2 m)",
    "kitti-strict": "KITTI (1.5°, 0.3 m)",
    "kitti-finest": "KITTI (1°, 0.1 m)",
}
"""Rule of recall -> in words."""

COUNTS: Final = {"pairs": "Pairs", "failed": "Failed"}

GROUPS: Final = {
    "Recall": ("pairs", "failed", "3dmatch", "3dmatch-info", "pare", "seconds"),
    "Recall by the rules of KITTI": ("kitti-loose", "kitti-strict", "kitti-finest"),
    "Errors of found pairs": ("rre_mean", "rre_p50", "rte_mean", "rte_p50"),
    "Matches": ("feature_recall", "inlier_ratio", "hypotheses_p50"),
    "What methods say of themselves": ("vouched", "vouched_found", "vouched_wrong"),
}
"""Tables that fit a page, each with its columns."""

MOST_PAIRS: Final = 500

Row = Mapping[str, Any]


def methods_tables(rows: Sequence[Row], unit: str) -> Iterator[Markup]:
    """Tables of a row for each method and refinement, with the figures that any of them has."""
    for title, names in GROUPS.items():
        keys = [key for key in names if key in COUNTS or any(key in row["figures"] for row in rows)]
        if any(key not in COUNTS for key in keys):
            yield tag("h3", title)
            yield _methods_table(rows, keys, unit)


def _methods_table(rows: Sequence[Row], keys: Sequence[str], unit: str) -> Markup:
    titles = [COUNTS.get(key) or TITLES[key] + (f" ({unit})" if key.startswith("rte") else "") for key in keys]
    shown = [row for row in rows if any(key in COUNTS or key in row["figures"] for key in keys)]
    body = [
        [
            row["method"],
            row["refinement"],
            *(show(row[key]) if key in COUNTS else figure_cell(row["figures"].get(key)) for key in keys),
        ]
        for row in shown
    ]
    return table(["Method", "Refinement", *titles], body, numbers=range(2, len(titles) + 2))


def pairs_table(rows: Sequence[Row], rule: str) -> Markup:
    """A row for each pair: overlap, angle, and the errors of each method, marked where the pair is not found."""
    methods = list(dict.fromkeys((row["method"], row["refinement"]) for row in rows))
    by_pair: dict[str, dict[tuple[str, str], Row]] = {}
    for row in rows:
        by_pair.setdefault(row["pair"], {})[row["method"], row["refinement"]] = row
    header = ["Pair", "Overlap", "Angle (°)", *(_name(*method) for method in methods)]
    body = []
    for name, found in list(by_pair.items())[:MOST_PAIRS]:
        one = next(iter(found.values()))
        title = tag("div", name, *([tag("div", one["scene"], cls="sub")] if one["scene"] else []))
        cells = [_cell(found.get(method), rule) for method in methods]
        body.append([title, show(one["overlap"], 2), show(one["angle"]), *cells])
    return table(header, body, numbers=range(1, len(header)))


def _name(method: str, refinement: str) -> str:
    return method if refinement in ("none", "its own") else f"{method}, {refinement}"


def _cell(row: Row | None, rule: str) -> Markup | str:
    if row is None:
        return "–"
    if row["status"] == "failed":
        return tag("span", "failed", cls="fail", title=str(row["reason"]))
    if row["status"] == "no truth":
        return {True: "vouched for", False: "not vouched for", None: "no truth"}[row["reliable"]]
    found = row[f"found_{rule}"]
    mark = "quiet" if found is None else "pass" if found else "fail"
    unit = " m" if row["unit"] == "m" else " voxels"
    return tag("div", tag("span", f"{show(row['rre'])}°", cls=mark), tag("div", show(row["rte"]) + unit, cls="sub"))
