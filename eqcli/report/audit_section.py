"""The audit on a report page: a verdict for every property, then the plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eqcli.report.html import Markup, card, join, plot_grid, table, tag
from eqcli.report.numbers import count, show
from eqcli.report.svg import Plot

# Signs as well as colours, for those who cannot tell the colours apart.
MARKS = {"pass": ("pass", "✓ holds"), "fail": ("fail", "✗ fails"), "note": ("finding", "! finding")}


def audit_card(audit: Mapping[str, Any]) -> Markup:
    """The verdict in one figure."""
    claims = [check for check in audit["checks"] if check["claimed"]]
    holding = sum(check["status"] == "pass" for check in claims)
    findings = len(audit["findings"])
    sub = count(findings, "finding") if findings else "no findings"
    return card("Audit", f"{holding} of {len(claims)}", "claims hold", sub, "good" if audit["passed"] else "bad")


def audit_section(audit: Mapping[str, Any], plots: Sequence[Plot]) -> Iterator[Markup]:
    """Verdicts, then plots."""
    yield tag("h2", "Audit", id="audit")
    if not audit["checks"]:
        yield tag("p", "There was no structure that the model could be audited on.")
        return
    if audit["note"]:
        yield tag("p", _sentence(audit["note"]), cls="callout")
    yield tag(
        "p",
        f"Made on {count(len(audit['structures']), 'structure')} ({_numbered(audit['structures'])}), "
        f"seed {audit['seed']}, in {audit['seconds']:.0f} s. {_arithmetic(audit)} A claim that fails is a defect of "
        "the model. A finding "
        "is worth knowing before the model is used for dynamics or far from its training data.",
        cls="quiet",
    )
    yield from _groups(audit)
    if audit["skipped"]:
        told = "; ".join(f"{entry['title']}: {entry['reason']}" for entry in audit["skipped"])
        yield tag("p", f"Not audited: {told}.", cls="quiet")
    if audit["worst_rotations"]:
        yield tag("h3", "Worst rotations")
        yield _rotations(audit["worst_rotations"])
    yield tag("h3", "Plots")
    yield plot_grid(plots, wide=True)


def _arithmetic(audit: Mapping[str, Any]) -> str:
    """In which precision the audit was made."""
    if audit["slack"]:
        return (
            "The model computes in its own precision and to its own convergence: "
            f"relative errors up to {show(audit['slack'], 1)} count as that."
        )
    return (
        f"The model runs in {audit['precision']}; what it claims is measured in float64, where rounding hides nothing."
    )


def _numbered(names: Sequence[str]) -> str:
    """The structures with the numbers that plots give them."""
    return "; ".join(f"{number}: {name}" for number, name in enumerate(names))


def _groups(audit: Mapping[str, Any]) -> Iterator[Markup]:
    """A table for each group of checks; what belongs to none stands first."""
    for group in dict.fromkeys(check["group"] for check in audit["checks"]):
        if group:
            yield tag("h3", group.capitalize())
        yield table(
            ["Property", "Verdict", "Measured", "Limit", "What it means"],
            [_row(check) for check in audit["checks"] if check["group"] == group],
            numbers=(2, 3),
        )


def _rotations(rotations: Sequence[Mapping[str, Any]]) -> Markup:
    """The rotations with the largest errors, and where to look at them."""
    rows = []
    for r in rotations:
        axis = ", ".join(f"{x:.3f}" for x in r["axis"]).replace("-", "−")
        atom = "–" if r["atom"] is None else f"{r['atom']} ({r['element']})"
        rows.append([r["structure"], f"({axis})", f"{r['angle_degrees']:.1f}°", show(r["relative_error"], 2), atom])
    words = tag(
        "p",
        "As run. Both structures of each, with predicted and expected forces, are in ",
        tag("code", "worst-rotations.extxyz"),
        ".",
        cls="quiet",
    )
    return join([words, table(["Structure", "Axis", "Angle", "Relative error", "Worst atom"], rows, numbers=(2, 3))])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _row(check: Mapping[str, Any]) -> list[object]:
    kind, sign = MARKS[check["status"]]
    unit = check["unit"] if check["unit"] != "values" else ""
    measured = tag("span", _figure(check["value"]), " ", tag("small", unit, cls="quiet"))
    return [
        check["title"],
        tag("span", sign, cls=f"mark {kind}"),
        measured,
        _figure(check["limit"]),
        join([check["meaning"], tag("div", _details(check), cls="sub")], ""),
    ]


def _figure(value: float | None) -> str:
    """Counts as counts, everything else with two digits."""
    return show(int(value)) if value is not None and float(value).is_integer() else show(value, 2)


def _details(check: Mapping[str, Any]) -> str:
    parts = [f"{check['found']}; {check['precision']}."]
    if check["error"]:
        parts.append(f"The model raised {check['error']}.")
    if check["nonfinite"]:
        places = check["nonfinite"][:3]
        more = f" and {len(check['nonfinite']) - 3} more" if len(check["nonfinite"]) > 3 else ""
        parts.append(f"Not finite: {'; '.join(places)}{more}.")
    if check["status"] != "pass" and check["figures"].get("worst_at"):
        parts.append(f"Worst at {check['figures']['worst_at']}.")
    return " ".join(parts)
