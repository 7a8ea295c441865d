"""Heavy atoms as a graph: edges within reach and along bonds, features that no motion changes."""

from __future__ import annotations

import torch

from eqcli.graph.ligand_graph import BOND_KINDS, CUTOFF, EDGE_FEATURES, ligand_graph
from eqcli.graph.residue_graph import RADIAL
from tests.contracts.docking_complexes import zigzag
from tests.rotations import random_rotation


def test_edges_are_near_pairs_and_bonds() -> None:
    codes, positions, bonds = zigzag(14, 3)
    far = torch.tensor([[0, 13, 2]])
    assert (positions[0] - positions[13]).norm() > CUTOFF
    graph = ligand_graph(codes, positions, torch.cat([bonds, far]))
    expected = {
        (i, j)
        for i in range(14)
        for j in range(14)
        if i != j and ((positions[i] - positions[j]).norm() < CUTOFF or {i, j} == {0, 13})
    }
    assert {(int(s), int(r)) for s, r in graph.edges.T} == expected
    assert len(expected) == graph.edges.shape[1]
    assert (graph.edges[1].diff() >= 0).all()
    assert graph.counts.tolist() == [14]


def test_bonds_are_told_by_kind_both_ways() -> None:
    codes, positions, bonds = zigzag(5, 1)
    bonds[:, 2] = torch.tensor([1, 2, 3, 4])
    graph = ligand_graph(codes, positions, bonds)
    told = graph.edge_features[:, RADIAL:]
    assert told.shape[1] == BOND_KINDS
    kinds = {(int(i), int(j)): int(kind) for i, j, kind in bonds} | {(int(j), int(i)): int(k) for i, j, k in bonds}
    for (s, r), row in zip(graph.edges.T.tolist(), told, strict=True):
        assert row.argmax() == kinds.get((s, r), 0)
        assert row.sum() == 1


def test_no_motion_changes_the_features_and_no_mirror_either() -> None:
    """The hand of the conformer is kept by the motion that is applied to it, not told to the network."""
    codes, positions, bonds = zigzag(9, 2)
    here = ligand_graph(codes, positions, bonds)
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    for turn in (random_rotation(1), mirror):
        there = ligand_graph(codes, positions @ turn.T + 50.0, bonds)
        assert torch.equal(here.edges, there.edges)
        assert torch.allclose(here.edge_features, there.edge_features, atol=1e-10)
        assert torch.allclose(here.scalars, there.scalars, atol=1e-8)


def test_order_of_atoms() -> None:
    codes, positions, bonds = zigzag(9, 4)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    place = order.argsort()
    here = ligand_graph(codes, positions, bonds)
    there = ligand_graph(codes[order], positions[order], torch.cat([place[bonds[:, :2]], bonds[:, 2:]], 1))
    rows = {(int(s), int(r)): f for (s, r), f in zip(there.edges.T, there.edge_features, strict=True)}
    for (s, r), features in zip(here.edges.T, here.edge_features, strict=True):
        assert torch.allclose(rows[int(place[s]), int(place[r])], features)
    assert torch.allclose(there.scalars, here.scalars[order])


def test_one_atom() -> None:
    codes, positions, bonds = zigzag(1, 0)
    graph = ligand_graph(codes, positions, bonds)
    assert graph.edges.shape == (2, 0)
    assert graph.edge_features.shape == (0, EDGE_FEATURES)
    assert (graph.scalars == 0).all()
