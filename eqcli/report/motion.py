"""The page that `evaluate` writes for a model of motion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eqcli.report.audit_section import MARKS, audit_card
from eqcli.report.html import Markup, card, facts, page, table, tag
from eqcli.report.numbers import count, show

ROWS = {"model": "The model", "linear": "Straight lines", "still": "Nothing moves"}


def motion_page(result: Mapping[str, Any], model: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """The HTML document of what `DynamicsEvaluation.as_dict` gives."""
    return page(f"Evaluation of {model['name']}", _body(result, model, provenance))


def _body(result: Mapping[str, Any], model: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[Markup]:
    figures, audit = result["figures"], result["audit"]
    yield tag(
        "header",
        tag("p", "Model of motion", cls="eyebrow"),
        tag("h1", model["name"]),
        tag(
            "p", f"{count(figures['systems'], 'system')} of {result['source']}, {result['seconds']:.0f} s", cls="quiet"
        ),
        cls="top",
    )
    error = card("Mean square error", show(figures["model"]["mse"]), "", "of the coordinates")
    yield tag("div", error, audit_card(audit) if audit and audit["checks"] else "", cls="cards")
    yield tag("h2", "Accuracy", id="accuracy")
    yield table(
        ["", "Mean square error", "Root of it", "Mean absolute error"],
        [[title, *(show(figures[row][key]) for key in ("mse", "rmse", "mae"))] for row, title in ROWS.items()],
        numbers=(1, 2, 3),
    )
    yield tag(
        "p",
        "Errors are of single coordinates, in the units of the data. On straight lines every particle keeps its "
        "velocity for the time that fits these systems best.",
        cls="quiet",
    )
    if audit:
        yield from _audit(audit)
    yield tag("h2", "Provenance", id="provenance")
    yield facts((key.replace("_", " "), value) for key, value in {**model, **provenance}.items())


def _audit(audit: Mapping[str, Any]) -> Iterator[Markup]:
    yield tag("h2", "Audit", id="audit")
    yield table(["Property", "Verdict", "Relative error", "Limit", "Tried"], map(_row, audit["checks"]), numbers=(2, 3))
    for entry in audit["skipped"]:
        yield tag("p", f"Not audited: {entry['reason']}.", cls="quiet")
    yield tag("p", "Measured in float64, where rounding hides nothing.", cls="quiet")


def _row(check: Mapping[str, Any]) -> list[object]:
    kind, words = MARKS[check["status"]]
    verdict = tag("span", words, cls=f"mark {kind}")
    return [check["title"], verdict, show(check["value"], 2), show(check["limit"], 2), check["found"]]
