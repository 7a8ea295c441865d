"""What is special to TensorNet: the formulae of the paper edge by edge, its symmetry groups, charge and options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eqcli.audit.gwl import gwl_tests
from eqcli.engine.model_file import load_model, make_potential, save_model
from eqcli.geometry.axis_orders import spherical_to_cartesian
from eqcli.graph.atom_graph import AtomGraph, build_graph
from eqcli.models.potentials.config import TensorNetConfig
from eqcli.models.potentials.derive import edge_vectors, evaluate
from eqcli.models.potentials.tensornet import TensorNet
from tests.rotations import random_rotation

SMALL: dict[str, Any] = {"channels": 5, "num_radial_basis": 6, "cutoff": 3.5}
HEADS = {"dipole": {"kind": "vector"}, "polarizability": {"kind": "tensor"}}
NUMBERS = np.array([6, 6, 8, 1, 1, 1, 1])
EXACT = 1e-10


def make(**options: Any) -> TensorNet:
    """A model whose weights are large enough for products of tensors to matter."""
    torch.manual_seed(3)
    potential = make_potential(TensorNetConfig.model_validate({**SMALL, **options}), [1, 6, 8]).double()
    assert isinstance(potential, TensorNet)
    with torch.no_grad():
        for name, parameter in potential.named_parameters():
            if "tensors" in name:
                parameter.mul_(6.0 if "embedding" in name else 2.0)
    return potential.eval()


def positions() -> np.ndarray:
    return np.random.default_rng(2).uniform(-1.6, 1.6, size=(len(NUMBERS), 3))


def molecule(x: np.ndarray | None = None, charge: float | None = None) -> AtomGraph:
    return build_graph(
        NUMBERS, positions() if x is None else x, np.zeros((3, 3)), np.zeros(3, dtype=bool), 3.5, charge=charge
    )


def crystal() -> AtomGraph:
    cell = np.array([[3.1, 0.2, 0.0], [0.4, 3.3, 0.1], [0.3, -0.5, 2.9]])
    fractions = np.array([[0.0, 0, 0], [0.5, 0.45, 0.1], [0.2, 0.8, 0.6]])
    return build_graph(np.array([8, 6, 1]), fractions @ cell, cell, np.ones(3, dtype=bool), 3.5)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max())


def matrices(x: Tensor) -> Tensor:
    """`[.., 9, C] -> [.., C, 3, 3]`."""
    return spherical_to_cartesian(x.transpose(-1, -2))


def split(m: Tensor) -> list[Tensor]:
    """Trace, antisymmetric and traceless symmetric part."""
    trace = m.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None] * torch.eye(3, dtype=m.dtype)
    antisymmetric = 0.5 * (m - m.transpose(-1, -2))
    return [trace, antisymmetric, m - trace - antisymmetric]


def mixed(linear: Any, m: Tensor) -> Tensor:
    return sum(torch.einsum("ncij,cd->ndij", p, w) for p, w in zip(split(m), linear.weight, strict=True))  # type: ignore[return-value]


def norm(m: Tensor) -> Tensor:
    return m.square().sum((-1, -2))


@torch.no_grad()
def slow_scalars(model: TensorNet, graph: AtomGraph) -> Tensor:
    """The features that are read out, by the formulae of the paper as torchmd-net has them, one edge at a time."""
    c = model.config.channels
    n = graph.num_nodes
    sender, receiver = graph.edge_index.tolist()
    edges = list(zip(sender, receiver, edge_vectors(graph, graph.positions, graph.cell), strict=True))
    edges += [(i, i, torch.zeros(3, dtype=torch.float64)) for i in range(n)]
    elements = model.embedding.elements[model.species(graph)]
    q = 1.0 + 0.1 * float(graph.charge[0]) if model.config.charge else 1.0
    x = torch.zeros(n, c, 3, 3, dtype=torch.float64)
    radial, envelopes = [], []
    for j, i, vector in edges:
        r = vector.norm()
        envelope = model.envelope(r)
        rbf = model.basis(r) * (envelope if model.config.radial_type == "expnormal" else 1.0)
        radial.append(rbf)
        envelopes.append(envelope)
        pair = envelope * model.embedding.pair(torch.cat([elements[i], elements[j]]))
        f = [pair * (rbf @ w[:-1] + w[-1]) for w in model.embedding.radial]
        a, b, d = (vector / r if r > 0 else vector).tolist()
        cross = torch.tensor([[0, -d, b], [d, 0, -a], [-b, a, 0]], dtype=torch.float64)
        u = torch.tensor([a, b, d], dtype=torch.float64)
        square = split(torch.outer(u, u))[2]
        one = torch.eye(3, dtype=torch.float64)
        x[i] = x[i] + sum(k[:, None, None] * t for k, t in zip(f, (one, cross, square), strict=True))
    factors = model.embedding.scalars(model.embedding.norm(norm(x))).view(n, 3, c)
    x = sum(factors[:, k, :, None, None] * p for k, p in enumerate(split(mixed(model.embedding.tensors, x))))  # type: ignore[assignment]
    for layer in model.layers:
        x = x / (norm(x) + 1)[..., None, None]
        y = mixed(layer.tensors_in, x)
        message = torch.zeros_like(y)
        for (j, i, _), rbf, envelope in zip(edges, radial, envelopes, strict=True):
            f = (layer.radial(rbf) * envelope).view(3, c)
            message[i] = message[i] + sum(f[k, :, None, None] * p for k, p in enumerate(split(y[j])))
        product = q * (y @ message + message @ y) if model.config.group == "O(3)" else 2 * y @ message
        change = mixed(layer.tensors_out, product / (norm(product) + 1)[..., None, None])
        x = x + change + q * change @ change
    parts = torch.cat([norm(p) for p in split(x)], dim=1)
    return nn.functional.silu(model.linear(model.norm(parts)))


VARIANTS: list[dict[str, Any]] = [
    {},
    {"group": "SO(3)", "charge": True},
    {"num_layers": 3, "charge": True, "radial_type": "gaussian"},
    {"num_layers": 0, "envelope": "cosine"},
    {"num_layers": 1, "radial_type": "bessel", "trainable_basis": True},
]


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("structure", [lambda: molecule(charge=-1.0), crystal])
def test_features_are_those_of_the_paper(options: dict[str, Any], structure: Callable[[], AtomGraph]) -> None:
    model, graph = make(**options), structure()
    found = model.states(model.inputs(graph, edge_vectors(graph, graph.positions, graph.cell))).first(graph.num_nodes)
    assert relative(found.scalars, slow_scalars(model, graph)) < 1e-11


@pytest.mark.parametrize("charge", [False, True])
def test_messages_need_no_pairs(monkeypatch: pytest.MonkeyPatch, charge: bool) -> None:
    """Edges without opposites, and a GPU, take another way to the same messages."""
    model = make(charge=charge)
    paired = evaluate(model, crystal(), stress=True)
    monkeypatch.setattr("eqcli.models.potentials.tensornet.edge_pairs", lambda *_: None)
    single = evaluate(model, crystal(), stress=True)
    assert all(relative(single[name], paired[name]) < EXACT for name in ("energy", "forces", "stress"))


def test_mirror_images_differ_for_rotations_alone() -> None:
    x = positions()
    for group, reflections in (("O(3)", True), ("SO(3)", False)):
        model = make(group=group)
        one, mirrored = (float(evaluate(model, molecule(p))["energy"]) for p in (x, -x))
        assert model.reflections is reflections
        assert (abs(mirrored - one) < EXACT * abs(one)) is reflections
        assert reflections or abs(mirrored - one) > 1e-6 * abs(one)


def test_the_charge_reaches_energies_and_isolated_ions() -> None:
    model = make(charge=True)
    neutral, ion = (float(evaluate(model, molecule(charge=q))["energy"]) for q in (0.0, 1.0))
    assert abs(ion - neutral) > 1e-6 * abs(neutral)
    assert float(evaluate(model, molecule())["energy"]) == neutral
    assert make(charge=False).accepts_charge is False
    assert model.accepts_charge is True


@pytest.mark.parametrize("reflect", [False, True])
def test_heads_turn_with_the_molecule(reflect: bool) -> None:
    """The antisymmetric parts are true vectors: they change sign under inversion as a dipole does."""
    model = make(heads=HEADS)
    r = random_rotation(5) * (-1 if reflect else 1)
    before, after = (evaluate(model, molecule(x)) for x in (positions(), positions() @ r.numpy().T))
    assert relative(after["dipole"], before["dipole"] @ r.T) < EXACT
    assert relative(after["polarizability"], r @ before["polarizability"] @ r.T) < EXACT
    assert before["dipole"].abs().max() > 1e-6


def test_the_cosine_envelope_is_smooth_once() -> None:
    """As published: forces go to zero at the cutoff, linearly."""
    model = make(envelope="cosine")

    def force(r: float) -> float:
        graph = build_graph(
            np.array([6, 8]), np.array([[0, 0, 0], [0, 0, r]]), np.zeros((3, 3)), np.zeros(3, bool), 3.5
        )
        return float(evaluate(model, graph)["forces"][1, 2])

    near, nearer = abs(force(3.5 - 2e-4)), abs(force(3.5 - 1e-4))
    assert near < 1e-3
    assert near / nearer == pytest.approx(2.0, rel=0.05)


def test_a_basis_that_was_set_is_saved(tmp_path: Path) -> None:
    """Imported models begin with centres of their own."""
    model = make()
    with torch.no_grad():
        model.basis.centres.mul_(0.9)
    save_model(tmp_path / "m.safetensors", model, training={}, provenance={})
    loaded = load_model(tmp_path / "m.safetensors").potential
    assert torch.equal(evaluate(loaded, molecule())["energy"], evaluate(model, molecule())["energy"])
    assert not any(name.startswith("basis") for name, _ in model.named_parameters())
    assert {name for name, _ in make(trainable_basis=True).basis.named_parameters()} == {"centres", "widths"}


@pytest.mark.parametrize("layers", [0, 2])
def test_it_tells_apart_what_theory_says(layers: int) -> None:
    """One layer deeper than it counts, since the embedding sees neighbours."""
    results = gwl_tests(make(num_layers=layers), seeds=3)
    assert [r.pair.key for r in results if not r.agrees] == []
    assert {f"chain-{k}" for k in range(2, 2 * layers + 2)} == {
        r.pair.key for r in results if r.passed and r.pair.key.startswith("chain")
    }


def test_weights_are_those_of_the_paper() -> None:
    """Counted layer by layer: rMD17's model of the paper, 2 layers of 128 channels with 32 radial functions."""
    c, k = 128, 32
    model = make(channels=c, num_radial_basis=k, num_layers=2)
    embedding = 3 * (k + 1) * c + (2 * c + 1) * c + 3 * c * c + (c + 1) * 2 * c + (2 * c + 1) * 3 * c + 2 * c
    layer = (k + 1) * c + (c + 1) * 2 * c + (2 * c + 1) * 3 * c + 6 * c * c
    read = 6 * c + (3 * c + 1) * c + (c + 1) * c // 2 + c // 2
    elements = 3 * c
    assert sum(p.numel() for p in model.parameters()) == embedding + 2 * layer + read + elements
