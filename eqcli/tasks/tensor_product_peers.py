"""e3nn's tensor products, the ones that compute what ours do or come nearest to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqcli.geometry.irreps import Irreps
    from eqcli.geometry.products.base import Product

SAME = ("full", "fully-connected", "uvu", "uuu", "depthwise")
"""Products that e3nn has too; the others are compared with the nearest that it has."""


@dataclass(frozen=True)
class Peer:
    """A module of e3nn called as our products are: `module(x, y)` or `module(x, y, weight)`.

    Attributes
    ----------
    title
        What it is in e3nn.
    same
        Whether it computes the same function, up to the order of numbers and weights.
    """

    title: str
    same: bool
    module: Callable[..., Any]
    irreps_in1: Irreps
    irreps_in2: Irreps
    irreps_out: Irreps
    weight_numel: int


def e3nn_peer(name: str, product: Product) -> Peer:
    """The peer of the product of that name in the table of all products."""
    from eqcli.geometry.irreps import Irreps

    first, second, result = product.irreps_in1, product.irreps_in2, product.irreps_out
    if second == Irreps("1o"):
        # e3nn convolves with the harmonics of the direction, which it is given here free of charge.
        second = Irreps([(1, ir) for _, ir in first])
    if name == "full":
        module = _full(first, second, result)
        return Peer("FullTensorProduct", True, module, first, second, module.irreps_out, 0)
    mode = _mode(name, first, second, result)
    module = _weighted(mode, first, second, result)
    title = f"TensorProduct, {mode}" if mode != "uvw" else "FullyConnectedTensorProduct"
    return Peer(title, name in SAME, module, first, second, result, int(module.weight_numel))


@cache
def _full(first: Irreps, second: Irreps, result: Irreps) -> Any:
    from e3nn import o3

    return o3.FullTensorProduct(first, second, filter_ir_out=[ir for _, ir in result])


@cache
def _weighted(mode: str, first: Irreps, second: Irreps, result: Irreps) -> Any:
    """All couplings to the given irreps. Several of our products have the same peer, and e3nn's take long to make."""
    from e3nn import o3

    paths = [
        (i, j, k, mode, True)
        for i, (_, one) in enumerate(first)
        for j, (_, two) in enumerate(second)
        for k, (_, three) in enumerate(result)
        if three in one * two
    ]
    return o3.TensorProduct(first, second, result, paths, shared_weights=True, internal_weights=False)


def _mode(name: str, first: Irreps, second: Irreps, result: Irreps) -> str:
    """Which channels meet, in e3nn's letters."""
    if name in ("fully-connected", "so2", "so2-truncated"):
        return "uvw"
    if name == "uvu":
        return "uvu"
    multiplicities = [{mul for mul, _ in irreps} for irreps in (first, second, result)]
    if multiplicities[1] == {1} and multiplicities[0] != {1}:
        return "uvu"
    return "uuu" if multiplicities[0] == multiplicities[1] == multiplicities[2] else "uvw"
