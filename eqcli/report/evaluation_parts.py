"""Parts that the pages of evaluations have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from eqcli.report.html import Markup, facts, table, tag, with_code


def section_link(name: str) -> Markup:
    """A link to the section of that name in the page."""
    return tag("a", name, href=f"#{name.lower()}")


def header(eyebrow: str, title: str, below: str, links: Iterable[Markup]) -> Markup:
    """What the page is of, and links to its sections."""
    return tag(
        "header",
        tag("p", eyebrow, cls="eyebrow"),
        tag("h1", title),
        tag("p", below, cls="quiet"),
        tag("nav", *links),
        cls="top",
    )


def callouts(warnings: Iterable[str]) -> Iterator[Markup]:
    """What to look at; what stands between backticks is code."""
    for warning in warnings:
        yield tag("p", tag("strong", "Look here: "), with_code(warning), cls="callout")


def last_sections(result: Mapping[str, Any], origin: Mapping[str, Any], most: int) -> Iterator[Markup]:
    """The first `most` failures of a result, if there are any, and what its figures depend on."""
    if result["failures"]:
        yield tag("h2", "Failures", id="failures")
        yield table(["Item", "Reason"], [[f["item"], f["reason"]] for f in result["failures"][:most]])
    yield tag("h2", "Provenance", id="provenance")
    yield facts((key.replace("_", " "), value) for key, value in {**result["settings"], **origin}.items())
