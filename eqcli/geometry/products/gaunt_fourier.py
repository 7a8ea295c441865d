"""The Gaunt product by Fourier series in both angles.

With beta extended to the whole circle, f(-beta, alpha) = f(beta, alpha + pi), a harmonic is a finite Fourier series:
cos(u beta) for even m and sin(u beta) for odd m, times cos(m alpha) or sin(m alpha). The product is a convolution of
the coefficients, made by transforming to enough equally spaced angles and back. The transforms are matrices: at these
lengths (below 50) they are faster than FFTs, and no number is complex. (Luo, Chen and Krishnapriyan,
arXiv:2401.10216, section 3.2.)
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from eqcli.geometry.products.gaunt import GauntProduct
from eqcli.geometry.sphere_grid import (
    azimuthal,
    components_first,
    gauss_legendre,
    legendre,
    pad_orders,
    padded_places,
    unpad_orders,
)


class GauntFourier(GauntProduct):
    """The Gaunt product by two-dimensional Fourier series, all in real numbers."""

    name = "gaunt-fourier"
    to_fourier: Tensor
    from_fourier: Tensor
    waves: Tensor
    waves_back: Tensor
    azimuth: Tensor
    places: Tensor

    def __init__(self, lmax1: int, lmax2: int, lmax_out: int, channels: int, channels2: int | None = None) -> None:
        super().__init__(lmax1, lmax2, lmax_out, channels, channels2)
        self.lmax = max(lmax1, lmax2, lmax_out)
        self.res_beta, self.res_alpha = lmax1 + lmax2 + 1, lmax1 + lmax2 + lmax_out + 1
        self.register_constant("to_fourier", _to_fourier(self.lmax))
        self.register_constant("from_fourier", _from_fourier(self.lmax, lmax1 + lmax2))
        waves = _polar_waves(self.lmax, lmax1 + lmax2)
        self.register_constant("waves", waves)
        self.register_constant("waves_back", _inverse(waves))
        self.register_constant("azimuth", azimuthal(self.lmax, self.res_alpha))
        self.register_buffer("places", padded_places(self.lmax), persistent=False)

    @property
    def points(self) -> int:
        return self.res_alpha * self.res_beta

    def multiply(self, f: Tensor, g: Tensor) -> Tensor:
        return self._coefficients(self._values(f) * self._values(g))

    def _values(self, f: Tensor) -> Tensor:
        """At equally spaced angles, `[alpha, beta, ..., C]`, by way of the Fourier coefficients."""
        degree = self.lmax1 if f.shape[-2] == (self.lmax1 + 1) ** 2 else self.lmax2
        orders, width = self._orders(degree), degree + 1
        padded = pad_orders(components_first(f), self.places, degree, self.lmax)
        series = self.to_fourier[orders, :width, :width] @ padded  # [m, u, rows C]
        rings = self.waves[orders, :, :width] @ series  # [m, beta, rows C]
        values = self.azimuth[:, orders] @ rings.flatten(1)
        return values.reshape(self.res_alpha, self.res_beta, *f.shape[:-2], f.shape[-1])

    def _coefficients(self, values: Tensor) -> Tensor:
        """Of the harmonics, `[..., (lmax_out+1)^2, C]`, by way of the Fourier coefficients."""
        orders = self._orders(self.lmax_out)
        rows = values.shape[2:]
        rings = (self.azimuth[:, orders].T / self.res_alpha) @ values.flatten(1)
        series = self.waves_back[orders] @ rings.reshape(rings.shape[0], self.res_beta, rows.numel())
        padded = self.from_fourier[orders, : self.lmax_out + 1] @ series
        coefficients = unpad_orders(padded, self.places, self.lmax_out, self.lmax)
        return coefficients.reshape((self.lmax_out + 1) ** 2, *rows).movedim(0, -2)

    def _orders(self, degree: int) -> slice:
        return slice(self.lmax - degree, self.lmax + degree + 1)

    def product_multiply_adds(self) -> int:
        inputs = sum(
            (2 * l + 1) * ((l + 1) * (l + 1 + self.res_beta) + self.points)
            for l in (self.lmax1, self.lmax2)  # noqa: E741 (the degree is called l everywhere)
        )
        result = (2 * self.lmax_out + 1) * (self.points + self.res_beta * (self.res_beta + self.lmax_out + 1))
        return inputs + self.points + result


def build(lmax: int, channels: int) -> GauntFourier:
    """Both factors and the result with degrees 0 .. lmax."""
    return GauntFourier(lmax, lmax, lmax, channels)


@cache
def _polar_waves(lmax: int, highest: int) -> Tensor:
    """cos(u beta) for even m, sin(u beta) for odd m, `[m, beta, u]`, u = 0 .. highest, m = -lmax .. lmax.

    At highest + 1 angles in (0, pi): symmetry gives the other half of the circle.
    """
    count = highest + 1
    phase = np.outer((np.arange(count) + 0.5) * np.pi / count, np.arange(count))
    odd = np.abs(np.arange(-lmax, lmax + 1)) % 2 == 1
    return torch.from_numpy(np.where(odd[:, None, None], np.sin(phase), np.cos(phase)))


def _inverse(waves: Tensor) -> Tensor:
    """`[m, u, beta]`: from values to coefficients; cosines and sines are orthogonal at these angles."""
    back = waves.transpose(1, 2).clone()
    squares = back.square().sum(2, keepdim=True)
    return torch.where(squares > 0.5, back / squares.clamp(min=0.5), 0.0)


@cache
def _to_fourier(lmax: int) -> Tensor:
    """Coefficients in u of the part of Y_lm in beta, `[m, u, l]`."""
    angles = (np.arange(lmax + 1) + 0.5) * np.pi / (lmax + 1)
    table = _by_order(lmax, legendre(lmax, np.cos(angles)))  # [m, l, beta]
    return torch.einsum("mub,mlb->mul", _inverse(_polar_waves(lmax, lmax)), table).contiguous()


@cache
def _from_fourier(lmax: int, highest: int) -> Tensor:
    """Means over the sphere of the part of Y_lm in beta with cos(u beta) or sin(u beta), `[m, l, u]`."""
    nodes, weights = gauss_legendre((lmax + highest) // 2 + 1)
    table = _by_order(lmax, legendre(lmax, nodes))
    phase = np.outer(np.arccos(nodes), np.arange(highest + 1))
    odd = np.abs(np.arange(-lmax, lmax + 1)) % 2 == 1
    waves = torch.from_numpy(np.where(odd[:, None, None], np.sin(phase), np.cos(phase)))
    return torch.einsum("mlb,b,mbu->mlu", table, torch.from_numpy(weights), waves).contiguous()


def _by_order(lmax: int, table: np.ndarray) -> Tensor:
    return torch.from_numpy(table[np.abs(np.arange(-lmax, lmax + 1))])
