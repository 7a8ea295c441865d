"""The same function from other weights: coupled tensor products as convolutions in the frame of the edge."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.products.so2 import SO2Product


def weights_from_clebsch_gordan(product: SO2Product, weight: Tensor, lmax_edge: int) -> Tensor:
    """Weights with which `product` is a fully connected tensor product with harmonics of the direction.

    Parameters
    ----------
    product
        With `parity`; orders beyond its mmax are lost.
    weight
        `[paths * channels_in * channels_out]`, those of e3nn's `FullyConnectedTensorProduct` of the features
        `natural(lmax, channels)` with one copy of each harmonic up to `lmax_edge` (component normalisation),
        its own normalisation of paths left as it is.
    lmax_edge
        Highest degree of the harmonics.

    Returns
    -------
    Tensor
        `[product.weight_numel]`, linear in `weight` and in its precision. Raises ValueError when `weight` has
        another length or the product no parity.
    """
    shape = product.shape
    if not product.parity:
        raise ValueError("couplings of natural parity give real weights: the product needs parity=True")
    paths = list(_paths(shape.lmax_in, lmax_edge, shape.lmax_out))
    per_path = shape.channels_in * shape.channels_out
    if weight.shape != (len(paths) * per_path,):
        raise ValueError(
            f"{len(paths) * per_path} weights are needed for {len(paths)} paths, got {tuple(weight.shape)}"
        )
    matrices = [weight.new_zeros(shape.size(m)) for m in range(shape.mmax + 1)]
    channels = weight.view(len(paths), shape.channels_in, shape.channels_out)
    counts = [sum(path[2] == degree for path in paths) for degree in range(shape.lmax_out + 1)]
    for (l1, l2, l3), mixing in zip(paths, channels, strict=True):
        # At the pole the harmonic of order 0 alone is left; e3nn divides by the number of terms.
        factor = sqrt((2 * l2 + 1) * (2 * l3 + 1) / (counts[l3] * shape.channels_in))
        coupling = clebsch_gordan(l1, l2, l3)[:, l2]
        for m in range(min(l1, l3, shape.mmax) + 1):
            rows, columns = _span(l1 - m, shape.channels_in), _span(l3 - m, shape.channels_out)
            matrices[m][rows, columns] += factor * float(coupling[l1 + m, l3 + m]) * mixing
    return torch.cat([matrix.flatten() for matrix in matrices]) / product.scale.to(weight)


def _paths(lmax_in: int, lmax_edge: int, lmax_out: int) -> Iterator[tuple[int, int, int]]:
    """Couplings of natural parity in the order of e3nn."""
    for l1 in range(lmax_in + 1):
        for l2 in range(lmax_edge + 1):
            for l3 in range(abs(l1 - l2), min(l1 + l2, lmax_out) + 1):
                if (l1 + l2 + l3) % 2 == 0:
                    yield l1, l2, l3


def _span(place: int, channels: int) -> slice:
    return slice(place * channels, (place + 1) * channels)
