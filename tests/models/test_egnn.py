from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.engine.model_file import make_potential
from eqcli.graph.atom_graph import AtomGraph, build_graph
from eqcli.models.potentials.base import Statistics
from eqcli.models.potentials.config import EGNNConfig
from eqcli.models.potentials.derive import edge_vectors, evaluate
from eqcli.models.potentials.egnn import EGNN
from tests.rotations import random_rotation

NUMBERS = np.array([6, 8, 1, 1, 6])


def made(**options: Any) -> EGNN:
    torch.manual_seed(0)
    config = EGNNConfig(**{"cutoff": 4.0, "channels": 8, "num_layers": 3, **options})
    potential = make_potential(config, [1, 6, 8])
    assert isinstance(potential, EGNN)
    potential.initialise(Statistics(avg_num_neighbors=3.0, shift=0.2, scale=1.5))
    return potential.eval()


def molecule(matrix: Tensor | None = None) -> AtomGraph:
    x = np.random.default_rng(5).normal(scale=1.1, size=(5, 3))
    x = x if matrix is None else x @ matrix.numpy().T
    return build_graph(NUMBERS, x, np.zeros((3, 3)), np.zeros(3, bool), 4.0)


def slow_features(model: EGNN, graph: AtomGraph) -> Tensor:
    """Equations 3 to 6 and 8 of the paper atom by atom, with positions that move, and the envelope on edges."""
    species = model.species(graph)
    h, x = list(model.embedding(species)), list(graph.positions)
    pairs = graph.edge_index.T.tolist()
    start = {(j, i): graph.positions[j] - graph.positions[i] for j, i in pairs}
    for layer in model.layers:
        sums = [torch.zeros_like(h[0]) for _ in h]
        steps = [torch.zeros_like(x[0]) for _ in x]
        for j, i in pairs:
            r0 = start[j, i].norm().reshape(1)
            factor = model.envelope(r0) * model.avg_num_neighbors**-0.5
            radial = [] if model.basis is None else [model.basis(r0)[0]]
            r = x[i] - x[j]
            message = layer.edge_second(layer.edge_first(torch.cat([h[i], h[j], (r @ r).reshape(1), *radial])))
            if layer.gate is not None:
                message = message * layer.gate(message)
            message = message * factor
            sums[i] = sums[i] + message
            if layer.coordinate is not None:
                steps[i] = steps[i] + r * layer.coordinate(message) * factor
        h = [a + layer.feature(torch.cat([a, m])) for a, m in zip(h, sums, strict=True)]
        x = [a + b for a, b in zip(x, steps, strict=True)]
    return torch.stack(h)


@pytest.mark.parametrize(
    "options", [{}, {"update_positions": True}, {"update_positions": True, "num_radial_basis": 4, "attention": False}]
)
def test_features_are_those_of_the_paper(options: dict[str, Any]) -> None:
    model = made(**options)
    if model.config.update_positions:
        for layer in model.layers[:-1]:
            torch.nn.init.normal_(layer.coordinate[-1].weight)  # at first, atoms hardly move
    graph = molecule()
    inputs = model.inputs(graph, edge_vectors(graph, graph.positions, graph.cell))
    fast = model.states(inputs).scalars[: graph.num_nodes]
    torch.testing.assert_close(fast, slow_features(model, graph), atol=1e-12, rtol=0)


def test_moving_atoms_carry_angles_that_distances_do_not() -> None:
    """Two environments with the same distances from each atom to its neighbours; chains bent to either side."""
    chain = np.array([[0.0, 0, 0], [1.4, 0, 0], [2.8, 0, 0], [0, 1.4, 0]])
    ends = [np.array([2.8, side * 1.4, 0]) for side in (1.0, -1.0)]
    numbers = np.full(5, 6)
    for moving in (False, True):
        model = made(update_positions=moving, cutoff=1.9, num_layers=6)
        if moving:
            for layer in model.layers[:-1]:
                torch.nn.init.normal_(layer.coordinate[-1].weight)
        energies = []
        for end in ends:
            graph = build_graph(numbers, np.vstack([chain, end]), np.zeros((3, 3)), np.zeros(3, bool), 1.9)
            energies.append(float(evaluate(model, graph, forces=False)["energy"]))
        assert (abs(energies[0] - energies[1]) > 1e-9) is moving


def test_direct_forces_turn_and_are_no_gradient() -> None:
    model = made(forces="direct")
    assert model.direct == ("forces",)
    assert model.outputs == ("energy", "forces")
    matrix = -random_rotation(3)
    before, after = evaluate(model, molecule()), evaluate(model, molecule(matrix))
    torch.testing.assert_close(after["forces"], before["forces"] @ matrix.T, atol=1e-12, rtol=0)
    derived = evaluate(made(), molecule())["forces"]
    assert float((before["forces"] - derived).abs().max()) > 1e-3
    alone = build_graph(NUMBERS[:1], np.zeros((1, 3)), np.zeros((3, 3)), np.zeros(3, bool), 4.0)
    assert bool((evaluate(model, alone)["forces"] == 0).all())


def test_vectors_and_tensors_turn_with_the_molecule() -> None:
    kinds = ["scalar", "vector", "dipole", "tensor", "charges", "atom-scalar", "atom-vector"]
    model = made(energy=False, heads={kind.replace("-", "_"): {"kind": kind} for kind in kinds})
    matrix = -random_rotation(3)
    before, after = evaluate(model, molecule()), evaluate(model, molecule(matrix))
    for name, quantity in model.quantities.items():
        expected = before[name]
        if quantity.kind == "vector":
            expected = expected @ matrix.T
        elif quantity.kind == "tensor":
            expected = matrix @ expected @ matrix.T
        assert float(expected.abs().max()) > 1e-6, name
        torch.testing.assert_close(after[name], expected, atol=1e-12, rtol=0)


def test_without_a_need_there_are_no_vectors() -> None:
    model = made(energy=False, heads={"gap": {"kind": "scalar", "reduce": "mean"}})
    assert model.vectors is None
    assert model.outputs == ("gap",)


def test_the_cosine_ends_in_a_kink_of_the_second_derivative() -> None:
    def curvature(envelope: str, x: float) -> float:
        r = torch.tensor([x], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(made(envelope=envelope).envelope(r).sum(), r, create_graph=True)
        return float(torch.autograd.grad(slope.sum(), r)[0])

    assert abs(curvature("polynomial", 4.0 - 1e-6)) < 1e-4
    assert curvature("cosine", 4.0 - 1e-6) > 0.1
