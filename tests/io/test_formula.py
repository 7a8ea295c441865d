"""Formulas that people type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.formula import parse_formula


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("CaTiO3", [20, 22, 8, 8, 8]),
        ("C", [6]),
        ("Co", [27]),
        ("CO", [6, 8]),
        ("Ca(OH)2", [20, 8, 1, 8, 1]),
        ("Mg[Al(OH)2]2", [12, 13, 8, 1, 8, 1, 13, 8, 1, 8, 1]),
        (" Li2 Fe O ", [3, 3, 26, 8]),
        ("(NaCl)12", [11, 17] * 12),
        ("HOH", [1, 8, 1]),
    ],
)
def test_formulas(text: str, numbers: list[int]) -> None:
    assert parse_formula(text).tolist() == numbers


@given(st.lists(st.tuples(st.integers(1, len(SYMBOLS) - 1), st.integers(1, 12)), min_size=1, max_size=6))
def test_every_formula_is_read_back(parts: list[tuple[int, int]]) -> None:
    text = "".join(f"{SYMBOLS[z]}{count if count > 1 else ''}" for z, count in parts)
    assert parse_formula(text).tolist() == [z for z, count in parts for _ in range(count)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no element"),
        ("()2", "names no element"),
        ("Xx2", "'Xx'"),
        ("ca", "cannot be read"),
        ("Fe0.5O", "whole numbers"),
        ("Fe-O", "cannot be read"),
        ("2H", "cannot be read"),
        ("Na0", "no sensible number"),
        ("(H2O", "not closed"),
        ("H2O)", "none opened"),
        ("H999999999999", "no sensible number"),
        ("H" + "9" * 5000, "no sensible number"),
        ("H0000001", "no sensible number"),
        ("((((H99)99)99)99)99", "no sensible number"),
        ("H5000He5000" * 3, "no sensible number"),
        ("H\u00b2", "cannot be read"),
        ("H\u0662", "cannot be read"),
    ],
)
def test_what_is_no_formula(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_formula(text)


def test_a_slip_of_the_pen_has_a_hint() -> None:
    with pytest.raises(InputError) as caught:
        parse_formula("NA2O")
    assert "NA2O" in str(caught.value) or "Na" in (caught.value.hint or "")


def test_many_brackets_are_no_danger() -> None:
    assert parse_formula("(" * 500 + "H" + ")" * 500).tolist() == [1]
