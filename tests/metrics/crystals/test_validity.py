"""Flags of structures and validity of compositions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.elements import NUMBERS
from eqcli.io.structure import Structure
from eqcli.metrics.crystals import composition
from eqcli.metrics.crystals.composition import TABLES, Verdict, composition_validity
from eqcli.metrics.crystals.convert import Composition
from eqcli.metrics.crystals.validity import Validity, flags_of, validity, validity_of
from tests.metrics.crystals.crystals import crystal, cscl, perovskite, scrambled


def compound(**counts: int) -> Composition:
    return tuple(sorted((NUMBERS[symbol], count) for symbol, count in counts.items()))


@pytest.fixture
def smact() -> None:
    pytest.importorskip("smact")
    composition_validity.cache_clear()


@pytest.mark.parametrize(
    ("change", "flags"),
    [
        ({}, ()),
        ({"positions": np.array([[0, 0, 0], [0, 0, np.inf]])}, ("non-finite",)),
        ({"cell": np.full((3, 3), np.nan)}, ("non-finite",)),
        ({"positions": np.array([[0, 0, 0], [0, 0, 1e200]])}, ("non-finite",)),
        ({"cell": np.zeros((3, 3))}, ("cell",)),
        ({"cell": np.array([[4.0, 0, 0], [0, 4, 0], [4, 4, 1e-6]])}, ("cell",)),
        ({"pbc": np.array([True, True, False])}, ("cell",)),
        ({"positions": np.array([[0, 0, 0], [0, 0, 0.49]])}, ("overlap",)),
        ({"positions": np.array([[0, 0, 0], [0, 0, 0.51]])}, ()),
    ],
)
def test_flags_name_what_is_wrong(change: dict[str, np.ndarray], flags: tuple[str, ...]) -> None:
    assert flags_of(replace(cscl(), **change)) == flags


def test_an_atom_that_touches_an_image_overlaps() -> None:
    # 4.2 Å apart in the cell, and 0.3 Å from the image across its face.
    assert flags_of(crystal([55, 17], [[0.01, 0, 0], [0.99, 0, 0]], 15.0)) == ("overlap",)
    # Alone in a cell that is large and whose lattice has a vector of 0.4 Å.
    assert flags_of(crystal([55], [[0, 0, 0]], [[20, 0, 0], [20, 0.4, 0], [0, 0, 20]])) == ("overlap",)


def test_cells_of_any_shape_are_judged_at_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        cell = rng.normal(size=(3, 3)) * 10.0 ** rng.uniform(-8, 7, size=(3, 1))
        cell[1] = cell[0] * rng.integers(1, 1000) + rng.normal(size=3) * 10.0 ** rng.uniform(-12, 2)
        positions = rng.normal(size=(4, 3)) * 10.0 ** rng.uniform(-3, 8)
        structure = Structure(np.arange(1, 5), positions, cell, np.ones(3, dtype=bool))
        assert set(flags_of(structure)) <= {"non-finite", "cell", "overlap"}


def test_flags_do_not_depend_on_the_description() -> None:
    rng = np.random.default_rng(0)
    near = crystal([55, 17], [[0, 0, 0], [0, 0, 0.48 / 4.2]], 4.2)
    for structure in (perovskite(), near):
        assert flags_of(scrambled(structure, rng)) == flags_of(structure)


@pytest.mark.usefixtures("smact")
@pytest.mark.parametrize(
    ("formula", "valid"),
    [
        (compound(Na=1, Cl=1), True),
        (compound(Ca=1, Ti=1, O=3), True),
        (compound(Na=1, Cl=3), False),
        (compound(Ni=3, Al=1), True),  # An alloy.
        (compound(Si=1), True),  # An element.
        (compound(Ne=1, O=1), False),
    ],
)
def test_compositions_are_judged_as_chemists_would(formula: Composition, valid: bool) -> None:
    verdict = composition_validity(formula)
    assert verdict.valid is valid
    assert (verdict.reason is None) == valid


@pytest.mark.usefixtures("smact")
@pytest.mark.parametrize("table", TABLES)
def test_no_element_crashes_and_what_is_not_valid_has_a_reason(table: str) -> None:
    for number in range(1, 119):
        verdict = composition_validity(((8, 1), (number, 1)) if number != 8 else ((8, 1),), table)
        assert verdict.valid is True or verdict.reason


@pytest.mark.usefixtures("smact")
def test_an_element_without_data_cannot_be_judged() -> None:
    verdict = composition_validity(compound(Og=2, O=1))
    assert verdict.valid is None
    assert "Og" in str(verdict.reason)


def test_without_smact_nothing_is_judged_and_the_reason_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "find_spec", lambda name: None)
    composition_validity.cache_clear()
    found = validity_of(cscl())
    composition_validity.cache_clear()
    assert found.structural
    assert found.valid is None
    assert "pip install" in str(found.reason)


def test_both_kinds_of_validity_are_needed() -> None:
    good, bad, unknown = Verdict(True), Verdict(False, "why"), Verdict(None, "who knows")
    assert [Validity((), v).valid for v in (good, bad, unknown)] == [True, False, None]
    assert [Validity(("overlap",), v).valid for v in (good, bad, unknown)] == [False] * 3
    assert Validity((), good).reason is None
    assert Validity(("overlap",), bad).reason == "atoms are nearer than 0.5 Å; why"


@pytest.mark.usefixtures("smact")
def test_a_batch_is_judged_as_each_of_it() -> None:
    structures = [cscl(), crystal([11, 17, 17, 17], [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]], 6.0)]
    assert validity(structures, workers=1) == [validity_of(s) for s in structures]
    assert [v.valid for v in validity(structures, workers=1)] == [True, False]


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(ValueError, match="smact14"):
        composition_validity(compound(Na=1), "mine")
