"""Parts of complexes: whole groups, whole years, and ligands held out of proteins that stay."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.data.complex_split import split_complexes
from eqcli.errors import InputError

GROUPS = [g for g in range(20) for _ in range(1 + g % 5)]
SIZES = {"valid": 0.1, "test": 0.2, "seed": 3}


def check_whole(parts: dict[str, np.ndarray], total: int) -> None:
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(total))


@pytest.mark.parametrize("seed", range(10))
def test_a_group_is_in_one_part(seed: int) -> None:
    parts = split_complexes("cluster", GROUPS, valid=0.1, test=0.2, seed=seed)
    check_whole(parts, len(GROUPS))
    groups = [{GROUPS[i] for i in rows} for rows in parts.values()]
    assert sum(map(len, groups)) == 20
    assert len(parts["test"]) == pytest.approx(0.2 * len(GROUPS), abs=1)
    assert len(parts["valid"]) == pytest.approx(0.1 * len(GROUPS), abs=1)


def test_seeds_differ_and_repeat() -> None:
    draws = [split_complexes("cluster", GROUPS, valid=0.1, test=0.2, seed=s)["test"].tolist() for s in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_a_part_gets_the_smallest_group_where_all_are_too_large() -> None:
    parts = split_complexes("protein", ["a"] * 50 + ["b"] * 20 + ["c"] * 60, valid=0, test=0.05, seed=0)
    assert parts["test"].tolist() == list(range(50, 70))
    assert len(parts["valid"]) == 0


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(InputError, match="2 groups"):
        split_complexes("cluster", [0, 0, 1, 1], **SIZES)


def test_a_random_split_must_be_asked_for_twice() -> None:
    with pytest.raises(InputError) as error:
        split_complexes("random", GROUPS, **SIZES)
    assert "--allow-leak" in error.value.hint
    parts = split_complexes("random", GROUPS, allow_leak=True, **SIZES)
    check_whole(parts, len(GROUPS))
    assert len(parts["test"]) == round(0.2 * len(GROUPS))


def test_years_are_whole_and_in_order() -> None:
    years = [2000 + i % 10 for i in range(100)]
    parts = split_complexes("year", [0] * 100, years=years, **SIZES)
    check_whole(parts, 100)
    assert {years[i] for i in parts["test"]} == {2008, 2009}
    assert {years[i] for i in parts["valid"]} == {2007}


def test_a_missing_year_is_an_error() -> None:
    with pytest.raises(InputError, match="1 of 3 complexes"):
        split_complexes("year", [0, 1, 2], years=[2000, None, 2001], **SIZES)


def test_one_year_leaves_nothing_to_train_on() -> None:
    with pytest.raises(InputError, match="no complexes are left"):
        split_complexes("year", [0, 1, 2], years=[2000] * 3, **SIZES)


def test_seen_holds_new_ligands_of_trained_proteins() -> None:
    groups = [g for g in range(10) for _ in range(8)]
    # Every ligand binds to two proteins.
    ligands = [f"{g // 2}-{k}" for g in range(10) for k in range(8)]
    parts = split_complexes("protein", groups, valid=0.1, test=0.1, seed=0, seen=0.25, ligands=ligands)
    check_whole(parts, 80)
    trained = {groups[i] for i in parts["train"]}
    assert 0 < len(parts["seen"]) <= 0.25 * (len(parts["seen"]) + len(parts["train"]))
    assert {groups[i] for i in parts["seen"]} <= trained
    assert not {ligands[i] for i in parts["seen"]} & {ligands[i] for i in parts["train"]}


def test_seen_leaves_proteins_of_one_ligand_alone() -> None:
    parts = split_complexes("protein", list(range(30)), valid=0.1, test=0.1, seed=0, seen=0.5)
    assert len(parts["seen"]) == 0
