"""The page of an evaluation of molecules: every figure of every set, escaped, offline, and the right extremes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from eqcli.report.molecules import molecules_page
from eqcli.report.molecules_pictures import faults, shown_by, worst_and_best
from eqcli.report.molecules_plots import molecule_plots
from eqcli.report.molecules_tables import figures_table, reasons_table, stability_table
from eqcli.report.molecules_words import FAULTS, SETS, title_of
from tests.report import evaluation_case as case
from tests.report.molecules_case import embedded
from tests.report.test_page import Outline


@pytest.fixture(scope="module")
def page() -> str:
    plots = molecule_plots(case.result(), case.curves())
    return molecules_page(case.result(), case.rows(), plots, {"created": "<now>"}, case.structures())


def test_the_page_nests_and_needs_no_network(page: str) -> None:
    outline = Outline(page)
    assert len(outline.identifiers) == len(set(outline.identifiers))
    inside = [link for link in outline.links if link.startswith("#")]
    assert set(outline.links) - set(inside) == {"gallery.html"}
    assert {link[1:] for link in inside} <= set(outline.identifiers)


def test_the_page_is_escaped(page: str) -> None:
    for words in ("<bad>", "<now>", "<C>"):
        assert words not in page
        assert words.replace("<", "&lt;").replace(">", "&gt;") in page


def test_the_page_says_what_figures_depend_on_and_what_is_wrong_with_the_rule(page: str) -> None:
    assert "rdkit 2026.9.1" in page
    assert "3 molecules against 9" in page
    assert all(fault in page for fault in FAULTS)
    own = case.result() | {"bonds": ["own"]}
    assert not any(fault in molecules_page(own, case.rows(), [], {}) for fault in FAULTS)


def test_structures_must_fit_their_rows() -> None:
    with pytest.raises(ValueError, match="3 structures for 2 rows"):
        molecules_page(case.result(), case.rows()[:2], [], {}, case.structures())


def test_nothing_measured_is_a_page_too() -> None:
    bare: dict[str, Any] = {"geometry": None, "strain": {}, "checks": None, "properties": None, "own": None}
    sets = {name: found | bare for name, found in case.result()["sets"].items()}
    empty = case.result() | {"sets": sets, "bonds": ["rule"], "main": "rule", "reasons": {}, "geometry_types": {}}
    text = molecules_page(empty | {"gallery": None}, [], molecule_plots(empty, {}), {})
    assert "gallery.html" not in text
    assert "All generated molecules are valid" in text
    Outline(text)


def test_both_kinds_of_bonds_stand_side_by_side() -> None:
    written = stability_table(case.result()["sets"], ["rule", "own"])
    assert written.count('colspan="2"') == len(SETS)
    for line in re.findall(r"<tr><th scope=\"row\">.*?</tr>", written, flags=re.S):
        assert line.count("<td") == 2 * len(SETS)
    row = next(line for line in written.split("<tr>") if title_of("unique_published") in line)
    # Of the bond rule alone.
    assert row.count("–") == len(SETS)
    assert "0.500" in written
    assert "0.400 to 0.600" in written


def test_sets_without_figures_have_no_column() -> None:
    written = figures_table({"generated": {"passes": case.figure(0.25)}, "reference": None})
    assert written is not None
    assert "reference" not in written
    assert figures_table({"generated": None, "reference": {}}) is None


def test_the_most_frequent_reasons_stand_first() -> None:
    written = reasons_table({"rule": {"a": 1, "b": 3}, "own": {"a": 9, "c": 1}}, ["rule", "own"], 2)
    assert written is not None
    assert written.index(">a<") < written.index(">b<")
    assert ">c<" not in written
    assert reasons_table({"rule": {}}, ["rule"], 2) is None


def test_titles_have_units_where_the_figure_has() -> None:
    assert title_of("mean_tpsa") == "mean polar surface (Å²)"
    assert title_of("distance_tpsa") == "distance, polar surface"
    assert title_of("mae_of_shuffled_gap").startswith("MAE of any molecule, gap")
    assert title_of("anything_else") == "anything else"


@pytest.mark.parametrize(
    "fault",
    [
        {"own_valid": False},
        {"own_valence_errors": 1},
        {"own_fragments": 2},
        {"own_stable_atoms": 1},
        {"own_radicals": 1},
        {"posebusters": False},
    ],
    ids=str,
)
def test_every_fault_is_worse_than_none(fault: dict[str, Any]) -> None:
    sane = case.row(0, embedded("CO"))
    assert not any(faults(sane, "own"))
    assert faults(sane | fault, "own") > faults(sane, "own")


def test_worst_and_best_by_faults_and_then_by_strain() -> None:
    given = [embedded("CO") for _ in range(14)]
    rows = [case.row(k, one, own_smiles=f"m{k}", strain_mmff_per_atom=0.1 * k) for k, one in enumerate(given)]
    rows[3] |= {"own_valid": False, "strain_mmff_per_atom": None}
    # Not measured: neither among the best nor among the worst.
    rows[5] |= {"strain_mmff_per_atom": None}
    text = "".join(worst_and_best(rows, given, "own"))
    worst, best = text.split("<h3>Best")
    order = re.compile(r"(\d+): m\d+")
    assert order.findall(worst) == ["3", "13", "12", "11", "10"]
    assert order.findall(best) == ["0", "1", "2", "4", "6"]


def test_molecules_judged_by_the_rule_are_drawn_by_it() -> None:
    given = embedded("CO")
    assert "bonds" not in shown_by(given, "rule").info
    assert "bonds" in given.info
    assert shown_by(given, "own") is given
