"""The uncertainty of the last layer: its formula, its calibration, its symmetry, and its way into files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.data.graphs import structure_graph
from eqcli.engine.last_layer import fit_uncertainty, structure_features
from eqcli.engine.model_file import load_model, make_potential, save_model
from eqcli.errors import InputError
from eqcli.graph.atom_graph import AtomGraph, batch_graphs
from eqcli.models.potentials.base import Potential, Statistics
from eqcli.models.potentials.config import MACEConfig
from eqcli.models.potentials.derive import edge_vectors, evaluate
from eqcli.tasks.predict import predict
from eqcli.tasks.train import train
from tests.engine.training_case import isolated_atoms, make_recipe, molecules, write
from tests.rotations import random_rotation

SMALL: dict[str, Any] = {
    "name": "mace", "cutoff": 4.0, "channels": 4, "radial_MLP": (8,), "max_ell": 2, "max_L": 1, "MLP_irreps": "6x0e"
}  # fmt: skip


@pytest.fixture(scope="module")
def graphs() -> list[AtomGraph]:
    return [structure_graph(structure, 4.0) for structure in molecules(60)]


@pytest.fixture
def potential(graphs: list[AtomGraph]) -> Potential:
    torch.manual_seed(0)
    made = make_potential(MACEConfig(**SMALL), [1, 6, 8])
    made.initialise(Statistics(avg_num_neighbors=3.0, shift=-0.2, scale=0.7))
    fit_uncertainty(made, graphs[:40], graphs[40:])
    return made.eval()


def test_the_energy_is_linear_in_the_last_layer(potential: Potential, graphs: list[AtomGraph]) -> None:
    """Scaling the last weights and the features with it: the energy follows a fixed linear form of the features."""
    batch = batch_graphs(graphs[:30])
    with torch.no_grad():
        features = potential.last_layer(batch, edge_vectors(batch, batch.positions, batch.cell))
        energy = potential.compute(batch, edge_vectors(batch, batch.positions, batch.cell))["atomic_energies"]
    bonded = torch.ones(len(features), 1, dtype=torch.float64)
    constant = potential.reference_energies[potential.species(batch)]
    # The mean binding energy is nearly the same for all bonded atoms; it is known and taken off.
    vectors = edge_vectors(batch, batch.positions, batch.cell)
    x = (vectors.norm(dim=1) / 4.0).clamp(max=1.0)
    envelope = 1 - 21 * x**5 + 35 * x**6 - 15 * x**7
    shift = -0.2 * torch.tanh(torch.zeros(len(features)).double().index_add(0, batch.edge_index[1], envelope))
    rest = energy - constant - shift
    fitted = torch.linalg.lstsq(torch.cat([features, bonded], 1), rest.unsqueeze(1)).solution
    assert torch.allclose(torch.cat([features, bonded], 1) @ fitted, rest.unsqueeze(1), atol=1e-9)
    assert rest.abs().max() > 1e-3


def test_it_is_the_formula(potential: Potential, graphs: list[AtomGraph]) -> None:
    facts = fit_uncertainty(potential, graphs[:40], graphs[40:])
    train = torch.cat([structure_features(potential, graph)[0] for graph in graphs[:40]])
    size = train.shape[1]
    inverse = torch.linalg.inv(train.T @ train + facts["regulariser"] * torch.eye(size, dtype=torch.float64))
    for graph in graphs[40:45]:
        mean = structure_features(potential, graph)[0][0]
        expected = graph.num_nodes * facts["alpha"] * float((mean @ inverse @ mean).sqrt())
        assert float(evaluate(potential, graph, forces=False)["energy_std"]) == pytest.approx(expected, rel=1e-6)


def test_errors_have_the_size_it_says_on_held_out_structures(potential: Potential, graphs: list[AtomGraph]) -> None:
    batch = batch_graphs(graphs[40:])
    found = evaluate(potential, batch, forces=False)
    ratio = (found["energy"] - batch.energy) / found["energy_std"]
    assert float(ratio.square().mean()) == pytest.approx(1.0, rel=1e-9)


def test_it_does_not_turn_and_adds_up_for_copies(potential: Potential) -> None:
    structure = molecules(1, seed=5)[0]
    turned = structure.positions @ random_rotation(3).numpy().T + 3.0
    both = np.concatenate([structure.positions, structure.positions + 50.0])
    found = []
    for positions in (structure.positions, turned, both):
        numbers = np.tile(structure.numbers, len(positions) // len(structure))
        graph = structure_graph(type(structure)(numbers, positions), 4.0)
        found.append(float(evaluate(potential, graph)["energy_std"]))
    assert found[1] == pytest.approx(found[0], rel=1e-10)
    assert found[2] == pytest.approx(2 * found[0], rel=1e-10)
    assert found[0] > 0


def test_too_few_held_out_energies(potential: Potential, graphs: list[AtomGraph]) -> None:
    with pytest.raises(InputError, match="there are 3"):
        fit_uncertainty(potential, graphs[:40], graphs[40:43])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_file_keeps_it(potential: Potential, graphs: list[AtomGraph], dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    potential.to(dtype)
    assert potential.uncertainty is not None
    assert potential.uncertainty.whitening.dtype == torch.float64
    save_model(path, potential, training={}, provenance={})
    loaded = load_model(path).potential
    for graph in graphs[:3]:
        assert torch.equal(evaluate(loaded, graph)["energy_std"], evaluate(potential, graph)["energy_std"])


def test_a_recipe_asks_for_it(tmp_path: Path) -> None:
    data = write(tmp_path / "frames.h5", molecules(40) + isolated_atoms())
    recipe = make_recipe(data, model=MACEConfig(**SMALL), uncertainty="last-layer", data={"split": {"valid": 12}})
    result = train(recipe, tmp_path / "run", device="cpu")
    model = load_model(result.model)
    assert model.header["training"]["uncertainty"]["alpha"] > 0
    assert model.header["training"]["uncertainty"]["held_out_structures"] == 12
    predict(result.model, [data], tmp_path / "out.extxyz")
    assert "energy_std=" in (tmp_path / "out.extxyz").read_text()
