"""Graphs of structures, and batches that equal their members."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.models.potentials.derive import edge_vectors, evaluate
from tests.toy import ToyPotential


def molecule(n: int = 9, seed: int = 0, centre: float = 0.0, **labels) -> AtomGraph:
    rng = np.random.default_rng(seed)
    positions = rng.normal(size=(n, 3)) * 1.5 + centre
    return build_graph(rng.choice([1, 6, 8], n), positions, np.zeros((3, 3)), np.zeros(3, bool), 4.0, **labels)


def crystal(seed: int = 0, pbc=(1, 1, 1), **labels) -> AtomGraph:
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * 3.0 + rng.normal(size=(3, 3)) * 0.2
    numbers = np.array([6, 8])
    return build_graph(numbers, rng.random((2, 3)) @ cell, cell, np.array(pbc, dtype=bool), 4.0, **labels)


def empty() -> AtomGraph:
    return build_graph(np.zeros(0, int), np.zeros((0, 3)), np.zeros((3, 3)), np.zeros(3, bool), 4.0)


def typical_seconds(work, repeats: int = 30) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def test_shapes_and_types():
    graph = crystal(energy=-1.5, forces=np.ones((2, 3)), stress=np.eye(3))
    edges = graph.edge_index.shape[1]
    expected = {
        "positions": ((2, 3), torch.float64),
        "numbers": ((2,), torch.int64),
        "cell": ((1, 3, 3), torch.float64),
        "pbc": ((1, 3), torch.bool),
        "edge_index": ((2, edges), torch.int64),
        "edge_shift": ((edges, 3), torch.float64),
        "batch": ((2,), torch.int64),
        "charge": ((1,), torch.float64),
        "spin": ((1,), torch.float64),
        "energy": ((1,), torch.float64),
        "forces": ((2, 3), torch.float64),
        "stress": ((1, 3, 3), torch.float64),
    }
    assert {key: (tuple(value.shape), value.dtype) for key, value in graph.to_dict().items()} == expected
    assert graph.n_structures == 1
    assert graph.num_nodes == 2


def test_absent_labels_are_nan():
    graph = crystal()
    for key in ("energy", "forces", "stress"):
        assert torch.isnan(graph[key]).all()


def test_edges_are_sorted_by_receiver_also_in_a_batch():
    receiver = batch_graphs([crystal(0), empty(), molecule(), crystal(1)]).edge_index[1]
    assert (receiver.diff() >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["molecule", "crystal", "slab", "atom", "empty"]), min_size=1, max_size=5))
def test_a_batch_holds_its_members(kinds):
    made = {
        "molecule": lambda k: molecule(seed=k, energy=float(k)),
        "crystal": lambda k: crystal(seed=k, stress=np.eye(3) * k),
        "slab": lambda k: crystal(seed=k, pbc=(1, 0, 1)),
        "atom": lambda k: molecule(n=1, seed=k),
        "empty": lambda k: empty(),
    }
    members = [made[kind](k) for k, kind in enumerate(kinds)]
    batch = batch_graphs(members)
    assert isinstance(batch, AtomGraph)
    assert batch.n_structures == len(members)
    for k, member in enumerate(members):
        atoms = batch.batch == k
        first = int((batch.batch < k).sum())
        edges = atoms[batch.edge_index[1]] if batch.num_nodes else torch.zeros(0, dtype=torch.bool)
        for key in ("positions", "numbers", "forces"):
            torch.testing.assert_close(batch[key][atoms], member[key], rtol=0, atol=0, equal_nan=True)
        for key in ("cell", "pbc", "energy", "stress"):
            torch.testing.assert_close(batch[key][k : k + 1], member[key], rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(batch.edge_index[:, edges] - first, member.edge_index, rtol=0, atol=0)
        torch.testing.assert_close(batch.edge_shift[edges], member.edge_shift, rtol=0, atol=0)


def test_batches_of_batches():
    a, b, c = molecule(seed=1), crystal(2), molecule(seed=3)
    nested, flat = batch_graphs([batch_graphs([a, b]), c]), batch_graphs([a, b, c])
    for key, value in flat.to_dict().items():
        torch.testing.assert_close(nested[key], value, rtol=0, atol=0, equal_nan=True)


def test_further_tensors_are_carried_along():
    members = [molecule(seed=k) for k in range(3)]
    for k, member in enumerate(members):
        member.weight = torch.tensor([float(k)])
    assert batch_graphs(members).weight.tolist() == [0.0, 1.0, 2.0]


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        batch_graphs([])


def test_a_batch_predicts_what_its_members_predict():
    potential = ToyPotential().double()
    members = [molecule(seed=4), crystal(5), molecule(n=1, seed=6), crystal(7, pbc=(1, 1, 0))]
    together = evaluate(potential, batch_graphs(members), stress=True)
    alone = [evaluate(potential, member, stress=True) for member in members]
    for key in ("energy", "forces", "stress"):
        joined = torch.cat([one[key] for one in alone])
        torch.testing.assert_close(together[key], joined, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_displacements_far_from_the_origin_keep_float64():
    # A float32 coordinate at 2e5 Å resolves 0.016 Å; the displacement must not feel that.
    near, far = molecule(), molecule(centre=2e5)
    assert torch.equal(near.edge_index, far.edge_index)
    here, there = (edge_vectors(graph, graph.positions, graph.cell) for graph in (near, far))
    assert here.dtype == torch.float64
    torch.testing.assert_close(here, there, rtol=0, atol=1e-9)
    energies = [float(evaluate(ToyPotential().float(), graph)["energy"]) for graph in (near, far)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-6)


def test_graphs_are_made_quickly():
    rng = np.random.default_rng(0)
    numbers, positions = rng.choice([1, 6, 8], 9), rng.normal(size=(9, 3)) * 1.5
    cell, pbc = np.zeros((3, 3)), np.zeros(3, bool)
    assert typical_seconds(lambda: build_graph(numbers, positions, cell, pbc, 5.0)) < 0.3e-3


def test_batches_are_made_quickly():
    members = [molecule(seed=k) for k in range(10)]
    assert typical_seconds(lambda: batch_graphs(members)) < 0.5e-3
