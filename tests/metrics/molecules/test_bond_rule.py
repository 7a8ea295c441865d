"""Bonds from distances, compared with the rule as it is written down."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqcli.elements import NUMBERS, SYMBOLS
from eqcli.metrics.molecules.bond_rule import DOUBLE, SINGLE, TRIPLE, bonds_by_rule
from tests.metrics.molecules.molecules import water

ELEMENTS = ["H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "As", "Br", "I", "Na"]


def length(table: dict[str, dict[str, float]], a: str, b: str) -> float | None:
    """The pair's length in whichever order it is written."""
    return table.get(a, {}).get(b) or table.get(b, {}).get(a)


def order_by_words(a: str, b: str, distance: float) -> int:
    """The rule as its paper says it, one pair at a time, in Å."""
    single, double, triple = (length(table, a, b) for table in (SINGLE, DOUBLE, TRIPLE))
    if single is None or not 100 * distance < single + 10:
        return 0
    if double is None or not 100 * distance < double + 5:
        return 1
    if triple is None or not 100 * distance < triple + 3:
        return 2
    return 3


def pair(a: str, b: str, distance: float) -> list[tuple[int, int, int]]:
    return bonds_by_rule(np.array([NUMBERS[a], NUMBERS[b]]), np.array([[0, 0, 0], [0, 0, distance]]))


@given(st.lists(st.sampled_from(ELEMENTS), min_size=0, max_size=12), st.integers(0, 2**31), st.floats(0.5, 4.0))
@settings(max_examples=200, deadline=None)
def test_agrees_with_the_rule_in_words(symbols: list[str], seed: int, edge: float) -> None:
    positions = np.random.default_rng(seed).uniform(0, edge, (len(symbols), 3))
    numbers = np.array([NUMBERS[s] for s in symbols], dtype=np.int64)
    expected = [
        (i, j, order)
        for i in range(len(symbols))
        for j in range(i + 1, len(symbols))
        if (order := order_by_words(symbols[i], symbols[j], math.dist(positions[i], positions[j])))
    ]
    assert bonds_by_rule(numbers, positions) == expected


@pytest.mark.parametrize(
    ("a", "b", "limits"),
    [("C", "C", (164, 139, 123)), ("C", "N", (157, 134, 119)), ("C", "O", (153, 125, 116)), ("N", "N", (155, 130, 113)),
     ("O", "C", (153, 125, 116)), ("C", "S", (192, 165, 0)), ("O", "P", (173, 155, 0)), ("S", "P", (220, 191, 0)),
     ("C", "H", (119, 0, 0)), ("F", "N", (146, 0, 0)), ("I", "I", (276, 0, 0)), ("Cl", "B", (185, 0, 0))],
)  # fmt: skip
def test_orders_change_at_the_published_distances(a: str, b: str, limits: tuple[int, int, int]) -> None:
    for order, limit in enumerate(limits, start=1):
        if limit:
            assert pair(a, b, (limit - 0.01) / 100) == [(0, 1, order)]
            assert pair(a, b, (limit + 0.01) / 100) == ([(0, 1, order - 1)] if order > 1 else [])
    highest = max(order for order, limit in enumerate(limits, start=1) if limit)
    assert pair(a, b, 0.1) == [(0, 1, highest)]


def test_a_pair_without_an_entry_has_no_bond_however_near() -> None:
    for a, b in (("B", "C"), ("P", "I"), ("Na", "Cl"), ("As", "C"), ("Se", "C")):
        assert pair(a, b, 0.5) == []


def test_every_pair_is_written_once_with_orders_that_shorten_it() -> None:
    for table in (SINGLE, DOUBLE, TRIPLE):
        pairs = [frozenset((a, b)) for a, others in table.items() for b in others]
        assert len(pairs) == len(set(pairs))
        assert all(symbol in SYMBOLS for p in pairs for symbol in p)
    for longer, shorter in ((SINGLE, DOUBLE), (DOUBLE, TRIPLE)):
        for a, others in shorter.items():
            for b, value in others.items():
                above = length(longer, a, b)
                assert above is not None
                assert above > value


def test_water_wherever_it_lies() -> None:
    molecule = water()
    assert bonds_by_rule(molecule.numbers, molecule.positions) == [(0, 1, 1), (0, 2, 1)]
    turned = molecule.positions @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0] + 100
    assert bonds_by_rule(molecule.numbers, turned) == [(0, 1, 1), (0, 2, 1)]


def test_an_atom_nowhere_has_no_bonds() -> None:
    molecule = water()
    molecule.positions[1] = np.nan
    assert bonds_by_rule(molecule.numbers, molecule.positions) == [(0, 2, 1)]
    molecule.positions[1] = np.inf
    assert bonds_by_rule(molecule.numbers, molecule.positions) == [(0, 2, 1)]
