"""Batches of complexes: members, devices and precisions."""

from __future__ import annotations

from dataclasses import replace

import torch

from eqcli.graph.complex_batch import joined_sides
from eqcli.graph.residue_graph import residue_graph
from tests.contracts.docking_complexes import chain, complex_of, judged_of, truth_of


def test_joined_sides_are_their_members() -> None:
    sides = [residue_graph(*chain(n, n)) for n in (12, 1, 7)]
    joined = joined_sides(sides)
    assert len(joined) == 3
    assert joined.counts.tolist() == [12, 1, 7]
    assert joined.starts.tolist() == [0, 12, 13]
    assert joined.batch.tolist() == [0] * 12 + [1] + [2] * 7
    assert (joined.batch[joined.edges[0]] == joined.batch[joined.edges[1]]).all()
    assert (joined.edges[1].diff() >= 0).all()
    start = 0
    for k, side in enumerate(sides):
        own = joined.batch == k
        mine = own[joined.edges[0]]
        assert torch.equal(joined.positions[own], side.positions)
        assert torch.equal(joined.codes[own], side.codes)
        assert torch.equal(joined.edges[:, mine] - start, side.edges)
        assert torch.equal(joined.edge_features[mine], side.edge_features)
        start += len(side.positions)


def test_joined_sides_can_be_joined_again() -> None:
    sides = [residue_graph(*chain(n, n)) for n in (5, 3, 8)]
    once, twice = joined_sides(sides), joined_sides([joined_sides(sides[:2]), sides[2]])
    for name, value in vars(once).items():
        assert torch.equal(value, getattr(twice, name)), name


def test_precision_changes_numbers_that_are_not_whole() -> None:
    batch = complex_of(10, 5, 0)
    batch = replace(batch, truth=truth_of(batch), judged=judged_of(2, 5, 0), rows=torch.tensor([7]))
    small = batch.to(dtype=torch.float32)
    assert small.truth is not None
    assert small.judged is not None
    assert small.judged.near is not None
    assert small.rows is not None
    for tensor in (small.receptor.positions, small.ligand.edge_features, small.rigid.lengths, small.truth.contacts):
        assert tensor.dtype == torch.float32
    assert small.judged.lengths.dtype == torch.float32
    assert small.judged.near.dtype == torch.bool
    for whole in (small.receptor.codes, small.ligand.counts, small.rigid.pairs, small.truth.contact_atoms, small.rows):
        assert whole.dtype == torch.int64
    assert len(small) == 1
    assert batch.receptor.positions.dtype == torch.float64


def test_a_side_elsewhere_is_the_same_side() -> None:
    side = residue_graph(*chain(6, 1))
    there = side.at(side.positions + 1.0)
    assert torch.equal(there.positions, side.positions + 1.0)
    assert torch.equal(there.edges, side.edges)
