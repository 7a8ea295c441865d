"""Nonlinearities of spherical tensors taken as functions on the sphere."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.sphere_grid import SphereGrid, gauss_legendre
from eqcli.nn.activation import activation, normal_mean, normal_nodes

TERMS = 80
"""Hermite polynomials that an activation is expanded in."""


class S2Activation(ConstantModule):
    """Features as functions on the sphere, an activation at each point, and back, `[..., (lmax+1)^2, C]`.

    Only approximately equivariant: the activated function has degrees beyond lmax, and what of them the grid
    takes for low degrees turns with the grid. The error falls with the resolution, quickly for smooth
    activations; a gate has none (:class:`eqcli.nn.gate.Gate`). Natural parities (-1)^l are kept as far as
    equivariance is.

    Each degree is scaled so that normal input gives unit variance on an infinitely fine grid.

    Parameters
    ----------
    lmax
        Highest degree of input and result.
    resolution
        Points in the polar angle, and one more than twice as many about the axis; 2 (lmax + 2) when None.
    name
        In :data:`eqcli.nn.activation.ACTIVATIONS`.
    """

    scales: Tensor
    lowest: int = 0

    def __init__(self, lmax: int, resolution: int | None = None, name: str = "silu") -> None:
        super().__init__()
        self.lmax = lmax
        polar = 2 * (lmax + 2) if resolution is None else resolution
        self.grid = SphereGrid(lmax, polar, 2 * polar + 1)
        self.activation = activation(name)
        by_degree = torch.tensor(degree_scales(name, lmax), dtype=torch.float64)
        components = torch.tensor([2 * degree + 1 for degree in range(lmax + 1)])
        self.register_constant("scales", by_degree.repeat_interleave(components).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:-1] != ((self.lmax + 1) ** 2,):
            raise ValueError(
                f"features are [..., {(self.lmax + 1) ** 2}, C] for lmax = {self.lmax}, got {list(x.shape)}"
            )
        # Coefficients of unit variance give values of variance (lmax + 1)^2.
        values = self.grid.to_grid(x / (self.lmax + 1))
        return self.grid.from_grid(self.activation.function(values)) * self.scales


class SeparableS2Activation(nn.Module):
    """Scalars through an activation of their own, all l > 0 through :class:`S2Activation` (EquiformerV2, sec. 4.3).

    `scalars [..., C]` and `x [..., (lmax+1)^2, C]` -> `[..., (lmax+1)^2, C]`. The scalars of `x` take part on
    the sphere and are then replaced by the activated `scalars`. Approximately equivariant, as that is.
    """

    def __init__(self, lmax: int, resolution: int | None = None, name: str = "silu") -> None:
        super().__init__()
        self.sphere = S2Activation(lmax, resolution, name)
        self.activation = activation(name)

    def forward(self, scalars: Tensor, x: Tensor) -> Tensor:
        turned = self.sphere(x)
        return torch.cat([self.activation(scalars).unsqueeze(-2), turned[..., 1:, :]], dim=-2)


@cache
def degree_scales(name: str, lmax: int) -> list[float]:
    """Factors that give each degree the mean square 1 after an activation at all points of the sphere.

    With normal coefficients the values are a Gaussian random function with correlation
    K(t) = sum_l (2l+1) P_l(t) / (lmax+1)^2, t the cosine of the angle between two points. In Hermite
    polynomials the activated function has correlation sum_k a_k^2 K(t)^k, and that of degree l is its
    projection on P_l.
    """
    nodes, weights = gauss_legendre(4 * (lmax + 1) + TERMS)
    legendre = np.polynomial.legendre.legvander(nodes, lmax)  # [t, l]
    correlation = legendre @ (2.0 * np.arange(lmax + 1) + 1.0) / (lmax + 1) ** 2
    activated = np.polynomial.polynomial.polyval(correlation, hermite_coefficients(name) ** 2)
    return [float(v**-0.5) for v in (weights * activated) @ legendre]


@cache
def hermite_coefficients(name: str) -> np.ndarray:
    """a_k = E[f(z) He_k(z)] / sqrt(k!) for k < TERMS and z ~ N(0, 1); their squares add up to E[f(z)^2]."""
    z = normal_nodes()
    values = activation(name).function(z)
    before, here = torch.zeros_like(z), torch.ones_like(z)
    found = []
    for k in range(TERMS):
        found.append(float(normal_mean(values * here, z)))
        before, here = here, (z * here - k**0.5 * before) / (k + 1) ** 0.5
    return np.array(found)
