"""What all Gaunt products share: tensors as functions on the sphere, weights per degree, normalisation.

A tensor with degrees 0 .. L is the function f(v) = sum_lm x_lm Y_lm(v). The product of two functions, projected
on the harmonics again, couples (l1, l2) to l3 with the coefficients of Gaunt, the integrals of three harmonics.
All couplings are there whose l1 + l2 + l3 is even, and none of the others; each has the weight
w1[l1] w2[l2] w3[l3] in each channel. (Luo, Chen and Krishnapriyan, ICLR 2024, arXiv:2401.10216.)
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import product
from math import prod

import numpy as np
import torch
from numpy.polynomial import Legendre
from torch import Tensor

from eqcli.geometry.irreps import Irreps, natural
from eqcli.geometry.products.base import Explanation, Product, ProductPath
from eqcli.geometry.sphere_grid import gauss_legendre

PIECE_BYTES = 1 << 20
"""Size of the values of one factor in the pieces that rows are taken in on a CPU, so that they stay in its cache."""


class SphericalProduct(Product):
    """A channel-wise product of functions on the sphere with weights per degree.

    The second factor may have one channel, which then meets all of the first. A weight of None is a weight of ones.

    Parameters
    ----------
    lmax1, lmax2, lmax_out
        Highest degrees of the factors and of the result.
    channels, channels2
        Of the first factor and the result, and of the second: the same or 1.
    """

    lowest_degrees: tuple[int, ...] = (0,)
    """One entry for each set of weights that a factor has: the lowest degree that it weighs."""

    def __init__(self, lmax1: int, lmax2: int, lmax_out: int, channels: int, channels2: int | None = None) -> None:
        super().__init__()
        channels2 = channels if channels2 is None else channels2
        if channels2 not in (1, channels):
            raise ValueError(f"the second factor needs {channels} channels or 1, got {channels2}")
        if lmax_out > lmax1 + lmax2:
            raise ValueError(f"degrees to {lmax1} and {lmax2} give none above {lmax1 + lmax2}, got {lmax_out}")
        self.lmax1, self.lmax2, self.lmax_out = lmax1, lmax2, lmax_out
        self.channels, self.channels2 = channels, channels2
        self.irreps_in1, self.irreps_in2 = natural(lmax1, channels), natural(lmax2, channels2)
        self.irreps_out = self._result()
        self._sizes = [(lmax1 + 1 - lowest, channels) for lowest in self.lowest_degrees]
        self._sizes += [(lmax2 + 1 - lowest, channels2) for lowest in self.lowest_degrees]
        self._sizes.append((len(self.irreps_out), channels))
        self.weight_numel = sum(map(prod, self._sizes))

    def _result(self) -> Irreps:
        return natural(self.lmax_out, self.channels)

    def weights(self, weight: Tensor) -> list[Tensor]:
        """The weights of the first factor, of the second, and of the result: `[..., degrees, C]` each."""
        parts = weight.split([prod(size) for size in self._sizes], dim=-1)
        return [part.unflatten(-1, size) for part, size in zip(parts, self._sizes, strict=True)]

    def factors(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The factors as `[..., (l+1)^2, C]`."""
        return x.unflatten(-1, (-1, self.channels)), y.unflatten(-1, (-1, self.channels2))

    def bilinear(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        step = max(1, PIECE_BYTES // (self.points * self.channels * x.element_size()))
        in_rows = x.dim() == 2 and x.shape[:-1] == y.shape[:-1]
        if not in_rows or x.shape[0] <= step or x.is_cuda or torch.compiler.is_compiling():
            return self.whole(x, y, weight)
        weights = [weight] * -(-x.shape[0] // step) if weight is None or weight.dim() == 1 else weight.split(step)
        pieces = zip(x.split(step), y.split(step), weights, strict=True)
        return torch.cat([self.whole(*piece) for piece in pieces])

    @property
    @abstractmethod
    def points(self) -> int:
        """Values on the sphere that represent one function."""

    @abstractmethod
    def whole(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """The product of all rows at once."""

    @abstractmethod
    def product_multiply_adds(self) -> int:
        """Of one channel, without the weights."""

    def explain(self) -> Explanation:
        weighting = len(self.lowest_degrees) * (self.irreps_in1.dim + self.irreps_in2.dim) + self.irreps_out.dim
        return Explanation(
            name=self.name,
            irreps_in1=str(self.irreps_in1),
            irreps_in2=str(self.irreps_in2),
            irreps_out=str(self.irreps_out),
            paths=self._paths(),
            weights=self.weight_numel,
            multiply_adds=self.channels * self.product_multiply_adds() + weighting,
            bytes=self.moved_bytes(),
            note=self._note(),
        )

    def _paths(self) -> list[ProductPath]:
        return [
            ProductPath(str(one), str(two), str(three), 0, 0)
            for (_, one), (_, two), (_, three) in product(self.irreps_in1, self.irreps_in2, self.irreps_out)
            if three in one * two
        ]

    def _note(self) -> str:
        return "Couplings share the weights of their degrees, w1[l1] w2[l2] w3[l3]; l1 + l2 + l3 is even."


class GauntProduct(SphericalProduct):
    """The Gaunt product, whichever way functions are multiplied.

    Inputs and weights of unit variance, each component independent, give components of unit variance: those of
    degree l3 are divided by the root of sum_{l1,l2} (2 l1 + 1)(2 l2 + 1) (l1 l2 l3; 0 0 0)^2.
    """

    def __init__(self, lmax1: int, lmax2: int, lmax_out: int, channels: int, channels2: int | None = None) -> None:
        super().__init__(lmax1, lmax2, lmax_out, channels, channels2)
        self.register_constant("scale", unit_variance(field_kernel(lmax1) * field_kernel(lmax2), lmax_out))

    scale: Tensor

    def whole(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        f, g = self.factors(x, y)
        after = self.scale
        if weight is not None:
            before1, before2, last = self.weights(weight)
            f, g, after = times_degrees(f, before1), times_degrees(g, before2), after * last
        return times_degrees(self.multiply(f, g), after).flatten(-2)

    @abstractmethod
    def multiply(self, f: Tensor, g: Tensor) -> Tensor:
        """Coefficients `[..., (lmax_out+1)^2, C]` of the product of two functions given by theirs."""


def times_degrees(x: Tensor, weight: Tensor, lowest: int = 0) -> Tensor:
    """Coefficients `[..., K, C]` of the degrees from `lowest` times one number per degree, `[..., degrees, C]`."""
    parts = [
        weight[..., k : k + 1, :].expand(*weight.shape[:-2], 2 * (lowest + k) + 1, -1) for k in range(weight.shape[-2])
    ]
    return x * torch.cat(parts, dim=-2)


def field_kernel(lmax: int) -> Legendre:
    """Covariance of f(v) and f(v') by v.v', for coefficients of unit variance: sum_l (2l+1) P_l."""
    return Legendre(2.0 * np.arange(lmax + 1) + 1)


def unit_variance(covariance: Legendre, lmax: int, lowest: int = 0) -> Tensor:
    """One over the standard deviations of the coefficients of a random function, `[degrees, 1]` float64.

    The variance of degree l is the mean of covariance times P_l: the theorem of addition.
    """
    nodes, weights = gauss_legendre((covariance.degree() + lmax) // 2 + 1)
    variances = [weights @ (covariance(nodes) * Legendre.basis(degree)(nodes)) for degree in range(lowest, lmax + 1)]
    return torch.from_numpy(1 / np.sqrt(np.array(variances)).reshape(-1, 1))
