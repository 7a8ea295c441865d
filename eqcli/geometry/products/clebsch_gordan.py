"""The products that go path by path: which kernel does which, and how the table of all products makes them."""

from __future__ import annotations

from eqcli.geometry.irreps import Irreps, natural
from eqcli.geometry.products.channelwise import ChannelPairProduct, ChannelwiseProduct
from eqcli.geometry.products.coupled import CoupledProduct
from eqcli.geometry.products.full import FullProduct, FullyConnectedProduct
from eqcli.geometry.products.second_first import DepthwiseProduct, EdgeMixingProduct
from eqcli.geometry.products.spread import SpreadMixingProduct, SpreadProduct

__all__ = [
    "ChannelPairProduct",
    "ChannelwiseProduct",
    "DepthwiseProduct",
    "EdgeMixingProduct",
    "FullProduct",
    "FullyConnectedProduct",
    "SpreadMixingProduct",
    "SpreadProduct",
    "build_depthwise",
    "build_full",
    "build_fully_connected",
    "build_uuu",
    "build_uvu",
    "depthwise",
    "fully_connected",
]

FEW_NUMBERS = 600
"""Numbers in a row of the first factor up to which it is faster to repeat the second factor (measured on a CPU)."""
FEW_NUMBERS_MIXED = 300
"""The same where all channels are mixed."""


def depthwise(irreps_in1: Irreps, irreps_in2: Irreps, irreps_out: Irreps) -> CoupledProduct:
    """All paths to `irreps_out`, channel by channel with a second factor of one copy, by the faster kernel."""
    if _few_and_alike(irreps_in1, FEW_NUMBERS):
        return SpreadProduct(irreps_in1, irreps_in2, irreps_out)
    return DepthwiseProduct(irreps_in1, irreps_in2, irreps_out)


def fully_connected(irreps_in1: Irreps, irreps_in2: Irreps, irreps_out: Irreps) -> CoupledProduct:
    """All paths to `irreps_out` with weights that mix all channels, by the faster kernel."""
    if any(mul != 1 for mul, _ in irreps_in2):
        return FullyConnectedProduct(irreps_in1, irreps_in2, irreps_out)
    if _few_and_alike(irreps_in1, FEW_NUMBERS_MIXED):
        return SpreadMixingProduct(irreps_in1, irreps_in2, irreps_out)
    return EdgeMixingProduct(irreps_in1, irreps_in2, irreps_out)


def _few_and_alike(irreps: Irreps, few: int) -> bool:
    return irreps.dim <= few and len({mul for mul, _ in irreps}) == 1


def build_full(lmax: int, channels: int) -> FullProduct:
    """All channel pairs of two tensors of natural parity, results of natural parity up to lmax."""
    features = natural(lmax, channels)
    return FullProduct(features, features, keep=natural(lmax))


def build_fully_connected(lmax: int, channels: int) -> CoupledProduct:
    """Features with one set of harmonics, all channels mixed: the convolution of a message."""
    features = natural(lmax, channels)
    return fully_connected(features, natural(lmax), features)


def build_uvu(lmax: int, channels: int) -> ChannelPairProduct:
    """Two sets of features, a weight for each pair of channels."""
    features = natural(lmax, channels)
    return ChannelPairProduct(features, features, features)


def build_uuu(lmax: int, channels: int) -> ChannelwiseProduct:
    """Two sets of features, channel by channel."""
    features = natural(lmax, channels)
    return ChannelwiseProduct(features, features, features)


def build_depthwise(lmax: int, channels: int) -> CoupledProduct:
    """Features with one set of harmonics, channel by channel."""
    features = natural(lmax, channels)
    return depthwise(features, natural(lmax), features)
