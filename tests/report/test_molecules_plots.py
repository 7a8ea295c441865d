"""Plots of molecules: names fit for files, JS in titles, whiskers, and nothing drawn of what is absent."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from eqcli.report.distribution_plots import bars, histogram
from eqcli.report.molecules_plots import _whiskers, molecule_plots, stability_bars
from eqcli.report.svg import Plot
from tests.report import evaluation_case as case


@pytest.fixture(scope="module")
def plots() -> dict[str, Plot]:
    found = molecule_plots(case.result(), case.curves())
    named = {plot.name: plot for plot in found}
    assert len(named) == len(found)
    return named


def test_all_that_is_known_is_drawn(plots: dict[str, Plot]) -> None:
    assert {
        "stability-rule", "stability-own", "lengths-C-double-O", "lengths-C-O", "angles-C-C-O", "torsions-C-C",
        "n-atoms", "elements", "bond-orders", "strain-mmff", "property-qed", "property-rings",
    } == set(plots)  # fmt: skip
    for plot in plots.values():
        ElementTree.fromstring(plot.inline())


def test_titles_have_the_distance_where_it_is_known(plots: dict[str, Plot]) -> None:
    assert plots["lengths-C-double-O"].title == "C=O bond length: JS 0.25"
    assert plots["lengths-C-O"].title == "C-O bond length"


def test_captions_say_what_is_shown(plots: dict[str, Plot]) -> None:
    # NaN is no value.
    assert "mean 0.200 of 2 values" in plots["strain-mmff"].caption
    assert "mean" not in plots["torsions-C-C"].caption
    assert "valid 50.0%" in plots["stability-own"].alt
    assert "single" in plots["bond-orders"].document.svg


def test_nothing_known_is_nothing_drawn() -> None:
    assert molecule_plots({"sets": {}, "bonds": ["rule"]}, {}) == []
    assert stability_bars({"reference": case.molecule_set(0.5)}, "own") is None
    assert histogram("a", "A", "a", {"x": [], "y": [float("nan")]}) is None
    assert bars("a", "A", "a", {"x": []}, [1]) is None


def test_whiskers_end_at_the_interval_and_are_missing_without() -> None:
    figures = {"a": case.figure(0.5, 0.4, 0.7), "b": case.figure(0.5), "c": case.figure(None)}
    lengths = _whiskers(figures, ["a", "b", "c"], np.array([50.0, 50.0, np.nan]))
    np.testing.assert_allclose(lengths, [[10, 0, 0], [20, 0, 0]])


def test_whole_numbers_have_bars_and_others_histograms() -> None:
    sides = {"generated": [0.0, 1.0, 1.0], "reference": [0.5, 1.0, 2.0]}
    curves = {"properties": {"rings": {"generated": [0.0, 1.0]}, "qed": sides}}
    rings, qed = molecule_plots({"sets": {}, "bonds": []}, curves)
    assert rings.caption == "All values are shown."
    assert "mean" in qed.caption


def test_counts_and_values_give_the_same_bars() -> None:
    one = bars("a", "A", "a", {"x": ["C", "C", "O", "N"]}, ["C", "O"])
    other = bars("a", "A", "a", {"x": {"C": 2, "O": 1, "N": 1}}, ["C", "O"])
    assert one is not None
    assert one == other
    assert "x 25%" in one.caption
