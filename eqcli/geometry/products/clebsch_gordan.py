"""The products that go path by path, as the table of all products makes them."""

from __future__ import annotations

from eqcli.geometry.irreps import natural
from eqcli.geometry.products.channelwise import ChannelPairProduct, ChannelwiseProduct
from eqcli.geometry.products.full import FullProduct, FullyConnectedProduct
from eqcli.geometry.products.second_first import DepthwiseProduct, EdgeMixingProduct

__all__ = [
    "ChannelPairProduct",
    "ChannelwiseProduct",
    "DepthwiseProduct",
    "EdgeMixingProduct",
    "FullProduct",
    "FullyConnectedProduct",
    "build_depthwise",
    "build_full",
    "build_fully_connected",
    "build_uuu",
    "build_uvu",
]


def build_full(lmax: int, channels: int) -> FullProduct:
    """All channel pairs of two tensors of natural parity, results of natural parity up to lmax."""
    features = natural(lmax, channels)
    return FullProduct(features, features, keep=natural(lmax))


def build_fully_connected(lmax: int, channels: int) -> EdgeMixingProduct:
    """Features with one set of harmonics, all channels mixed: the convolution of a message."""
    features = natural(lmax, channels)
    return EdgeMixingProduct(features, natural(lmax), features)


def build_uvu(lmax: int, channels: int) -> ChannelPairProduct:
    """Two sets of features, a weight for each pair of channels."""
    features = natural(lmax, channels)
    return ChannelPairProduct(features, features, features)


def build_uuu(lmax: int, channels: int) -> ChannelwiseProduct:
    """Two sets of features, channel by channel."""
    features = natural(lmax, channels)
    return ChannelwiseProduct(features, features, features)


def build_depthwise(lmax: int, channels: int) -> DepthwiseProduct:
    """Features with one set of harmonics, channel by channel."""
    features = natural(lmax, channels)
    return DepthwiseProduct(features, natural(lmax), features)
