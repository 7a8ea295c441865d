"""The contract of `models/dynamics/base.py`, for every model of motion and its main variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.data.particle_batches import ParticleLoader
from eqcli.data.particles import ParticleSet
from eqcli.engine.model_families import make_dynamics
from eqcli.engine.model_file import load_model, read_header, save_model
from eqcli.errors import InputError
from eqcli.models.dynamics.base import DynamicsModel, ParticleGraph
from eqcli.models.dynamics.config import DYNAMICS

VARIANTS: dict[str, dict[str, Any]] = {
    "egnn": {"name": "egnn", "channels": 8, "num_layers": 3},
    "egnn-gated": {"name": "egnn", "channels": 8, "num_layers": 2, "attention": True, "tanh": True},
    "egnn-sum": {"name": "egnn", "channels": 8, "num_layers": 2, "mean": False, "residual": False},
    "egnn-still": {"name": "egnn", "channels": 8, "num_layers": 2, "velocity": False},
}
EXACT = 1e-10
"""Relative error allowed to a symmetry in float64."""


def test_every_model_is_here() -> None:
    assert {v["name"] for v in VARIANTS.values()} == set(DYNAMICS)


@pytest.fixture(scope="module", params=list(VARIANTS))
def model(request: pytest.FixtureRequest) -> DynamicsModel:
    options = VARIANTS[request.param]
    torch.manual_seed(0)
    made = make_dynamics(DYNAMICS[options["name"]][2].model_validate(options), node_features=2, edge_features=1)
    with torch.no_grad():  # points of an untrained model would hardly move
        for name, parameter in made.named_parameters():
            if "coordinate" in name:
                parameter.mul_(300.0 if parameter.shape[0] == 1 else 1.0)
    return made.eval()


def systems(count: int = 3, particles: int = 5, dimensions: int = 3, seed: int = 0) -> ParticleSet:
    rng = np.random.default_rng(seed)
    shape = (count, particles, dimensions)
    return ParticleSet(
        rng.normal(size=shape),
        rng.normal(size=shape),
        rng.normal(size=shape),
        rng.choice([-1.0, 1.0], size=shape[:2]),
        rng.normal(size=(count, particles, 2)),
    )


def graph(given: ParticleSet) -> ParticleGraph:
    return ParticleLoader(given, (), torch.float64).batch(torch.arange(len(given)))


def moved(given: ParticleSet, matrix: np.ndarray, shift: np.ndarray) -> ParticleSet:
    return ParticleSet(
        given.positions @ matrix.T + shift,
        given.velocities @ matrix.T,
        given.target,
        given.charges,
        given.features,
    )


def orthogonal(dimensions: int, proper: bool) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(dimensions, dimensions)))
    if (np.linalg.det(q) > 0) != proper:
        q[:, 0] = -q[:, 0]
    return q


def relative(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).abs().max() / expected.abs().max()).detach())


@pytest.mark.parametrize("dimensions", [2, 3, 5])
@pytest.mark.parametrize("proper", [True, False])
def test_motions_of_space(model: DynamicsModel, dimensions: int, proper: bool) -> None:
    given = systems(dimensions=dimensions)
    matrix, shift = orthogonal(dimensions, proper), np.linspace(-30.0, 70.0, dimensions)
    before, after = model(graph(given)), model(graph(moved(given, matrix, shift)))
    assert relative(after, before @ torch.from_numpy(matrix).T + torch.from_numpy(shift)) < EXACT
    assert float((before - graph(given).positions).abs().max().detach()) > 1e-3


def test_permutations(model: DynamicsModel) -> None:
    given, order = systems(count=1), np.array([3, 0, 4, 1, 2])
    arrays = (given.positions, given.velocities, given.target, given.charges, given.features)
    permuted = ParticleSet(*(a[:, order] for a in arrays if a is not None))
    assert relative(model(graph(permuted)), model(graph(given))[order]) < EXACT


def test_a_batch_gives_what_its_members_give(model: DynamicsModel) -> None:
    given = systems()
    alone = [model(graph(given.take(np.array([row])))) for row in range(len(given))]
    assert relative(model(graph(given)), torch.cat(alone)) < EXACT


def test_velocities_are_not_positions(model: DynamicsModel) -> None:
    """A common velocity is no translation: the speeds, which are features, change."""
    given = systems()
    faster = ParticleSet(given.positions, given.velocities + 1.0, given.target, given.charges, given.features)
    assert relative(model(graph(faster)), model(graph(given))) > 1e-3


def test_dimensions_are_embedded(model: DynamicsModel) -> None:
    """Points of a plane, as points of space with a zero, move as in the plane."""
    flat = systems(dimensions=2)
    pad = [(0, 0), (0, 0), (0, 1)]
    arrays = (np.pad(a, pad) for a in (flat.positions, flat.velocities, flat.target))
    found = model(graph(ParticleSet(*arrays, flat.charges, flat.features)))
    assert relative(found[:, :2], model(graph(flat))) < EXACT
    assert float(found[:, 2].detach().abs().max()) == 0.0


def test_a_single_particle_feels_nobody(model: DynamicsModel) -> None:
    """Without neighbours it stays, or moves along its velocity."""
    given = systems(particles=1)
    shift = (model(graph(given)) - graph(given).positions).detach()
    velocities = graph(given).velocities
    if not model.config.velocity:  # type: ignore[attr-defined]
        assert float(shift.abs().max()) == 0.0
        return
    assert float(torch.linalg.cross(shift, velocities).abs().max()) < 1e-12


def test_every_parameter_learns(model: DynamicsModel) -> None:
    model.zero_grad()
    batch = graph(systems())
    ((model(batch) - batch.target) ** 2).mean().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)] == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_model_file(model: DynamicsModel, dtype: torch.dtype, tmp_path: Path) -> None:
    made = make_dynamics(model.config, node_features=2, edge_features=1)
    made.load_state_dict(model.state_dict())
    made.to(dtype)
    save_model(tmp_path / "m.safetensors", made, training={}, provenance={})
    assert read_header(tmp_path / "m.safetensors")["family"] == "dynamics"
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.model.dtype == dtype
    batch = graph(systems())
    assert torch.equal(loaded.model(batch), made(batch))
    with pytest.raises(InputError, match="no interatomic potential"):
        _ = loaded.potential


def test_gradients_match_finite_differences(model: DynamicsModel) -> None:
    batch = graph(systems(count=1))

    def predict(x: Tensor, v: Tensor) -> Tensor:
        found: Tensor = model(ParticleGraph(x, v, batch.features, batch.edge_index, batch.edge_features, batch.batch))
        return found

    assert torch.autograd.gradcheck(predict, (batch.positions.requires_grad_(), batch.velocities.requires_grad_()))
