"""Functions of the distance between two atoms."""

from __future__ import annotations

from itertools import pairwise
from math import comb, exp, expm1, log, pi, sqrt
from typing import Self

import torch
from torch import Tensor, nn

from eqcli.elements import COVALENT_RADII
from eqcli.geometry.constants import ConstantModule
from eqcli.nn.activation import SILU_SCALE, scaled_silu
from eqcli.nn.envelope import ENVELOPES, Envelope, polynomial_cutoff
from eqcli.units import LENGTH

__all__ = [
    "RADIAL_BASES",
    "SILU_SCALE",
    "AgnesiTransform",
    "BernsteinBasis",
    "BesselBasis",
    "ExpNormalBasis",
    "GaussianBasis",
    "RadialBasis",
    "RadialNetwork",
    "SmoothBasis",
    "SoftTransform",
    "polynomial_cutoff",
    "scaled_silu",
]

SERIES = 0.1
"""Argument below which sin(x)/x is taken from its series: there the quotient loses digits in its derivatives."""


class RadialBasis(ConstantModule):
    """Functions of the distance r >= 0 in Å, `[E] -> [E, size]`, smooth at r = 0 too; no envelope is in them.

    Parameters
    ----------
    cutoff
        In Å.
    size
        Number of functions.
    trainable
        Whether frequencies, centres, widths or decay are learned, from the values that they have otherwise.
    """

    def __init__(self, cutoff: float, size: int, *, trainable: bool = False) -> None:
        super().__init__()
        self.cutoff, self.size, self.trainable = cutoff, size, trainable

    def hold(self, name: str, value: Tensor) -> None:
        """Keeps float64 numbers as a parameter when the basis is trainable and as a constant when it is not."""
        if self.trainable:
            self.register_parameter(name, nn.Parameter(value.to(torch.get_default_dtype())))
        else:
            self.register_constant(name, value)

    def save_constants(self) -> Self:
        """Lets the constants be saved with the model, for one that may begin with those of another program."""
        for name in [name for name in self._exact if name in self._buffers]:
            value = self._exact.pop(name)
            self.register_buffer(name, value.to(torch.get_default_dtype()))
        return self


class BesselBasis(RadialBasis):
    """sqrt(2/rc) sin(n pi r / rc) / r for n = 1..N (DimeNet eq. 7): orthonormal in the ball of radius rc."""

    frequencies: Tensor

    def __init__(self, cutoff: float, size: int, *, trainable: bool = False) -> None:
        super().__init__(cutoff, size, trainable=trainable)
        self.prefactor = sqrt(2.0 / cutoff)
        self.hold("frequencies", torch.arange(1, size + 1, dtype=torch.float64) * (pi / cutoff))

    def forward(self, r: Tensor) -> Tensor:
        r = r.unsqueeze(-1)
        x = r * self.frequencies
        near = x < SERIES
        # Where the series holds, the quotient is taken elsewhere, so that no gradient of it is infinite.
        far = torch.sin(x) / torch.where(near, torch.ones_like(x), r)
        square = x * x
        series = 1.0 + square * (-1 / 6 + square * (1 / 120 + square * (-1 / 5040 + square * (1 / 362880))))
        return self.prefactor * torch.where(near, self.frequencies * series, far)


class GaussianBasis(RadialBasis):
    """Gaussians on an even grid from 0 to the cutoff, as wide as the grid is fine (SchNet)."""

    centres: Tensor
    exponent: Tensor

    def __init__(self, cutoff: float, size: int, *, trainable: bool = False) -> None:
        super().__init__(cutoff, size, trainable=trainable)
        self.hold("centres", torch.linspace(0.0, cutoff, size, dtype=torch.float64))
        exponent = -0.5 * ((max(size, 2) - 1) / cutoff) ** 2
        self.hold("exponent", torch.full((size,), exponent, dtype=torch.float64))

    def forward(self, r: Tensor) -> Tensor:
        return torch.exp(self.exponent * (r.unsqueeze(-1) - self.centres) ** 2)


class ExpNormalBasis(RadialBasis):
    """exp(-b (exp(-a r) - mu_k)^2) with a = 5 / rc and mu_k even from exp(-5) to 1 (PhysNet eq. 7, TensorNet).

    Gaussians of exp(-a r): fine at short distances and coarse at long ones.
    """

    centres: Tensor
    widths: Tensor

    def __init__(self, cutoff: float, size: int, *, trainable: bool = False) -> None:
        super().__init__(cutoff, size, trainable=trainable)
        self.decay = 5.0 / cutoff
        lowest = exp(-5.0)
        self.hold("centres", torch.linspace(lowest, 1.0, size, dtype=torch.float64))
        self.hold("widths", torch.full((size,), (2.0 / size * (1.0 - lowest)) ** -2, dtype=torch.float64))

    def forward(self, r: Tensor) -> Tensor:
        return torch.exp(-self.widths * (torch.exp(-self.decay * r).unsqueeze(-1) - self.centres) ** 2)


class BernsteinBasis(RadialBasis):
    """Bernstein polynomials of exp(-g r), k = 0..N-1 (SpookyNet eq. 16, QHNet): positive, and 1 in sum.

    The decay g, 1 / (2 Bohr) at first, is kept positive by a softplus. Up to 256 functions fit float32.
    """

    raw_decay: Tensor
    factors: Tensor

    def __init__(self, cutoff: float, size: int, *, trainable: bool = False) -> None:
        super().__init__(cutoff, size, trainable=trainable)
        self.hold("raw_decay", torch.tensor(log(expm1(0.5 / LENGTH["Bohr"])), dtype=torch.float64))
        binomials = [sqrt(comb(size - 1, k)) for k in range(size)]
        self.register_constant("factors", torch.tensor(binomials, dtype=torch.float64))

    def forward(self, r: Tensor) -> Tensor:
        exponent = -nn.functional.softplus(self.raw_decay) * r
        # The root of the binomial goes to each power: the binomial itself leaves the range of float32.
        rising = self.factors * powers(torch.exp(exponent), self.size)
        falling = self.factors * powers(-torch.expm1(exponent), self.size).flip(-1)
        return rising * falling


def powers(x: Tensor, n: int) -> Tensor:
    """1, x, .. x^(n-1), `[...] -> [..., n]`: by products alone, whose derivatives exist at x = 0 to any order."""
    factor = x.unsqueeze(-1)
    table = torch.ones_like(factor)
    while table.shape[-1] < n:
        table = torch.cat([table, table * factor], dim=-1)
        factor = factor * factor
    return table.narrow(-1, 0, n)


RADIAL_BASES: dict[str, type[RadialBasis]] = {
    "bessel": BesselBasis,
    "gaussian": GaussianBasis,
    "expnormal": ExpNormalBasis,
    "bernstein": BernsteinBasis,
}
"""Name -> radial basis for a cutoff in Å and a number of functions."""


class SmoothBasis(nn.Module):
    """A radial basis times an envelope, `[E] -> [E, size]`: zero from the cutoff on, as smooth as the envelope.

    Parameters
    ----------
    basis, envelope
        Names in :data:`RADIAL_BASES` and :data:`eqcli.nn.envelope.ENVELOPES`; KeyError when they have none such.
    cutoff
        In Å.
    """

    basis: RadialBasis
    envelope: Envelope

    def __init__(
        self, basis: str, cutoff: float, size: int, *, envelope: str = "polynomial", trainable: bool = False
    ) -> None:
        super().__init__()
        self.basis = RADIAL_BASES[basis](cutoff, size, trainable=trainable)
        self.envelope = ENVELOPES[envelope](cutoff)

    def forward(self, r: Tensor) -> Tensor:
        return self.basis(r) * self.envelope(r).unsqueeze(-1)


class AgnesiTransform(ConstantModule):
    """y = 1 / (1 + a s^q / (1 + s^(q-p))), s = r / mean covalent radius.

    Spreads the short distances of each pair of elements (Witt et al., J. Chem. Phys. 159, 164101).
    """

    a, q, p = 1.0805, 0.9183, 4.5791
    radii: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_constant("radii", torch.tensor(COVALENT_RADII, dtype=torch.float64))

    def forward(self, r: Tensor, numbers_i: Tensor, numbers_j: Tensor) -> Tensor:
        s = r / (0.5 * (self.radii[numbers_i] + self.radii[numbers_j]))
        return 1.0 / (1.0 + self.a * s.pow(self.q) / (1.0 + s.pow(self.q - self.p)))


class SoftTransform(ConstantModule):
    """Holds the distance near 3/4 of the sum of covalent radii below it and leaves it as it is above."""

    alpha = 4.0
    radii: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_constant("radii", torch.tensor(COVALENT_RADII, dtype=torch.float64))

    def forward(self, r: Tensor, numbers_i: Tensor, numbers_j: Tensor) -> Tensor:
        bond = self.radii[numbers_i] + self.radii[numbers_j]
        low, high = 0.75 * bond, 4.0 / 3.0 * bond
        step = 0.5 * (1.0 + torch.tanh(self.alpha / (high - low) * (r - 0.5 * (low + high))))
        return low + (r - low) * step


class RadialNetwork(nn.Module):
    """Bias-free perceptron on the radial basis, `[E, N] -> [E, width]`.

    Weights are standard normal and divided by the root of the fan-in when used;
    without a bias the output is exactly zero where the basis is, at the cutoff.
    """

    def __init__(self, size_in: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        widths = (size_in, *hidden)
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(a, b)) for a, b in pairwise(widths))

    def forward(self, basis: Tensor) -> Tensor:
        x = basis
        for weight in self.weights:
            x = scaled_silu(x @ (weight * weight.shape[0] ** -0.5))
        return x
