"""Which directed edges are the two directions of one pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.graph.pairs import Pairs, edge_pairs
from eqcli.models.potentials.derive import edge_vectors


def molecule() -> AtomGraph:
    positions = np.random.default_rng(0).uniform(-2, 2, size=(7, 3))
    return build_graph(np.full(7, 6), positions, np.zeros((3, 3)), np.zeros(3, dtype=bool), 2.5)


def crystal(n: int) -> AtomGraph:
    """`n` atoms in a skewed cell smaller than the cutoff: most pairs are neighbours through several images."""
    cell = np.array([[2.9, 0.2, 0.0], [0.4, 3.1, 0.1], [0.3, -0.5, 2.7]])
    positions = np.random.default_rng(1).uniform(size=(n, 3)) @ cell
    return build_graph(np.full(n, 6), positions, cell, np.ones(3, dtype=bool), 4.0)


def pairs_of(graph: AtomGraph) -> tuple[Pairs | None, torch.Tensor]:
    vectors = edge_vectors(graph, graph.positions, graph.cell)
    return edge_pairs(graph.edge_index, graph.edge_shift, vectors), vectors


@pytest.mark.parametrize(
    "graph", [molecule(), crystal(1), crystal(3), batch_graphs([crystal(2), molecule(), crystal(1)])]
)
def test_each_edge_is_paired_with_its_opposite(graph: AtomGraph) -> None:
    pairs, vectors = pairs_of(graph)
    assert pairs is not None
    assert 2 * len(pairs.edge) == graph.edge_index.shape[1]
    assert torch.equal(pairs.pair[pairs.edge], torch.arange(len(pairs.edge)))
    for p in range(len(pairs.edge)):
        one, other = (pairs.pair == p).nonzero().flatten().tolist()
        assert torch.equal(graph.edge_index[:, one], graph.edge_index[:, other].flip(0))
        assert torch.allclose(vectors[one], -vectors[other], atol=1e-12)


def test_an_edge_without_its_opposite_is_a_pair_of_its_own() -> None:
    graph = crystal(3)
    kept = torch.arange(graph.edge_index.shape[1]) != 5
    graph.edge_index, graph.edge_shift = graph.edge_index[:, kept], graph.edge_shift[kept]
    pairs, _ = pairs_of(graph)
    assert pairs is not None
    assert len(pairs.edge) == (int(kept.sum()) + 1) // 2


def test_images_that_shifts_do_not_tell_apart_are_not_paired() -> None:
    graph = crystal(2)
    vectors = edge_vectors(graph, graph.positions, graph.cell)
    assert edge_pairs(graph.edge_index, torch.zeros_like(graph.edge_shift), vectors) is None


def test_no_edges_are_no_pairs() -> None:
    pairs = edge_pairs(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3), torch.zeros(0, 3))
    assert pairs is not None
    assert len(pairs.edge) == len(pairs.pair) == 0
