"""The report page: complete, offline, escaped, accessible."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from eqcli.audit.run import run_audit
from eqcli.errors import Failure, Where
from eqcli.metrics.errors import Errors
from eqcli.report.accuracy_plots import accuracy_plots
from eqcli.report.audit_plots import audit_plots
from eqcli.report.evaluation import Evaluation, evaluation_page
from eqcli.report.html import Markup, facts, table, tag, with_code
from tests.audit import broken

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Outline(HTMLParser):
    """Checks that tags nest, and keeps what the tests ask about."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.identifiers: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.identifiers += [given["id"]] if given.get("id") else []
        self.links += [value for key in ("src", "href", "xlink:href") if (value := given.get(key))]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def evaluation(**changes: Any) -> Evaluation:
    errors = Errors()
    rng = np.random.default_rng(0)
    for frame in range(12):
        crystal = broken.crystal()
        labelled = replace(
            crystal,
            energy=float(rng.normal()),
            forces=rng.normal(size=(3, 3)),
            stress=rng.normal(size=(3, 3)) * 0.01,
            where=Where("data/<odd & name>.xyz", frame),
            info={"config_type": ["a", "<b>"][frame % 2]},
        )
        assert labelled.energy is not None
        errors.add(labelled, replace(labelled, energy=labelled.energy + 0.1))
    audit = run_audit(broken.HardCutoff(), [broken.molecule(), broken.crystal()])
    figures = errors.figures()
    samples = {name: reservoir.rows for name, reservoir in errors.samples.items()}
    whole = Evaluation(
        model={"name": "model <1>", "sha256": "0" * 64, "configuration": {"cutoff": 4.0}},
        figures=figures,
        audit=audit.as_dict(),
        data=[{"file": "data/<odd & name>.xyz", "sha256": "f" * 64, "structures": 12, "labels": ["energy: <a>"]}],
        failures=[Failure("frame 13", "atoms <too close>")],
        warnings=["use `--energy-unit <unit>`"],
        provenance={"packages": {"torch": "2"}},
        accuracy_plots=accuracy_plots(samples, figures["total"]),
        audit_plots=audit_plots(audit),
    )
    return replace(whole, **changes)


@pytest.fixture(scope="module")
def page() -> str:
    return evaluation_page(evaluation())


def test_page_is_wellformed_and_links_resolve(page: str) -> None:
    outline = Outline(page)
    assert len(outline.identifiers) == len(set(outline.identifiers))
    for link in outline.links:
        assert link.startswith(("#", "data:image/png;base64,"))
        if link.startswith("#"):
            assert link[1:] in outline.identifiers


def test_page_needs_no_network_and_no_scripts(page: str) -> None:
    outline = Outline(page)
    assert not {"script", "link", "iframe"} & set(outline.tags)
    assert "@import" not in page
    addresses = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_text_from_files_is_escaped(page: str) -> None:
    assert "model &lt;1&gt;" in page
    assert "data/&lt;odd &amp; name&gt;.xyz" in page
    assert "atoms &lt;too close&gt;" in page
    assert "<code>--energy-unit &lt;unit&gt;</code>" in page
    assert "<odd" not in page


def test_places_are_short_where_names_of_files_tell_them_apart(page: str) -> None:
    assert '<th scope="row">&lt;odd &amp; name&gt;.xyz, frame' in page.replace(' class=""', "")
    entry = {"sha256": "f" * 64, "structures": 12, "labels": []}
    twins = [entry | {"file": f"{folder}/<odd & name>.xyz"} for folder in ("data", "other")]
    assert "data/&lt;odd &amp; name&gt;.xyz, frame" in evaluation_page(evaluation(data=twins))


def test_places_in_the_audit_are_short_too() -> None:
    whole = evaluation()
    assert whole.audit is not None
    place = "data/<odd & name>.xyz:3, frame 0"
    checks = [check | {"found": f"5 steps of {place} at 300 K"} for check in whole.audit["checks"]]
    plots = [replace(whole.audit_plots[0], caption=f"{place} turned once.")]
    page = evaluation_page(replace(whole, audit={**whole.audit, "checks": checks}, audit_plots=plots))
    assert "5 steps of &lt;odd &amp; name&gt;.xyz:3, frame 0 at 300 K" in page
    assert "<figcaption>&lt;odd &amp; name&gt;.xyz:3, frame 0 turned once." in page


def test_values_of_facts_are_words() -> None:
    shown = facts([("packages", {"torch": "2", "numpy": "1"}), ("command", ["eqcli", "<x>"]), ("commit", None)])
    assert "<dd>torch 2, numpy 1</dd>" in shown
    assert "<dd>eqcli &lt;x&gt;</dd>" in shown
    assert "<dd>–</dd>" in shown


def test_page_says_what_was_taken_as_labels(page: str) -> None:
    assert "energy: &lt;a&gt;" in page


def test_page_has_a_theme_for_darkness_and_paper(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert 'name="viewport"' in page


def test_verdicts_have_signs_as_well_as_colours(page: str) -> None:
    assert "✗ fails" in page
    assert "✓ holds" in page


def test_every_plot_of_a_full_evaluation_is_drawn(page: str) -> None:
    for name in ("parity-forces", "cumulative-stress", "symmetry", "orbit", "orbit-single", "orbit-all"):
        assert f'id="{name}-' in page
    for name in ("finite-differences", "energy-conservation", "cutoff", "dimers"):
        assert f'id="{name}-' in page


def test_page_without_labels_and_without_audit_says_so() -> None:
    empty = Errors()
    empty.add(broken.molecule(), replace(broken.molecule(), energy=1.0))
    bare = evaluation(figures=empty.figures(), audit=None, failures=[], warnings=[], accuracy_plots=[], audit_plots=[])
    page = evaluation_page(bare)
    Outline(page)
    assert "nothing to compare with" in page
    assert 'id="audit"' not in page
    assert 'id="failures"' not in page


def test_audit_of_a_model_that_raises_is_shown() -> None:
    audit = run_audit(broken.Fragile(), [broken.molecule()])
    page = evaluation_page(evaluation(audit=audit.as_dict(), audit_plots=audit_plots(audit)))
    assert "no edges" in page


def test_audit_with_nonfinite_curves_can_be_drawn() -> None:
    near = broken.molecule()
    near.positions[4] = near.positions[3] + [0.0, 0.0, 0.7]
    audit = run_audit(broken.Explosive(), [near])
    page = evaluation_page(evaluation(audit=audit.as_dict(), audit_plots=audit_plots(audit)))
    Outline(page)
    assert "Not finite" in page


def test_markup_is_escaped_once() -> None:
    assert tag("b", "<") == "<b>&lt;</b>"
    assert tag("b", tag("i", "&")) == "<b><i>&amp;</i></b>"
    assert with_code("a `b<` c") == "a <code>b&lt;</code> c"
    assert "<th" in table(["x"], [[Markup("<b>1</b>")]])
