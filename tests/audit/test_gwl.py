"""The geometric Weisfeiler-Leman tests: the pairs are what they say, and MACE does what theory says."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest

from eqcli.audit.gwl import atom_graph, gwl_tests
from eqcli.audit.gwl_pairs import BODIES, CHAINS, STARS, GeometricGraph, chains, counterexample, pairs, stars
from eqcli.errors import InputError
from eqcli.models.potentials.config import MACEConfig
from eqcli.models.potentials.mace import MACE
from tests.toy import ToyPotential


def invariants(points: np.ndarray) -> tuple[float, ...]:
    """A name for a set of vectors up to rotation, reflection and order: the least of its Gram matrices."""
    gram = np.round(points @ points.T, 9) + 0.0
    return min(tuple(gram[np.ix_(order, order)].ravel()) for order in permutations(range(len(points))))


def subsets(graph: GeometricGraph, size: int) -> Counter[tuple[float, ...]]:
    neighbours = graph.points[1:]
    return Counter(invariants(neighbours[list(chosen)]) for chosen in combinations(range(len(neighbours)), size))


@pytest.mark.parametrize("factors", BODIES)
def test_counterexamples_agree_in_all_smaller_sets_of_neighbours(factors: int) -> None:
    pair = counterexample(factors)
    for size in range(1, factors):
        assert subsets(pair.first, size) == subsets(pair.second, size)
    assert subsets(pair.first, factors) != subsets(pair.second, factors)


@pytest.mark.parametrize("fold", STARS)
def test_a_turned_star_differs_in_no_moment_of_lower_degree(fold: int) -> None:
    pair = stars(fold)
    first, second = (
        graph.points[1 : fold + 1, 0] + 1j * graph.points[1 : fold + 1, 1] for graph in (pair.first, pair.second)
    )
    for m in range(fold):
        assert abs((first**m).sum() - (second**m).sum()) < 1e-12
    assert abs((first**fold).sum() - (second**fold).sum()) > 1e-8


@pytest.mark.parametrize("k", CHAINS)
def test_chains_have_bonds_of_one_length_and_differ_end_to_end_alone(k: int) -> None:
    pair = chains(k)
    for graph in (pair.first, pair.second):
        lengths = [np.linalg.norm(graph.points[i] - graph.points[j]) for i, j in graph.edges]
        assert len(graph.edges) == k + 1
        assert np.allclose(lengths, lengths[0])
    ends = [np.linalg.norm(graph.points[k] - graph.points[k + 1]) for graph in (pair.first, pair.second)]
    assert ends[0] < ends[1]


def test_the_graph_has_the_edges_it_names_sorted_by_receiver() -> None:
    graph = atom_graph(chains(3).first, 6, 5.0)
    sender, receiver = graph.edge_index
    assert graph.edge_index.shape[1] == 2 * 4
    assert bool((receiver[1:] >= receiver[:-1]).all())
    assert {(int(i), int(j)) for i, j in zip(sender, receiver, strict=True)} == {
        pair for i, j in chains(3).first.edges for pair in ((i, j), (j, i))
    }


ARCHITECTURES: list[dict[str, Any]] = [
    {"num_interactions": 1, "max_L": 1, "correlation": 3, "max_ell": 3},
    {"num_interactions": 2, "max_L": 1, "correlation": 3, "max_ell": 3},
    {"num_interactions": 3, "max_L": 1, "correlation": 3, "max_ell": 2},
    {"num_interactions": 4, "max_L": 2, "correlation": 2, "max_ell": 3},
    {"num_interactions": 3, "max_L": 0, "correlation": 3, "max_ell": 1},
    {"num_interactions": 2, "max_L": 1, "correlation": 1, "max_ell": 3},
    {"num_interactions": 2, "max_L": 1, "correlation": 2, "max_ell": 5},
]


@pytest.mark.parametrize(
    "options", ARCHITECTURES, ids=lambda o: "T{num_interactions}-L{max_L}-nu{correlation}-l{max_ell}".format(**o)
)
def test_mace_tells_apart_exactly_what_theory_says(options: dict[str, Any]) -> None:
    model = MACE(MACEConfig(channels=4, radial_MLP=(8, 8), **options), [6, 8])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    results = gwl_tests(model)
    assert [result.pair.key for result in results] == [pair.key for pair in pairs()]
    wrong = [f"{r.pair.key}: {r.separated} of {len(r.differences)}" for r in results if not r.agrees]
    assert not wrong
    assert all(bool((value == before[name]).all()) for name, value in model.state_dict().items())


def test_no_pair_within_reach_is_passed_or_failed_by_everything() -> None:
    """No test here is one that everything passes or everything fails, within what MACE offers."""
    passed = Counter[str]()
    for options in ARCHITECTURES:
        model = MACE(MACEConfig(channels=4, radial_MLP=(8, 8), **options), [6])
        passed.update(r.pair.key for r in gwl_tests(model, seeds=2) if r.passed)
    beyond = {"star-10", "body-5"}
    assert set(passed) == {pair.key for pair in pairs()} - beyond
    assert all(count < len(ARCHITECTURES) for count in passed.values())


def test_a_model_without_layers_is_refused() -> None:
    with pytest.raises(InputError, match="number of layers"):
        gwl_tests(ToyPotential())


def test_a_pair_potential_sees_no_chain() -> None:
    results = gwl_tests(ToyPotential(), seeds=2, chosen=[chains(k) for k in CHAINS])
    assert not any(result.passed for result in results)
    assert all(result.agrees and result.expected is None for result in results)
