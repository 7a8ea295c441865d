"""Graphs of many structures at once: to the last bit those that are made one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eqcli.errors import InputError
from eqcli.graph.atom_graph import batch_graphs, build_graph
from eqcli.graph.dense_pairs import dense_pairs
from eqcli.graph.many import build_batch, list_pairs
from eqcli.graph.pair_table import join_tables, sorted_table
from eqcli.io.structure import Structure

PERIODS = [(1, 1, 1), (0, 0, 0), (1, 1, 0), (0, 1, 1), (0, 1, 0), (0, 0, 1)]


def structure(n: int, seed: int, pbc=(1, 1, 1), width: float = 4.0, wrapped: bool = True, **fields) -> Structure:
    rng = np.random.default_rng(seed)
    cell = width * (np.eye(3) + rng.normal(size=(3, 3)) * 0.15)
    # Outside the cell along periods alone: a wide spread elsewhere takes the cell list long.
    fractional = rng.random((n, 3)) + (0 if wrapped else rng.integers(-3, 4, size=(n, 3)) * np.array(pbc))
    return Structure(rng.choice([1, 6, 8], n), fractional @ cell, cell, pbc, **fields)


def one_by_one(structures, cutoff: float, labels: bool = False):
    def fields(s) -> dict:
        stated = {"energy": s.energy, "forces": s.forces, "stress": s.stress} if labels else {}
        return {"charge": s.charge, "spin": s.spin, **stated}

    return batch_graphs([build_graph(s.numbers, s.positions, s.cell, s.pbc, cutoff, **fields(s)) for s in structures])


def assert_same(found, expected) -> None:
    found, expected = found.to_dict(), expected.to_dict()
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == value.dtype, key
        np.testing.assert_array_equal(found[key].numpy(), value.numpy(), err_msg=key)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equal_to_the_slow_way(data):
    members = data.draw(
        st.lists(
            st.tuples(st.integers(0, 40), st.sampled_from(PERIODS), st.sampled_from([2.0, 5.0, 20.0]), st.booleans()),
            min_size=1,
            max_size=6,
        )
    )
    seed = data.draw(st.integers(0, 10**6))
    cutoff = data.draw(st.floats(1.0, 5.0))
    structures = [
        # Tiny cells of many atoms have too many pairs for a quick test.
        structure(min(n, 8) if width < 5 else n, seed + k, pbc, width, wrapped)
        for k, (n, pbc, width, wrapped) in enumerate(members)
    ]
    assert_same(build_batch(structures, cutoff), one_by_one(structures, cutoff))


SPECIAL = {
    "one atom, cutoff of many cells": [structure(1, 0, width=1.5)],
    "one atom without periods": [structure(1, 0, (0, 0, 0))],
    "no edges at all": [structure(1, 0, width=30.0), structure(1, 1, (0, 0, 0))],
    "no atoms": [structure(0, 0), structure(3, 1), structure(0, 2, (0, 0, 0))],
    "atoms in one place": [Structure([1, 1], np.zeros((2, 3))), Structure([1, 1], np.zeros((2, 3)), np.eye(3) * 3, 1)],
    "shifts too large for a packed key": [
        Structure([1, 8], [[0.0, 0, 0], [9.9e7, -9.9e7, 9.9e7]], np.eye(3) * 3.0, True),
        structure(4, 3),
    ],
    "a large molecule": [structure(90, 4, (0, 0, 0), 12.0)],
}


@pytest.mark.parametrize("structures", SPECIAL.values(), ids=SPECIAL.keys())
def test_special_structures(structures):
    assert_same(build_batch(structures, 4.5), one_by_one(structures, 4.5))


@pytest.mark.parametrize("pbc", [(1, 1, 1), (1, 0, 1), (0, 0, 0)])
def test_pairs_at_the_cutoff_itself_are_judged_alike(pbc):
    # Turned lattices, where rounding alone says whether a pair is within the cutoff.
    for seed in range(40):
        rng = np.random.default_rng(seed)
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        grid = np.stack(np.meshgrid(*[np.arange(2)] * 3), -1).reshape(-1, 3)
        lattice = Structure(np.ones(8), 2.5 * grid @ turn + rng.normal(size=3), 5.0 * turn, pbc)
        tensors = [torch.from_numpy(x) for x in (lattice.positions, lattice.cell[None], lattice.pbc[None])]
        dense = dense_pairs(tensors[0], torch.tensor([8]), *tensors[1:], 5.0)
        expected = one_by_one([lattice], 5.0)
        assert_same(build_batch([lattice], 5.0), expected)
        np.testing.assert_array_equal(dense.edge_index(torch.tensor([8])).numpy(), expected.edge_index.numpy())
        np.testing.assert_array_equal(dense.shift.numpy(), expected.edge_shift.numpy())


def test_labels_on_request():
    labelled = structure(3, 0, energy=-2.0, forces=np.ones((3, 3)), stress=np.eye(3), charge=1.0, info={"spin": 2})
    members = [structure(2, 1), labelled, structure(4, 2, (0, 0, 0), forces=np.zeros((4, 3)))]
    assert_same(build_batch(members, 4.0, labels=True), one_by_one(members, 4.0, labels=True))
    assert_same(build_batch(members, 4.0), one_by_one(members, 4.0))


def test_failures_are_told_by_member_and_leave_the_others_alone():
    lost = Structure([1, 1], [[0.0, 0, 0], [np.nan, 0, 0]])
    flat = Structure([1], np.zeros((1, 3)), np.zeros((3, 3)), True)
    far = Structure([1, 1], [[0.0, 0, 0], [1e9, 0, 0]], np.eye(3), True)
    members = [structure(5, 0), lost, structure(5, 1, (0, 0, 0)), flat, far, structure(5, 2, (1, 1, 0))]
    table, failures = list_pairs(members, 4.0)
    assert sorted(failures) == [1, 3, 4]
    good = [members[k] for k in (0, 2, 5)]
    expected = one_by_one(good, 4.0)
    kept = table.select(torch.tensor([0, 2, 5]))
    np.testing.assert_array_equal(kept.edge_index(torch.tensor([5, 5, 5])).numpy(), expected.edge_index.numpy())
    assert table.counts[[1, 3, 4]].tolist() == [0, 0, 0]
    for k, error in failures.items():
        with pytest.raises(InputError) as caught:
            build_graph(members[k].numbers, members[k].positions, members[k].cell, members[k].pbc, 4.0)
        assert str(caught.value) == str(error)
    with pytest.raises(InputError, match="position"):
        build_batch(members, 4.0)


def test_tables_taken_apart_and_joined():
    members = [structure(n, n) for n in (3, 1, 6)]
    whole, _ = list_pairs(members, 4.0)
    parts = [list_pairs([member], 4.0)[0] for member in members]
    joined = join_tables(parts)
    turned = whole.select(torch.tensor([2, 0]))
    for found, expected in ((whole, joined), (turned, join_tables([parts[2], parts[0]]))):
        for name in ("sender", "receiver", "shift", "counts", "owner"):
            assert torch.equal(getattr(found, name), getattr(expected, name)), name
    near = whole.shift.abs().sum(1) == 0
    home = whole.within(near)
    assert torch.equal(home.counts, torch.bincount(whole.owner[near], minlength=3))
    assert torch.equal(home.sender, whole.sender[near])


def test_any_order_of_pairs_is_sorted():
    table, _ = list_pairs([structure(4, 0), structure(7, 1)], 5.0)
    order = torch.randperm(len(table.owner), generator=torch.Generator().manual_seed(0))
    mixed = [x[order] for x in (table.owner, table.receiver, table.sender, table.shift.long())]
    again = sorted_table(torch.tensor([4, 7]), *mixed)
    assert all(torch.equal(getattr(again, k), getattr(table, k)) for k in ("sender", "receiver", "shift", "counts"))
