from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.irreps import Irrep, Irreps, blocks, join, natural
from eqcli.geometry.products.base import Explanation, Product
from eqcli.geometry.products.clebsch_gordan import (
    ChannelPairProduct,
    ChannelwiseProduct,
    DepthwiseProduct,
    FullProduct,
    FullyConnectedProduct,
)
from eqcli.geometry.products.expressivity import (
    degrees_of_freedom,
    expressivity,
    full_expressivity,
    full_interactability,
    interactability,
)
from eqcli.geometry.products.family import PRODUCTS

CROSS = (Irrep("1o"), Irrep("1o"), Irrep("1e"))


class SharedWeights(Product):
    """Degrees with weights w1[l1] w2[l2] w3[l3] for couplings with an even sum, as a product of functions has them."""

    name = "shared"

    def __init__(self, irreps: Irreps) -> None:
        super().__init__()
        self.irreps_in1 = self.irreps_in2 = self.irreps_out = irreps
        self.weight_numel = 3 * len(irreps)

    def bilinear(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        assert weight is not None
        w1, w2, w3 = weight.split(len(self.irreps_in1), dim=-1)
        xs, ys = blocks(x, self.irreps_in1), blocks(y, self.irreps_in2)
        out = []
        for c, (_, ir3) in enumerate(self.irreps_out):
            total = torch.zeros(*x.shape[:-1], ir3.dim, 1, dtype=x.dtype)
            for a, (_, ir1) in enumerate(self.irreps_in1):
                for b, (_, ir2) in enumerate(self.irreps_in2):
                    if (ir1.l + ir2.l + ir3.l) % 2 == 0 and ir3 in ir1 * ir2:
                        coupled = torch.einsum(
                            "...iu,...ju,ijk->...ku", xs[a], ys[b], clebsch_gordan(ir1.l, ir2.l, ir3.l)
                        )
                        total = total + w1[a] * w2[b] * w3[c] * coupled
            out.append(total)
        return join(out)

    def explain(self) -> Explanation:
        raise NotImplementedError


def test_full_freedom_is_reached_when_every_path_has_a_weight() -> None:
    irreps = Irreps("2x0e+1x1o+1x1e+1x2e")
    product = FullyConnectedProduct(irreps, Irreps("2x1o+0e"), Irreps("2x0o+1x1o+1x1e+1x2o"))
    assert expressivity(product) == full_expressivity(product) == product.weight_numel
    assert interactability(product) == full_interactability(product)


def test_full_product_without_weights_is_one_map_that_reaches_all() -> None:
    product = FullProduct(natural(2), natural(2))
    assert expressivity(product) == 1
    assert interactability(product) == full_interactability(product)
    assert CROSS in interactability(product)


@pytest.mark.parametrize("kind", [ChannelPairProduct, ChannelwiseProduct])
def test_independent_weights_are_counted(kind: type[ChannelPairProduct] | type[ChannelwiseProduct]) -> None:
    product = kind(natural(2, 2), natural(2, 2), natural(2, 2))
    assert expressivity(product) == product.weight_numel < full_expressivity(product)
    assert degrees_of_freedom(product) == product.weight_numel


def test_more_weights_than_the_first_guess_are_counted() -> None:
    product = DepthwiseProduct(natural(4, 3), natural(4), natural(4, 3))
    assert product.weight_numel > 64
    assert expressivity(product) == product.weight_numel


def test_shared_weights_are_counted_as_the_maps_they_span() -> None:
    # Each path is multilinear in its own three weights, so that the span has a dimension for each path.
    product = SharedWeights(Irreps("0e+1o+2e"))
    paths = full_interactability(product)
    assert expressivity(product) == len(paths) == 11
    # Factors that only move between the three sets of weights, two of them, change no map.
    assert degrees_of_freedom(product) == 3 * 3 - 2
    assert interactability(product) == paths


def test_couplings_with_an_odd_sum_are_missed_where_they_are_missing() -> None:
    product = SharedWeights(Irreps("0e+1o+1e+2e"))
    assert CROSS in full_interactability(product)
    assert CROSS not in interactability(product)
    assert expressivity(product) < full_expressivity(product)


def test_a_gaunt_product_has_no_cross_product_and_a_matrix_product_has() -> None:
    assert all((a.l + b.l + c.l) % 2 == 0 for a, b, c in interactability(PRODUCTS["gaunt-grid"].build(2, 1)))
    assert CROSS in interactability(PRODUCTS["matrix"].build(2, 1))


@pytest.mark.parametrize("name", ["uuu", "so2", "gaunt-grid"])
def test_counts_do_not_depend_on_the_precision_of_the_product(name: str) -> None:
    single, double = (PRODUCTS[name].build(2, 1).to(dtype) for dtype in (torch.float32, torch.float64))
    for count in (expressivity, degrees_of_freedom, interactability):
        assert count(single) == count(double)
    assert all(constant.dtype != torch.float64 for constant in single.buffers())


def test_spaces_too_large_are_refused() -> None:
    product = FullyConnectedProduct(Irreps("11x0e"), Irreps("10x0e"), Irreps("10x0e"))
    with pytest.raises(ValueError, match="fewer channels"):
        expressivity(product)
