"""What every tensor product must do, whatever its algorithm."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import Tensor

from eqcli.geometry.irreps import Irreps
from eqcli.geometry.products.base import Product
from eqcli.geometry.products.family import PRODUCTS
from tests.rotations import action, random_rotation

EXACT = 1e-12
"""Relative error of an exact product in float64."""

ROWS = 3
"""Rows of the batches here; the first points along the polar axis, where frames may be singular."""

NAMES = sorted(PRODUCTS)


def make(name: str, lmax: int, channels: int, dtype: torch.dtype = torch.float64) -> Product:
    kind = PRODUCTS[name]
    return kind.build(lmax if kind.fixed is None else kind.fixed, channels).to(dtype)


def arguments(product: Product, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Two random factors and weights per row; a second factor that is a direction alone has unit length."""
    generator = torch.Generator().manual_seed(seed)

    def normal(n: int) -> Tensor:
        return torch.randn(ROWS, n, generator=generator, dtype=torch.float64)

    y = normal(product.irreps_in2.dim)
    if product.irreps_in2 == Irreps("1o"):
        y[0] = torch.tensor([0.0, 1.0, 0.0])
        y[1] = torch.tensor([0.0, -1.0, 0.0])
        y = torch.nn.functional.normalize(y, dim=-1)
    return normal(product.irreps_in1.dim).to(dtype), y.to(dtype), normal(product.weight_numel).to(dtype)


def operations(product: Product) -> list[Tensor]:
    rotations = [random_rotation(seed) for seed in (1, 2)]
    return [*rotations, *([-rotations[0], -torch.eye(3, dtype=torch.float64)] if product.parity else [])]


def apply(product: Product, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    return product(x, y, weight if product.weight_numel else None)


@pytest.mark.parametrize("lmax", [1, 3, pytest.param(8, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_is_equivariant(name: str, lmax: int) -> None:
    if PRODUCTS[name].fixed is not None and lmax > 1:
        pytest.skip("this algebra has a fixed degree")
    product = make(name, lmax, 2 if lmax < 8 else 1)
    x, y, weight = arguments(product)
    plain = apply(product, x, y, weight)
    assert plain.shape == (ROWS, product.irreps_out.dim)
    for matrix in operations(product):
        turned = apply(
            product, x @ action(product.irreps_in1, matrix).T, y @ action(product.irreps_in2, matrix).T, weight
        )
        expected = plain @ action(product.irreps_out, matrix).T
        assert float((turned - expected).abs().max() / expected.abs().max()) < EXACT


@pytest.mark.parametrize("name", NAMES)
def test_has_gradients_to_second_order(name: str) -> None:
    product = make(name, 2, 1)
    x, y, weight = (t[:2].clone().requires_grad_(t.numel() > 0) for t in arguments(product))
    assert torch.autograd.gradcheck(lambda a, b, w: apply(product, a, b, w), (x, y, weight), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda a, b, w: apply(product, a, b, w), (x, y, weight), fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_is_linear_in_the_first_factor(name: str) -> None:
    product = make(name, 2, 2)
    x, y, weight = arguments(product)
    other, _, _ = arguments(product, seed=1)
    joined = apply(product, 2.0 * x - 3.0 * other, y, weight)
    parts = 2.0 * apply(product, x, y, weight) - 3.0 * apply(product, other, y, weight)
    assert torch.allclose(joined, parts, rtol=0, atol=EXACT * float(parts.abs().max()) * 10)


@pytest.mark.parametrize("name", NAMES)
def test_rows_and_shared_weights(name: str) -> None:
    product = make(name, 2, 2)
    x, y, weight = arguments(product)
    together = apply(product, x, y, weight)
    for row in range(ROWS):
        alone = apply(product, x[row], y[row], weight[row])
        assert torch.allclose(alone, together[row], rtol=0, atol=EXACT * float(together.abs().max()))
    shared = apply(product, x, y, weight[0])
    repeated = apply(product, x, y, weight[:1].expand(ROWS, -1))
    assert torch.allclose(shared, repeated, rtol=0, atol=EXACT * float(shared.abs().max()))
    assert apply(product, x[:0], y[:0], weight[:0]).shape == (0, product.irreps_out.dim)


@pytest.mark.parametrize("name", NAMES)
def test_leading_dimensions_broadcast(name: str) -> None:
    product = make(name, 2, 2)
    x, y, weight = arguments(product)
    whole = apply(product, x.repeat(2, 1, 1), y.repeat(2, 1, 1), weight.repeat(2, 1, 1))
    found = apply(product, x.repeat(2, 1, 1), y, weight.unsqueeze(0))
    assert torch.allclose(found, whole, rtol=0, atol=EXACT * float(whole.abs().max()))
    with pytest.raises(ValueError, match="do not fit together"):
        apply(product, x.new_zeros(2, 3, x.shape[1]), y.new_zeros(3, 2, y.shape[1]), weight[0])


@pytest.mark.parametrize("name", NAMES)
def test_wrong_shapes_and_precisions_are_refused(name: str) -> None:
    product = make(name, 2, 2)
    x, y, weight = arguments(product)
    with pytest.raises(ValueError, match=r"first factor .* has shape"):
        apply(product, x[:, 1:], y, weight)
    with pytest.raises(ValueError, match=r"second factor .* has shape"):
        apply(product, x, torch.cat([y, y], dim=1), weight)
    if product.weight_numel:
        with pytest.raises(ValueError, match=r"weight has shape"):
            product(x, y, weight[:, 1:])
    with pytest.raises(ValueError, match=r"float32 got numbers in torch.float64"):
        apply(product.float(), x, y, weight)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_it_cannot_have_are_refused(name: str) -> None:
    kind = PRODUCTS[name]
    for lmax, channels in ((-1, 2), (2, 0)):
        with pytest.raises(ValueError, match="from 0 and channels from 1"):
            kind.build(lmax, channels)
    if kind.fixed is not None:
        with pytest.raises(ValueError, match=f"of degree {kind.fixed} alone, got 5"):
            kind.build(5, 2)


@pytest.mark.parametrize("name", NAMES)
def test_float32_agrees_and_casts_keep_constants(name: str) -> None:
    product = make(name, 2, 2)
    x, y, weight = arguments(product)
    exact = apply(product, x, y, weight)
    single = make(name, 2, 2, torch.float32)
    found = apply(single, x.float(), y.float(), weight.float())
    assert found.dtype == torch.float32
    assert float((found.double() - exact).abs().max() / exact.abs().max()) < 1e-5
    again = apply(single.double(), x, y, weight)
    assert torch.equal(again, exact)


@pytest.mark.parametrize("name", NAMES)
def test_compiles_without_graph_breaks(name: str) -> None:
    product = make(name, 2, 2)
    x, y, weight = arguments(product)
    torch.compiler.reset()
    compiled = torch.compile(product, fullgraph=True, backend="aot_eager")
    assert torch.allclose(apply(compiled, x, y, weight), apply(product, x, y, weight), rtol=0, atol=EXACT * 100)


@pytest.mark.parametrize("name", NAMES)
def test_is_made_in_milliseconds(name: str) -> None:
    make(name, 3, 4)
    begun = time.perf_counter()
    make(name, 3, 4)
    assert time.perf_counter() - begun < 0.25, "constants are computed anew every time"


@pytest.mark.parametrize("name", NAMES)
def test_explains_itself(name: str) -> None:
    product = make(name, 2, 4)
    told = product.explain()
    assert told.name == name
    assert told.weights == product.weight_numel
    assert Irreps(told.irreps_in1) == product.irreps_in1
    assert Irreps(told.irreps_out) == product.irreps_out
    assert told.paths
    assert sum(path.weights for path in told.paths) in (0, told.weights)
    assert told.multiply_adds > 0
    assert told.bytes >= 4 * (product.irreps_in1.dim + product.irreps_out.dim)
    bigger = make(name, 2, 8).explain()
    assert bigger.multiply_adds > told.multiply_adds
    assert math.isfinite(told.bytes)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_agrees_on_cuda(name: str) -> None:
    product = make(name, 2, 2)
    x, y, weight = arguments(product)
    expected = apply(product, x, y, weight)
    found = apply(product.cuda(), x.cuda(), y.cuda(), weight.cuda()).cpu()
    assert torch.allclose(found, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))
