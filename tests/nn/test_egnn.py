"""The E(n)-equivariant convolution: symmetry in any dimension, its equations, and what its options promise."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from eqcli.nn.egnn import EGNNLayer

EXACT = 1e-10
HIDDEN, ATTRIBUTES = 7, 2
OFF = {"update_positions": False, "velocity": False, "attention": False, "residual": False, "mean": False}
DYNAMICS = {**OFF, "update_positions": True, "velocity": True, "residual": True, "mean": True}
ALL = {**DYNAMICS, "attention": True, "tanh": True}
OPTIONS = [OFF, {**OFF, "update_positions": True}, DYNAMICS, {**DYNAMICS, "mean": False}, ALL]


def make(options: dict[str, Any], seed: int = 0) -> EGNNLayer:
    """A layer in float64 whose weights are large enough for points to move."""
    torch.manual_seed(seed)
    layer = EGNNLayer(HIDDEN, ATTRIBUTES, **options).double()
    if layer.coordinate is not None:
        torch.nn.init.normal_(layer.coordinate[2].weight)
    return layer


def points(n: int = 6, dimensions: int = 3, seed: int = 1) -> dict[str, Tensor]:
    """Points with directed edges among some of them; the last one has none."""
    g = torch.Generator().manual_seed(seed)
    pairs = [(i, j) for i, j in product(range(n - 1), repeat=2) if i != j and (i + 2 * j) % 4]
    receiver, sender = torch.tensor(pairs).T
    return {
        "h": torch.randn(n, HIDDEN, generator=g, dtype=torch.float64),
        "x": torch.randn(n, dimensions, generator=g, dtype=torch.float64),
        "edge_index": torch.stack([sender, receiver]),
        "edge_features": torch.randn(len(pairs), ATTRIBUTES, generator=g, dtype=torch.float64),
        "velocities": torch.randn(n, dimensions, generator=g, dtype=torch.float64),
    }


def orthogonal(dimensions: int, *, proper: bool, seed: int = 2) -> Tensor:
    """A random rotation, or a reflection with one."""
    g = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(dimensions, dimensions, generator=g, dtype=torch.float64))
    if (torch.linalg.det(q) > 0) != proper:
        q[:, 0] = -q[:, 0]
    return q


def close(found: Tensor, expected: Tensor) -> None:
    assert float(((found - expected).abs().max() / expected.abs().max()).detach()) < EXACT


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("proper", [True, False])
@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_equivariance_under_all_motions(options: dict[str, Any], proper: bool, dimensions: int) -> None:
    layer, given = make(options), points(dimensions=dimensions)
    q = orthogonal(dimensions, proper=proper)
    shift = torch.linspace(-2, 3, dimensions, dtype=torch.float64)
    h, x = layer(**given)
    moved = {**given, "x": given["x"] @ q.T + shift, "velocities": given["velocities"] @ q.T}
    h_moved, x_moved = layer(**moved)
    close(h_moved, h)
    close(x_moved, x @ q.T + shift)


@pytest.mark.parametrize("options", [DYNAMICS, ALL])
def test_permutation(options: dict[str, Any]) -> None:
    layer, given = make(options), points()
    order = torch.tensor([4, 2, 5, 0, 1, 3])
    place = torch.argsort(order)
    edges = place[given["edge_index"]]
    by_receiver = torch.argsort(edges[1], stable=True)
    permuted = {
        "h": given["h"][order],
        "x": given["x"][order],
        "edge_index": edges[:, by_receiver],
        "edge_features": given["edge_features"][by_receiver],
        "velocities": given["velocities"][order],
    }
    for found, expected in zip(layer(**permuted), layer(**given), strict=True):
        close(found, expected[order])


@pytest.mark.parametrize("options", [*OPTIONS, {**DYNAMICS, "update_features": False}])
def test_equations_point_by_point(options: dict[str, Any]) -> None:
    """Against the equations of the paper, written with loops and whole concatenations."""
    layer, given = make(options), points()
    h, x = layer(**given)
    sender, receiver = given["edge_index"]
    for i in range(len(h)):
        old = given["h"][i]
        total, shift, count = torch.zeros(HIDDEN).double(), torch.zeros(3).double(), 0
        for e in (receiver == i).nonzero().flatten().tolist():
            r = given["x"][i] - given["x"][sender[e]]
            inputs = [old, given["h"][sender[e]], (r @ r).reshape(1), given["edge_features"][e]]
            message = layer.edge_second(layer.edge_first(torch.cat(inputs)))
            if layer.gate is not None:
                message = message * layer.gate(message)
            if layer.coordinate is not None:
                weight = layer.coordinate(message)
                shift = shift + r * (torch.tanh(weight) if layer.tanh else weight)
            total, count = total + message, count + 1
        moved = given["x"][i] + (shift / max(count, 1) if options["mean"] else shift)
        if layer.velocity is not None:
            moved = moved + layer.velocity(old) * given["velocities"][i]
        close(x[i], moved)
        if layer.feature is None:
            close(h[i], old)
        else:
            update = layer.feature(torch.cat([old, total]))
            close(h[i], old + update if options["residual"] else update)


@pytest.mark.parametrize("attention", [False, True])
def test_an_edge_whose_envelope_is_zero_is_not_there(attention: bool) -> None:
    layer, given = make({**OFF, "update_positions": True, "attention": attention}), points()
    given.pop("velocities")
    kept = torch.arange(given["edge_index"].shape[1]) % 3 != 0
    without = {**given, "edge_index": given["edge_index"][:, kept], "edge_features": given["edge_features"][kept]}
    for found, expected in zip(layer(**given, envelope=kept.double()), layer(**without), strict=True):
        close(found, expected)


def test_vectors_in_place_of_positions() -> None:
    """With positions of zero the shifts are the edge vectors: the features are those of the points."""
    layer, given = make(OFF), points()
    sender, receiver = given["edge_index"]
    vectors = given["x"][sender] - given["x"][receiver]
    found, _ = layer(**{**given, "x": torch.zeros_like(given["x"])}, shifts=vectors)
    close(found, layer(**given)[0])


def test_an_untrained_layer_hardly_moves_points() -> None:
    torch.manual_seed(0)
    layer = EGNNLayer(HIDDEN, ATTRIBUTES, **{**DYNAMICS, "velocity": False}).double()
    given = points()
    moved = layer(**given)[1] - given["x"]
    assert 0 < float(moved.abs().max()) < 1e-2


def test_derivatives_of_second_order() -> None:
    layer, given = make({**ALL, "mean": False}), points(n=4)

    def evaluate(x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = layer(**{**given, "x": x, "h": h})
        return found

    inputs = (given["x"].requires_grad_(), given["h"].requires_grad_())
    assert torch.autograd.gradcheck(evaluate, inputs)
    assert torch.autograd.gradgradcheck(evaluate, inputs)


@pytest.mark.parametrize("options", [{**OFF, "velocity": True}])
def test_options_that_contradict(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="update_positions"):
        make(options)
    with pytest.raises(ValueError, match="envelope"):
        make(DYNAMICS)(**points(), envelope=torch.ones(15).double())
    with pytest.raises(ValueError, match="velocities"):
        make(DYNAMICS)(**{**points(), "velocities": None})
