"""Which molecules repeat and which are known."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eqcli.metrics.molecules.distinct import canonical, distinct_molecules, expected_unique, known_molecules, shares

NAMES = st.lists(st.sampled_from(["C", "CC", "CO", "CN", "", None]), max_size=30)


def test_one_molecule_has_one_name_however_it_is_written() -> None:
    assert len({canonical(text) for text in ("OCC", "CCO", "C(O)C", "[H]OC([H])([H])C", "[CH3][CH2][OH]")}) == 1
    assert canonical("C1=CC=CC=C1") == canonical("c1ccccc1")
    assert canonical("no molecule") == ""
    assert canonical("C(C)(C)(C)(C)C") == ""


def test_stereochemistry_counts_when_it_is_asked_for() -> None:
    both = ["C[C@H](N)O", "C[C@@H](N)O"]
    assert len({canonical(text) for text in both}) == 1
    assert len({canonical(text, stereo=True) for text in both}) == 2
    assert [row.duplicate_of for row in distinct_molecules(both)] == [None, 0]
    assert [row.duplicate_of for row in distinct_molecules(both, stereo=True)] == [None, None]
    known = known_molecules(both[:1], stereo=True)
    assert [row.known for row in distinct_molecules(both, known, stereo=True)] == [True, False]
    assert [row.known for row in distinct_molecules(both, known_molecules(both[:1]))] == [True, True]
    with pytest.raises(ValueError, match="stereochemistry"):
        distinct_molecules(both, known)


def test_rows_say_what_each_molecule_repeats() -> None:
    known = known_molecules(["CCO", "c1ccccc1", "broken(", "OCC"])
    assert (len(known.smiles), known.given, known.unread) == (2, 4, 1)
    rows = distinct_molecules(["OCC", "", "CCO", "CCN", None], known)
    assert [row.unique for row in rows] == [True, False, False, True, False]
    assert [row.novel for row in rows] == [False, False, False, True, False]
    assert [row.duplicate_of for row in rows] == [None, None, 0, None, None]
    assert [row.known for row in rows] == [True, None, True, False, None]


def test_a_radical_is_not_the_molecule_that_it_lacks_a_hydrogen_of() -> None:
    assert distinct_molecules(["C[CH2]"], known_molecules(["CC"]))[0].novel


@given(NAMES)
def test_shares_count_the_distinct_ones(names: list[str | None]) -> None:
    assert sum(shares(names)) == pytest.approx(len({name for name in names if name}))
    assert sum(row.unique for row in distinct_molecules(names)) == len({name for name in names if name})


@given(st.lists(st.sampled_from(["C", "CC", "CO"]), min_size=1, max_size=8), st.data())
def test_expected_uniqueness_is_the_mean_over_all_smaller_sets(names: list[str], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(names)))
    drawn = [len(set(some)) / n for some in combinations(names, n)]
    assert expected_unique(names, n) == pytest.approx(sum(drawn) / len(drawn))


def test_uniqueness_falls_with_the_number_of_molecules() -> None:
    names = [name for name in ("C", "CC", "CCC", "CCCC") for _ in range(25)]
    found = [expected_unique(names, n) for n in (1, 2, 10, 50, 100)]
    assert found[0] == pytest.approx(1)
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0.04)
    for n in (0, 101):
        with pytest.raises(ValueError, match="cannot be drawn"):
            expected_unique(names, n)
