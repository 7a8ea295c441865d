"""The page of the expressivity suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eqcli.report.html import Markup, card, facts, page, table, tag
from eqcli.report.numbers import count, show

SIGNS = {True: ("pass", "✓"), False: ("finding", "✗")}


def gwl_page(result: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """The HTML document of what `GWLSuiteResult.as_dict` gives."""
    return page("Expressivity", _body(result, provenance))


def _body(result: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[Markup]:
    found: Mapping[str, list[Mapping[str, Any]]] = result["architectures"]
    yield tag(
        "header",
        tag("p", "Geometric Weisfeiler-Leman tests", cls="eyebrow"),
        tag("h1", "What each architecture can tell apart"),
        tag("p", f"{count(len(found), 'architecture')}, {result['seconds']:.0f} s", cls="quiet"),
        cls="top",
    )
    good = not result["disagreements"]
    sub = "every test, every seed" if good else "; ".join(result["disagreements"])
    yield tag("div", card("Theory", "agrees" if good else "disagrees", "", sub, "good" if good else "bad"), cls="cards")
    yield tag(
        "p",
        "Each test is a pair of different graphs. A check mark means that the energies of the two differ for every "
        "random choice of weights, a cross that they agree to rounding for every choice; both are exact statements "
        "about the architecture. Chains are put to the whole model, stars and counterexamples to a single layer.",
        cls="quiet",
    )
    if found:
        yield table(["Test", "Needs", *found], _rows(found))
    for failure in result["failures"]:
        yield tag("p", f"{failure['item']}: {failure['reason']}", cls="callout bad")
    yield tag("h2", "Provenance")
    yield facts((key.replace("_", " "), value) for key, value in provenance.items())


def _rows(found: Mapping[str, list[Mapping[str, Any]]]) -> Iterator[list[object]]:
    for group in zip(*found.values(), strict=True):
        yield [group[0]["title"], group[0]["needs"], *(_cell(test) for test in group)]


def _cell(test: Mapping[str, Any]) -> Markup:
    kind, sign = SIGNS[test["passed"]]
    if not test["agrees"]:
        kind = "fail"
    smallest, largest = min(test["differences"]), max(test["differences"])
    detail = f"{test['separated']}/{test['seeds']} seeds, relative difference {show(smallest, 1)} to {show(largest, 1)}"
    if test["expected"] is not None and not test["agrees"]:
        detail += f"; theory: {'told apart' if test['expected'] else 'not told apart'}"
    return Markup(tag("span", sign, cls=f"mark {kind}") + tag("div", detail, cls="sub"))
