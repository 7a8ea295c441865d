"""The figures of sets of judgements, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.metrics.molecules import MEANINGS, Judging, figures, judge, known_molecules
from eqcli.metrics.molecules.judge import Judgement
from tests.metrics.molecules.molecules import beside, molecule, water, without_atom

OWN = Judging("own", "charged")


@pytest.fixture(scope="module")
def judged() -> list[Judgement]:
    """Ethanol twice, ethanol beside water, acetate, a radical, and one that is invalid (of 9, 9, 12, 7, 7, 9 atoms)."""
    ethanol = molecule("CCO")
    invalid = replace(judge(ethanol, OWN), valid=False, stable=False, n_stable=7, smiles="", valence_errors=2)
    structures = [ethanol, ethanol, beside(ethanol, molecule("O")), molecule("CC(=O)[O-]")]
    return [*(judge(s, OWN) for s in structures), judge(without_atom(molecule("CC"), 7), OWN), invalid]


def test_figures_are_what_one_counts(judged: list[Judgement]) -> None:
    found = {name: interval.value for name, interval in figures(judged, ["OCC"], resamples=0).items()}
    expected = {
        "atom_stability": (9 + 9 + 12 + 7 + 6 + 7) / (9 + 9 + 12 + 7 + 7 + 9),
        "molecule_stability": 4 / 6,
        "valid": 5 / 6,
        "valid_and_connected": 4 / 6,
        "connected": 5 / 6,
        "closed_shell": 4 / 6,
        "unique": 3 / 5,  # Ethanol three times, acetate, the radical.
        "unique_of_all": 3 / 6,
        "novel": 2 / 3,
        "valid_connected_unique_novel": 2 / 6,
        "neutral": 5 / 6,
        "mean_charge_abs": 1 / 6,
        "valence_errors": 2 / 6,
    }
    assert found == pytest.approx(expected)


def test_one_that_could_not_be_judged_counts_as_failed(judged: list[Judgement]) -> None:
    without, with_one = figures(judged, resamples=0), figures([*judged, None], resamples=0)
    assert with_one["valid"].value == pytest.approx(5 / 7)
    assert with_one["unique_of_all"].value == pytest.approx(3 / 7)
    for name in ("unique", "atom_stability", "valence_errors", "neutral", "mean_charge_abs"):
        assert with_one[name].value == pytest.approx(without[name].value)


def test_every_figure_has_a_meaning_and_an_interval_around_it(judged: list[Judgement]) -> None:
    by_rule = [judge(water()), judge(molecule("CCO"))] * 20
    for judgements in (judged * 10, by_rule):
        found = figures(judgements, ["CCO"])
        assert list(found) == [name for name in MEANINGS if name in found]
        assert all(figure.low <= figure.value <= figure.high for figure in found.values())
    assert set(figures(by_rule, ["CCO"], resamples=0)) == set(MEANINGS)


def test_without_a_reference_nothing_is_novel_or_not(judged: list[Judgement]) -> None:
    assert {"novel", "valid_connected_unique_novel"}.isdisjoint(figures(judged, resamples=0))


def test_a_prepared_reference_is_the_same_as_its_smiles(judged: list[Judgement]) -> None:
    for stereo in (False, True):
        prepared = known_molecules(["CCO"], stereo=stereo)
        assert figures(judged, prepared, resamples=0) == figures(judged, ["CCO"], stereo=stereo, resamples=0)


def test_published_uniqueness_counts_hydrogens_and_not_stereochemistry() -> None:
    ethane = molecule("CC")
    hands = [molecule("C[C@H](N)O"), molecule("C[C@@H](N)O")]
    found = figures([judge(s) for s in (ethane, without_atom(ethane, 7), *hands)], stereo=True, resamples=0)
    assert found["unique_published"].value == pytest.approx(3 / 4)
    assert found["valid_unique_published"].value == pytest.approx(3 / 4)
    assert found["unique"].value == 1


def test_no_molecules_have_no_figures() -> None:
    for judgements in ([], [None]):
        found = figures(judgements, [])
        assert np.isnan(found["unique"].value)
        assert np.isnan(found["atom_stability"].value)
    assert figures([None], [])["valid"].value == 0
