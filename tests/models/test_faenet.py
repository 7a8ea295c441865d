from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.engine.model_file import make_potential
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.models.potentials.base import Statistics
from eqcli.models.potentials.config import FAENetConfig
from eqcli.models.potentials.derive import edge_vectors, evaluate
from eqcli.models.potentials.faenet import FAENet
from eqcli.nn.graph_norm import GraphNorm
from tests.rotations import random_rotation

NUMBERS = np.array([6, 8, 1, 1, 6])
UNFRAMED = {"mode": "none"}


def made(**options: Any) -> FAENet:
    torch.manual_seed(0)
    small = {"cutoff": 4.0, "hidden_channels": 8, "num_filters": 6, "num_layers": 2, "num_radial_basis": 5}
    potential = make_potential(FAENetConfig(**{**small, **options}), [1, 6, 8])
    assert isinstance(potential, FAENet)
    potential.initialise(Statistics(avg_num_neighbors=3.0, shift=0.2, scale=1.5))
    return potential.eval()


def molecule(matrix: Tensor | None = None, seed: int = 5) -> AtomGraph:
    x = np.random.default_rng(seed).normal(scale=1.1, size=(5, 3))
    x = x if matrix is None else x @ matrix.numpy().T
    return build_graph(NUMBERS, x, np.zeros((3, 3)), np.zeros(3, bool), 4.0)


def alone() -> AtomGraph:
    return build_graph(NUMBERS[:1], np.zeros((1, 3)), np.zeros((3, 3)), np.zeros(3, bool), 4.0)


def slow_features(model: FAENet, graph: AtomGraph) -> Tensor:
    """The equations of the class edge by edge."""
    silu = torch.nn.functional.silu
    h = list(silu(model.embed(model.embedding(model.species(graph)))))
    every = [h]
    for layer in model.layers:
        sums = [torch.zeros(6, dtype=torch.float64) for _ in h]
        for j, i in graph.edge_index.T.tolist():
            r = graph.positions[j] - graph.positions[i]
            d = r.norm().reshape(1)
            e = silu(torch.cat([model.edge_vector(r), model.edge_distance(model.basis(d)[0])]))
            f = silu(layer.message(torch.cat([e, h[i], h[j]])))
            sums[i] = sums[i] + model.envelope(d) * f * silu(layer.down(h[j])) * model.avg_num_neighbors**-0.5
        h = [a + silu(layer.up(silu(s))) for a, s in zip(h, sums, strict=True)]
        every.append(h)
    if model.skip is None:
        return torch.stack(h)
    return torch.stack([silu(model.skip(torch.cat(of))) for of in zip(*every, strict=True)])


@pytest.mark.parametrize("skip", ["concat", "none"])
def test_features_are_those_of_the_paper(skip: str) -> None:
    model, graph = made(skip=skip, frames=UNFRAMED), molecule()
    inputs = model.inputs(graph, edge_vectors(graph, graph.positions, graph.cell))
    fast = model.states(inputs).scalars[: graph.num_nodes]
    torch.testing.assert_close(fast, slow_features(model, graph), atol=1e-12, rtol=0)


def test_frames_alone_make_it_symmetric() -> None:
    matrix = random_rotation(3)
    errors = []
    for frames in (UNFRAMED, {}):
        model = made(frames=frames)
        energies = [float(evaluate(model, molecule(m), forces=False)["energy"]) for m in (None, matrix)]
        errors.append(abs(energies[1] - energies[0]))
        assert model.exact is (errors[-1] < 1e-12)
    assert errors[0] > 1e-6


@pytest.mark.parametrize("frames", [{}, {"mode": "stochastic"}, {"from": "positions"}])
def test_all_that_it_gives_turns_with_the_molecule(frames: dict[str, Any]) -> None:
    kinds = ["scalar", "vector", "dipole", "tensor", "charges", "atom-scalar", "atom-vector"]
    heads = {kind.replace("-", "_"): {"kind": kind} for kind in kinds}
    model = made(forces="direct", heads=heads, frames=frames)
    matrix = -random_rotation(3)
    before, after = evaluate(model, molecule()), evaluate(model, molecule(matrix))
    assert model.outputs == ("energy", "forces", *heads)
    laws = {name: quantity.kind for name, quantity in model.quantities.items()} | {"forces": "vector"}
    for name, kind in laws.items():
        expected = before[name]
        if kind == "vector":
            expected = expected @ matrix.T
        elif kind == "tensor":
            expected = matrix @ expected @ matrix.T
        assert float(expected.abs().max()) > 1e-6, name
        torch.testing.assert_close(after[name], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("frames", [UNFRAMED, {}])
def test_direct_forces_vanish_without_neighbours(frames: dict[str, Any]) -> None:
    assert bool((evaluate(made(forces="direct", frames=frames), alone())["forces"] == 0).all())


def test_the_weighted_readout_is_linear_in_the_last_layer() -> None:
    model, graph = made(pooling="weighted"), molecule()
    vectors = edge_vectors(graph, graph.positions, graph.cell)
    last = model.last_layer(graph, vectors)
    assert model.readout is not None
    learned = model.scale * (last @ model.readout.weight) * len(model.readout.weight) ** -0.5
    learned = learned - learned.new_tensor(0.0)
    energies = model.interaction_energies(graph, vectors)
    rest = energies - learned
    # What is left is the mean binding energy, which is the same for any weights.
    model.readout.weight.data.mul_(3.0)
    torch.testing.assert_close(model.interaction_energies(graph, vectors) - 3.0 * learned, rest, atol=1e-12, rtol=0)


def test_graph_norm_is_the_formula_for_each_structure() -> None:
    torch.manual_seed(0)
    norm = GraphNorm(4).double()
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(6, 4, dtype=torch.float64)
    batch = torch.tensor([0, 0, 0, 2, 2, 3])
    found = norm(x, batch, 4)
    for member in (0, 2, 3):
        part = x[batch == member]
        centred = part - norm.share * part.mean(0)
        expected = norm.gain * centred / (centred.square().mean(0) + norm.epsilon).sqrt() + norm.bias
        torch.testing.assert_close(found[batch == member], expected, atol=1e-13, rtol=0)


def test_graph_norm_keeps_structures_apart_and_isolated_atoms_at_zero() -> None:
    model = made(graph_norm=True)
    for layer in model.layers:
        for parameter in layer.norm.parameters():
            torch.nn.init.normal_(parameter)
    members = [molecule(), alone(), molecule(seed=8)]
    batch = evaluate(model, batch_graphs(members))
    each = [evaluate(model, member) for member in members]
    torch.testing.assert_close(batch["forces"], torch.cat([e["forces"] for e in each]), atol=1e-12, rtol=0)
    assert float(each[1]["energy"]) == 0.0


def test_graph_norm_makes_far_atoms_felt() -> None:
    """Why it is off by default."""
    x = np.random.default_rng(5).normal(scale=1.1, size=(5, 3))
    positions = np.vstack([x, [[50.0, 0, 0]]])
    both = build_graph(np.append(NUMBERS, 8), positions, np.zeros((3, 3)), np.zeros(3, bool), 4.0)
    changes = []
    for norm in (False, True):
        model = made(graph_norm=norm)
        together = float(evaluate(model, both, forces=False)["energy"])
        changes.append(abs(together - float(evaluate(model, molecule(), forces=False)["energy"])))
    assert changes[0] < 1e-12
    assert changes[1] > 1e-6
