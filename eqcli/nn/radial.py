"""Functions of the distance between two atoms."""

from __future__ import annotations

from itertools import pairwise
from math import pi, sqrt

import torch
from torch import Tensor, nn

from eqcli.elements import COVALENT_RADII
from eqcli.geometry.constants import ConstantModule

SILU_SCALE = 1.6765324703310907
"""1 / sqrt(E[silu(z)^2]) for z ~ N(0, 1): keeps the variance of activations at one."""


def scaled_silu(x: Tensor) -> Tensor:
    """SiLU with unit second moment for standard normal input."""
    return SILU_SCALE * nn.functional.silu(x)


def polynomial_cutoff(x: Tensor, p: int) -> Tensor:
    """Envelope that falls from 1 at x = 0 to 0 at x = 1 with p - 1 vanishing derivatives there.

    Gasteiger et al., ICLR 2020 (DimeNet), eq. 8; zero beyond 1.
    """
    a, b, c = (p + 1) * (p + 2) / 2, p * (p + 2), p * (p + 1) / 2
    envelope = 1.0 - x.pow(p) * (a - x * (b - c * x))
    return torch.where(x < 1.0, envelope, torch.zeros_like(x))


class BesselBasis(ConstantModule):
    """sqrt(2/rc) sin(n pi r / rc) / r for n = 1..N, `[E] -> [E, N]` (DimeNet eq. 7)."""

    frequencies: Tensor

    def __init__(self, cutoff: float, size: int) -> None:
        super().__init__()
        self.prefactor = sqrt(2.0 / cutoff)
        frequencies = torch.arange(1, size + 1, dtype=torch.float64) * (pi / cutoff)
        self.register_constant("frequencies", frequencies)

    def forward(self, r: Tensor) -> Tensor:
        r = r.unsqueeze(-1)
        return self.prefactor * torch.sin(r * self.frequencies) / r


class GaussianBasis(ConstantModule):
    """Gaussians on an even grid from 0 to the cutoff, as wide as the grid is fine, `[E] -> [E, N]`."""

    centres: Tensor

    def __init__(self, cutoff: float, size: int) -> None:
        super().__init__()
        centres = torch.linspace(0.0, cutoff, size, dtype=torch.float64)
        self.register_constant("centres", centres)
        self.exponent = -0.5 * ((max(size, 2) - 1) / cutoff) ** 2

    def forward(self, r: Tensor) -> Tensor:
        return torch.exp(self.exponent * (r.unsqueeze(-1) - self.centres) ** 2)


RADIAL_BASES: dict[str, type[BesselBasis] | type[GaussianBasis]] = {"bessel": BesselBasis, "gaussian": GaussianBasis}


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
