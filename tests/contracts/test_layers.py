"""What every layer that models share must do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from eqcli.geometry.irreps import Irreps, blocks, natural
from eqcli.geometry.products.family import PRODUCTS
from eqcli.nn.attention import DotProductLogits, SmoothAttention
from eqcli.nn.gate import Gate
from eqcli.nn.layer_norm import EquivariantLayerNorm
from eqcli.nn.linear import EquivariantLinear
from eqcli.nn.norm_activation import NormActivation
from eqcli.nn.weighted_product import WeightedProduct
from tests.rotations import action, random_rotation

EXACT = 1e-12
"""Relative error of an exact layer in float64."""

ROWS = 6


class Attention(nn.Module):
    """Attention among six edges of four atoms, one of them alone: `[6, dim] -> [4, dim]`."""

    def __init__(self, irreps: Irreps) -> None:
        super().__init__()
        self.logits, self.attention = DotProductLogits(irreps, 2), SmoothAttention(irreps, 2)
        self.irreps_in = self.irreps_out = irreps

    def forward(self, x: Tensor) -> Tensor:
        receiver = torch.tensor([0, 0, 0, 1, 3, 3], device=x.device)
        envelope = torch.tensor([0.9, 0.5, 0.1, 0.3, 1.0, 0.0], device=x.device, dtype=x.dtype)
        return self.attention(x, self.logits(x, x.flip(0)), envelope, receiver, 4)


class Square(nn.Module):
    """A weighted product of a tensor with itself."""

    def __init__(self, name: str, lmax: int, channels: int) -> None:
        super().__init__()
        self.product = WeightedProduct(PRODUCTS[name].build(lmax, channels))
        self.irreps_in, self.irreps_out = self.product.irreps_in1, self.product.irreps_out

    def forward(self, x: Tensor) -> Tensor:
        return self.product(x, x)


def both_parities(lmax: int, channels: int) -> Irreps:
    """Uneven multiplicities, both parities, and scalars in two places."""
    ends = [(channels, (lmax, -1)), (channels + 2, (lmax, 1))]
    return Irreps([(channels + 2, (0, 1)), (channels, (0, -1)), (channels, (1, -1)), *ends, (channels, (0, 1))])


def odd_gate(lmax: int, channels: int) -> Gate:
    scalars = Irreps([(channels, (0, -1)), (channels, (0, -1)), (channels, (0, 1))])
    gates = Irreps([(channels, (0, -1)), (channels, (0, -1))])
    gated = Irreps([(channels, (lmax, 1)), (channels, (1, -1))])
    return Gate(scalars, ["tanh", "abs", "silu"], gates, ["tanh", "gaussian"], gated)


@dataclass(frozen=True)
class Case:
    """`build(lmax, channels)` makes a module with irreps_in and irreps_out."""

    build: Callable[[int, int], Any]
    normalised: bool = True
    by_row: bool = True


LAYERS = {
    "linear, uniform": Case(lambda lmax, c: EquivariantLinear(natural(lmax, c), natural(lmax, 2 * c), bias=True)),
    "linear, general": Case(lambda lmax, c: EquivariantLinear(both_parities(lmax, c), both_parities(lmax, 2 * c))),
    "gate": Case(lambda lmax, c: Gate.of(both_parities(lmax, c))),
    "gate, odd": Case(odd_gate),
    "norm activation": Case(lambda lmax, c: NormActivation(both_parities(lmax, c), "silu", bias=True)),
    "norm by degree": Case(lambda lmax, c: EquivariantLayerNorm(both_parities(lmax, c), "degree")),
    "norm, separable": Case(lambda lmax, c: EquivariantLayerNorm(natural(lmax, c), "separable")),
    "norm, joint": Case(lambda lmax, c: EquivariantLayerNorm(both_parities(lmax, c), "joint", centre=False)),
    "attention": Case(lambda lmax, c: Attention(natural(lmax, c)), normalised=False, by_row=False),
    "attention, general": Case(lambda lmax, c: Attention(both_parities(lmax, c)), normalised=False, by_row=False),
    "product of functions": Case(lambda lmax, c: Square("gaunt-grid", lmax, c), normalised=False),
    "product by channel": Case(lambda lmax, c: Square("uuu", lmax, c), normalised=False),
}

NAMES = list(LAYERS)


def make(name: str, lmax: int = 2, channels: int = 2, seed: int = 0) -> Any:
    """A layer in float64 with random parameters, shifts included."""
    torch.manual_seed(seed)
    layer = LAYERS[name].build(lmax, channels).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


def features(layer: Any, rows: int = ROWS, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, layer.irreps_in.dim, generator=generator, dtype=torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("lmax", [1, 3, 8])
@pytest.mark.parametrize("name", NAMES)
def test_is_equivariant(name: str, lmax: int) -> None:
    layer = make(name, lmax)
    x = features(layer)
    plain = layer(x)
    assert plain.shape[-1] == layer.irreps_out.dim
    turn = random_rotation(3)
    for matrix in (turn, -turn, -torch.eye(3, dtype=torch.float64)):
        turned = layer(x @ action(layer.irreps_in, matrix).T)
        expected = plain @ action(layer.irreps_out, matrix).T
        assert float((turned - expected).abs().max() / expected.abs().max()) < EXACT


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in NAMES if LAYERS[name].normalised])
def test_keeps_the_variance_of_normal_input(name: str) -> None:
    torch.manual_seed(0)
    layer = LAYERS[name].build(3, 64).double()
    out = layer(features(layer, 400))
    for part in blocks(out, layer.irreps_out):
        assert float(part.square().mean()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_has_gradients_to_second_order(name: str) -> None:
    layer = make(name)
    names = [key for key, _ in layer.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        found: Tensor = functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))
        return found

    inputs = [t.detach().clone().requires_grad_() for t in (features(layer), *layer.parameters())]
    assert torch.autograd.gradcheck(call, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_finite_at_zero_features(name: str) -> None:
    layer = make(name)
    x = torch.zeros_like(features(layer)).requires_grad_()
    value = layer(x).sum()
    for _ in range(3):
        (gradient,) = torch.autograd.grad(value, x, create_graph=True, materialize_grads=True)
        assert bool(gradient.isfinite().all())
        value = (gradient * features(layer)).sum()


@pytest.mark.parametrize("name", [name for name in NAMES if LAYERS[name].by_row])
def test_a_batch_is_its_members(name: str) -> None:
    layer = make(name)
    x = features(layer)
    together = layer(x)
    for row, expected in zip(x, together, strict=True):
        torch.testing.assert_close(layer(row), expected, rtol=0, atol=EXACT)
    torch.testing.assert_close(layer(x.view(2, 3, -1)).flatten(0, 1), together, rtol=0, atol=EXACT)
    assert layer(x[:0]).shape == (0, layer.irreps_out.dim)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_float32_agrees_and_casts_keep_constants(name: str) -> None:
    layer = make(name)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(parameter.float())
    x = features(layer)
    exact = layer(x)
    single = layer.float()(x.float())
    assert single.dtype == torch.float32
    assert float((single.double() - exact).abs().max() / exact.abs().max()) < 1e-5
    assert torch.equal(layer.double()(x), exact)


@pytest.mark.parametrize("name", NAMES)
def test_compiles_without_graph_breaks(name: str) -> None:
    layer = make(name)
    x = features(layer).requires_grad_()
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    found, expected = compiled(x), layer(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=EXACT * 100)
    gradients = [torch.autograd.grad(y.square().sum(), x)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=0, atol=EXACT * 100)


@pytest.mark.parametrize("name", NAMES)
def test_is_saved_and_loaded(name: str) -> None:
    layer, other = make(name, seed=0), make(name, seed=5)
    assert set(layer.state_dict()) == {key for key, _ in layer.named_parameters()}
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(features(layer)), layer(features(layer)))


@pytest.mark.parametrize("name", NAMES)
def test_is_made_in_milliseconds(name: str) -> None:
    LAYERS[name].build(4, 8)
    begun = time.perf_counter()
    LAYERS[name].build(4, 8)
    assert time.perf_counter() - begun < 0.1, "constants are computed anew every time"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_agrees_on_cuda(name: str) -> None:
    layer = make(name)
    x = features(layer)
    expected = layer(x)
    torch.testing.assert_close(layer.cuda()(x.cuda()).cpu(), expected, rtol=0, atol=1e-11)
