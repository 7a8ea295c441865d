"""The Gaunt product of vector fields on the sphere, which keeps the antisymmetric couplings.

The harmonics of a tensor make a vector field of vector spherical harmonics: Y_lm along the direction v, and
grad Y_lm / sqrt(l(l+1)) across it. Of two fields F and G, the dot product is a function whose couplings have even
l1 + l2 + l3; the part of the cross product along v is one whose couplings have odd l1 + l2 + l3, the triple
product 1 x 1 -> 1 among them. Under inversion F(v) goes to -F(-v), so that the first is a scalar and the second a
pseudoscalar: its coefficients of degree l have parity -(-1)^l. Both are polynomials on the sphere, so that the
grid of the Gaunt product is exact here too. (Xie, Daigavane, Kotak and Smidt, arXiv:2506.13523, on the couplings
that scalar functions lose.)
"""

from __future__ import annotations

from functools import cache
from math import sqrt

import numpy as np
import torch
from numpy.polynomial import Legendre
from torch import Tensor, nn

from eqcli.geometry.irreps import Irreps, natural
from eqcli.geometry.products.gaunt import SphericalProduct, field_kernel, times_degrees, unit_variance
from eqcli.geometry.sphere_grid import SphereGrid, Synthesis, azimuthal, gauss_legendre, legendre


def twisted(lmax: int, channels: int) -> Irreps:
    """Degrees 1 .. lmax with the parity -(-1)^l of pseudoscalar functions, each `channels` times."""
    return Irreps([(channels, (degree, -((-1) ** degree))) for degree in range(1, lmax + 1)])


class SurfaceGradient(nn.Module):
    """Values of `sum_lm x_lm grad Y_lm / sqrt(l(l+1))` on a grid: components along beta and along alpha."""

    def __init__(self, grid: SphereGrid) -> None:
        super().__init__()
        along_beta, along_alpha = _gradient_tables(grid.lmax, grid.res_beta)
        self.along_beta = Synthesis(along_beta, azimuthal(grid.lmax, grid.res_alpha), dense=grid.dense)
        # The derivative of the wave of order m is -m times that of order -m; the table holds the factor.
        self.along_alpha = Synthesis(along_alpha, azimuthal(grid.lmax, grid.res_alpha).flip(1), dense=grid.dense)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`[..., (l+1)^2, C] -> 2 [..., beta, alpha, C]`; the coefficient of degree 0 has no gradient."""
        return self.along_beta(x), self.along_alpha(x)


class GauntVector(SphericalProduct):
    """Dot product and radial cross product of two vector fields.

    The result has degrees 0 .. lmax_out with natural parity from the dot product, then degrees 1 .. lmax_out with the
    other parity from the cross product. Weights, per degree and channel: of the radial and of the tangential part
    of each factor, then of the result. Inputs and weights of unit variance, each component independent, give
    components of unit variance.
    """

    name = "gaunt-vector"
    lowest_degrees = (0, 1)
    scale: Tensor

    def __init__(self, lmax1: int, lmax2: int, lmax_out: int, channels: int, channels2: int | None = None) -> None:
        super().__init__(lmax1, lmax2, lmax_out, channels, channels2)
        self.grid = SphereGrid.for_product(lmax1, lmax2, lmax_out)
        self.gradient = SurfaceGradient(self.grid)
        self.register_constant("scale", _scales(lmax1, lmax2, lmax_out))

    def _result(self) -> Irreps:
        self.lmax_odd = _highest_odd(self.lmax1, self.lmax2, self.lmax_out)
        return natural(self.lmax_out, self.channels) + twisted(self.lmax_odd, self.channels)

    @property
    def points(self) -> int:
        return self.grid.points

    def whole(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        f, g = self.factors(x, y)
        radial1, tangent1, radial2, tangent2, after = f, f, g, g, self.scale
        if weight is not None:
            a1, b1, a2, b2, last = self.weights(weight)
            radial1, tangent1 = times_degrees(f, a1), times_degrees(f, _from_degree_zero(b1))
            radial2, tangent2 = times_degrees(g, a2), times_degrees(g, _from_degree_zero(b2))
            after = after * last
        beta1, alpha1 = self.gradient(tangent1)
        beta2, alpha2 = self.gradient(tangent2)
        dot = self.grid.to_grid(radial1) * self.grid.to_grid(radial2) + beta1 * beta2 + alpha1 * alpha2
        cross = beta1 * alpha2 - alpha1 * beta2
        even = times_degrees(self.grid.from_grid(dot, self.lmax_out), after[..., : self.lmax_out + 1, :])
        if not self.lmax_odd:
            return even.flatten(-2)
        odd = self.grid.from_grid(cross, self.lmax_odd)[..., 1:, :]
        odd = times_degrees(odd, after[..., self.lmax_out + 1 :, :], lowest=1)
        return torch.cat([even, odd], dim=-2).flatten(-2)

    def product_multiply_adds(self) -> int:
        inputs = 3 * sum(self.grid.multiply_adds(degree) for degree in (self.lmax1, self.lmax2))
        result = self.grid.multiply_adds(self.lmax_out) + self.grid.multiply_adds(self.lmax_odd)
        return inputs + 5 * self.grid.points + result

    def _note(self) -> str:
        return "Couplings share the weights of their degrees; results of natural parity have even l1 + l2 + l3."


def build(lmax: int, channels: int) -> GauntVector:
    """Both factors and the result with degrees 0 .. lmax."""
    return GauntVector(lmax, lmax, lmax, channels)


def _from_degree_zero(weight: Tensor) -> Tensor:
    """Weights of degrees 1 .. L with a zero for degree 0, which has no tangential part."""
    return nn.functional.pad(weight, (0, 0, 1, 0))


@cache
def _gradient_tables(lmax: int, n: int) -> tuple[Tensor, Tensor]:
    """Parts in beta of the two components of grad Y_lm / sqrt(l(l+1)), `[m, beta, l]` each.

    The derivative by beta comes from sin(beta) dP_l/dbeta = l cos(beta) P_l - ... P_(l-1).
    """
    nodes, _ = gauss_legendre(n)
    table = legendre(lmax, nodes)  # [|m|, l, beta]
    sine = np.sqrt(1 - nodes**2)
    slope = np.zeros_like(table)
    for m in range(lmax + 1):
        for l in range(max(m, 1), lmax + 1):  # noqa: E741 (the degree is called l everywhere)
            before = sqrt((2 * l + 1) * (l**2 - m**2) / (2 * l - 1)) * table[m, l - 1]
            slope[m, l] = (l * nodes * table[m, l] - before) / sine
    orders = np.arange(-lmax, lmax + 1)
    degrees = np.arange(lmax + 1)
    norm = np.where(degrees > 0, 1 / np.sqrt(np.maximum(degrees * (degrees + 1), 1)), 0.0)
    along_beta = slope[np.abs(orders)] * norm[:, None]
    along_alpha = -orders[:, None, None] * table[np.abs(orders)] * norm[:, None] / sine
    return _node_before_degree(along_beta), _node_before_degree(along_alpha)


def _node_before_degree(table: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(table.swapaxes(1, 2)))


@cache
def _scales(lmax1: int, lmax2: int, lmax_out: int) -> Tensor:
    """One over the standard deviation of each degree of the result, even couplings, then odd ones, `[degrees, 1]`."""
    (along1, across1), (along2, across2) = _tangential_kernels(lmax1), _tangential_kernels(lmax2)
    dot = field_kernel(lmax1) * field_kernel(lmax2) + along1 * along2 + across1 * across2
    cross = along1 * across2 + across1 * along2
    highest = _highest_odd(lmax1, lmax2, lmax_out)
    return torch.cat([unit_variance(dot, lmax_out), unit_variance(cross, highest, lowest=1)])


def _highest_odd(lmax1: int, lmax2: int, lmax_out: int) -> int:
    """Highest degree of the cross product, which is below l1 + l2; 0, which it never has, when there is none."""
    return min(lmax_out, lmax1 + lmax2 - 1) if min(lmax1, lmax2) else 0


def _tangential_kernels(lmax: int) -> tuple[Legendre, Legendre]:
    """Covariances of the tangential field at two points, by the cosine x of the angle between them.

    For the components along the arc that joins them and across it: -d^2/dangle^2 and d/dx of P_l.
    """
    x, sine2 = Legendre([0.0, 1.0]), Legendre([2 / 3, 0.0, -2 / 3])
    along, across = Legendre([0.0]), Legendre([0.0])
    for l in range(1, lmax + 1):  # noqa: E741 (the degree is called l everywhere)
        factor = (2 * l + 1) / (l * (l + 1))
        slope = Legendre.basis(l).deriv()
        along += factor * (x * slope - sine2 * slope.deriv())
        across += factor * slope
    return along, across
