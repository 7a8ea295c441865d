"""What a potential can tell apart: the geometric Weisfeiler-Leman tests, on fresh weights.

A trained model may by chance or by training give two structures nearly the same
energy. Whether its architecture can tell them apart at all is a property of the
function class: energies are analytic in the weights, so if any weights separate
two graphs almost all do, and if none do the difference is rounding. Models with
random weights in float64 therefore answer exactly, without training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eqcli.audit.gwl_pairs import GeometricGraph, Pair, pairs
from eqcli.errors import InputError

if TYPE_CHECKING:
    from eqcli.graph.atom_graph import AtomGraph
    from eqcli.models.potentials.base import Capabilities, Potential

SEEDS = 10

SEPARATED = 1e-10
"""Relative difference of energies above which two graphs are told apart; rounding stays below 1e-13."""


@dataclass
class GWLResult:
    """One pair put to one architecture.

    Attributes
    ----------
    differences
        Relative energy difference for each seed.
    expected
        Whether theory says that the model can tell the pair apart; None when the model declares nothing.
    """

    pair: Pair
    differences: list[float]
    expected: bool | None

    @property
    def separated(self) -> int:
        """Seeds for which the two graphs have different energies."""
        return sum(d > SEPARATED for d in self.differences)

    @property
    def passed(self) -> bool:
        """Whether every seed tells the graphs apart."""
        return self.separated == len(self.differences)

    @property
    def agrees(self) -> bool:
        """Whether all seeds do what theory says (or, where it says nothing, all seeds do the same)."""
        wanted = {0, len(self.differences)} if self.expected is None else {len(self.differences) * int(self.expected)}
        return self.separated in wanted

    def as_dict(self) -> dict[str, Any]:
        return {
            "key": self.pair.key,
            "title": self.pair.title,
            "needs": self.pair.needs,
            "passed": self.passed,
            "separated": self.separated,
            "seeds": len(self.differences),
            "expected": self.expected,
            "agrees": self.agrees,
            "differences": self.differences,
        }


def gwl_tests(
    potential: Potential, *, seeds: int = SEEDS, seed: int = 0, chosen: Sequence[Pair] | None = None
) -> list[GWLResult]:
    """Puts every pair to the architecture of `potential`; its own weights are not used.

    Raises InputError for a potential that cannot be made with another number of layers.
    """
    deep = potential.capabilities()
    results = []
    made: dict[bool, list[Potential]] = {}
    for pair in chosen if chosen is not None else pairs():
        if pair.one_layer not in made:
            made[pair.one_layer] = [_fresh(potential, pair.one_layer, seed + k) for k in range(seeds)]
        models = made[pair.one_layer]
        differences = [_difference(model, pair) for model in models]
        expected = None if deep is None else pair.possible(_capabilities(models[0]))
        results.append(GWLResult(pair, differences, expected))
    return results


def _capabilities(potential: Potential) -> Capabilities:
    found = potential.capabilities()
    assert found is not None
    return found


def _fresh(potential: Potential, one_layer: bool, seed: int) -> Potential:
    """The same architecture in float64 with random weights, for one element, in one layer if so asked."""
    from eqcli.models.potentials.base import Statistics

    config = potential.config
    if one_layer:
        if potential.depth_key is None:
            name = type(potential).__name__
            raise InputError(f"{name} has no number of layers to set to one, which the tests by layer need")
        config = config.model_copy(update={potential.depth_key: potential.least_depth})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = type(potential)(config, potential.elements.tolist()[:1])
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(model.probe_gain)
    # Few neighbours to average over: messages stay strong, and what comes from far above rounding.
    model.initialise(Statistics(avg_num_neighbors=0.3, shift=0.0, scale=1.0))
    return model.double().eval().requires_grad_(False)


def _difference(model: Potential, pair: Pair) -> float:
    energies = [_energy(model, graph) for graph in (pair.first, pair.second)]
    return abs(energies[0] - energies[1]) / max(abs(energies[0]), abs(energies[1]), 1e-12)


def _energy(model: Potential, graph: GeometricGraph) -> float:
    atoms = atom_graph(graph, int(model.elements[0]), model.cutoff)
    sender, receiver = atoms.edge_index
    vectors = atoms.positions[sender] - atoms.positions[receiver]
    return float(model.interaction_energies(atoms, vectors).sum())


def atom_graph(graph: GeometricGraph, number: int, cutoff: float) -> AtomGraph:
    """The graph as atoms of one element, with exactly the edges it names, in both directions."""
    from eqcli.graph.atom_graph import AtomGraph

    directed = np.array([*graph.edges, *((j, i) for i, j in graph.edges)])
    directed = directed[np.lexsort((directed[:, 0], directed[:, 1]))]
    n = len(graph.points)
    return AtomGraph(
        positions=torch.as_tensor(cutoff * graph.points, dtype=torch.float64),
        numbers=torch.full((n,), number, dtype=torch.int64),
        cell=torch.zeros(1, 3, 3, dtype=torch.float64),
        pbc=torch.zeros(1, 3, dtype=torch.bool),
        edge_index=torch.as_tensor(directed.T.copy()),
        edge_shift=torch.zeros(len(directed), 3, dtype=torch.float64),
        batch=torch.zeros(n, dtype=torch.int64),
        charge=torch.zeros(1, dtype=torch.float64),
        spin=torch.full((1,), float("nan"), dtype=torch.float64),
    )
