"""Products that go path by path, value by value against e3nn with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from e3nn import o3
from torch import Tensor

from eqcli.geometry.irreps import Irreps, from_e3nn, to_e3nn
from eqcli.geometry.products.clebsch_gordan import (
    ChannelPairProduct,
    ChannelwiseProduct,
    DepthwiseProduct,
    EdgeMixingProduct,
    FullProduct,
    FullyConnectedProduct,
    SpreadMixingProduct,
    SpreadProduct,
    build_depthwise,
)
from eqcli.geometry.products.coupled import CoupledProduct, Coupling

ROWS = 4
TWO = Irreps("3x0e+2x1o+2x1o+1x2e+2x1e")
OTHER = Irreps("2x1e+1x0o+3x1o+2x2e")
RESULT = Irreps("4x0e+2x1o+3x1e+2x0o+2x2e+1x2e+5x4o")
EVEN = Irreps("3x0e+3x1o+3x1e+3x2e+3x3o+3x0o")

PRODUCTS: dict[str, Callable[[], CoupledProduct]] = {
    "full": lambda: FullProduct(TWO, OTHER),
    "full, one channel": lambda: FullProduct(Irreps("0e+1o+2e"), Irreps("1o+2e")),
    "full, filtered": lambda: FullProduct(TWO, OTHER, keep=Irreps("0e+1o+3o")),
    "full, scalars": lambda: FullProduct(Irreps("3x0e"), Irreps("2x0e")),
    "fully connected": lambda: FullyConnectedProduct(TWO, OTHER, RESULT),
    "fully connected, scalars": lambda: FullyConnectedProduct(Irreps("3x0e"), Irreps("2x0e"), Irreps("4x0e")),
    "edge mixing": lambda: EdgeMixingProduct(TWO, Irreps("0e+1o+2e+1o+0o"), RESULT),
    "pairs": lambda: ChannelPairProduct.separate(TWO, OTHER),
    "pairs, added up": lambda: ChannelPairProduct(EVEN, OTHER, EVEN),
    "channels": lambda: ChannelwiseProduct.separate(EVEN, EVEN, keep=Irreps("0e+1e+2e+3o")),
    "channels, added up": lambda: ChannelwiseProduct(EVEN, EVEN, EVEN),
    "channels, no weights": lambda: ChannelwiseProduct(EVEN, EVEN, EVEN, weighted=False),
    "depthwise": lambda: DepthwiseProduct.separate(TWO, Irreps("0e+1o+2e+1o+3e")),
    "depthwise, added up": lambda: DepthwiseProduct(EVEN, Irreps("0e+1o+2e+1o+3o"), EVEN),
    "depthwise, no weights": lambda: DepthwiseProduct(EVEN, Irreps("0e+1o"), EVEN, weighted=False),
    "depthwise, chosen paths": lambda: DepthwiseProduct(
        Irreps("2x1o+2x0e"), Irreps("0e+1o"), Irreps("2x1o+2x0e+2x1o"), [Coupling(1, 1, 2), Coupling(0, 1, 1)]
    ),
    "spread": lambda: SpreadProduct(EVEN, Irreps("0e+1o+2e+1o+3o"), EVEN),
    "spread, mixing": lambda: SpreadMixingProduct(EVEN, Irreps("0e+1o+2e+1o+3e"), RESULT),
    "high degrees": lambda: build_depthwise(7, 2),
    "high degrees, many channels": lambda: build_depthwise(7, 16),
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(autouse=True)
def exact_constants() -> Iterator[None]:
    """e3nn makes its constants in the default precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def e3nn_twin(product: CoupledProduct) -> o3.TensorProduct:
    return o3.TensorProduct(
        product.irreps_in1,
        product.irreps_in2,
        product.irreps_out,
        product.e3nn_instructions(),
        internal_weights=False,
        shared_weights=False,
    )


@pytest.mark.parametrize("name", PRODUCTS)
def test_agrees_with_e3nn(name: str) -> None:
    product = PRODUCTS[name]().double()
    x, y = normal(ROWS, product.irreps_in1.dim, seed=1), normal(ROWS, product.irreps_in2.dim, seed=2)
    weight = normal(ROWS, product.weight_numel, seed=3)
    theirs = e3nn_twin(product)(to_e3nn(x, product.irreps_in1), to_e3nn(y, product.irreps_in2), weight)
    found = product(x, y, product.weights_from_e3nn(weight))
    expected = from_e3nn(theirs, product.irreps_out)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("per_row", [True, False])
@pytest.mark.parametrize("name", PRODUCTS)
def test_pieces_change_nothing(name: str, per_row: bool) -> None:
    product = PRODUCTS[name]()
    x, y = normal(5, product.irreps_in1.dim, seed=1), normal(5, product.irreps_in2.dim, seed=2)
    weight = normal(5, product.weight_numel, seed=3) if per_row else normal(product.weight_numel, seed=3)
    whole = product(x, y, weight)
    product.rows_at_once = 2
    torch.testing.assert_close(product(x, y, weight), whole, atol=1e-13, rtol=0)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="do not couple"):
        ChannelwiseProduct(Irreps("1o"), Irreps("1o"), Irreps("1o"), [Coupling(0, 0, 0)])
    with pytest.raises(ValueError, match="copies cannot give"):
        DepthwiseProduct(Irreps("2x1o"), Irreps("1o"), Irreps("3x0e"), [Coupling(0, 0, 0)])
    product = build_depthwise(1, 2)
    with pytest.raises(ValueError, match=f"takes {product.weight_numel} weights"):
        product(torch.zeros(1, 8), torch.zeros(1, 4))


@pytest.mark.parametrize("name", PRODUCTS)
def test_weights_survive_the_way_to_e3nn_and_back(name: str) -> None:
    product = PRODUCTS[name]()
    weight = torch.arange(product.weight_numel)
    assert torch.equal(product.weights_from_e3nn(product.weights_to_e3nn(weight)), weight)


def test_is_the_function_of_e3nns_own_classes() -> None:
    x, y = normal(ROWS, TWO.dim, seed=1), normal(ROWS, OTHER.dim, seed=2)
    ours = FullyConnectedProduct(TWO, OTHER, RESULT).double()
    theirs = o3.FullyConnectedTensorProduct(TWO, OTHER, RESULT, internal_weights=False)
    weight = normal(theirs.weight_numel)
    expected = theirs(to_e3nn(x, TWO), to_e3nn(y, OTHER), weight)
    torch.testing.assert_close(
        to_e3nn(ours(x, y, ours.weights_from_e3nn(weight)), RESULT), expected, atol=1e-12, rtol=0
    )
    first, second = Irreps("3x0e+2x1o+2e"), Irreps("2x1o+2x2e")
    x, y = normal(ROWS, first.dim, seed=1), normal(ROWS, second.dim, seed=2)
    full, whole = FullProduct(first, second).double(), o3.FullTensorProduct(first, second)
    assert full.irreps_out == whole.irreps_out
    torch.testing.assert_close(
        to_e3nn(full(x, y), full.irreps_out), whole(to_e3nn(x, first), to_e3nn(y, second)), atol=1e-12, rtol=0
    )
