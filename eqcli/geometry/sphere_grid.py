"""Functions on the sphere: from coefficients of spherical harmonics to values on a grid, and back.

The polar axis is y. A direction has the angles beta from y and alpha about y, counted from z to x:
(x, y, z) = (sin(beta) sin(alpha), cos(beta), sin(beta) cos(alpha)). Harmonics have component
normalisation: the mean of Y_lm^2 over the sphere is 1.
"""

from __future__ import annotations

from functools import cache
from math import prod, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eqcli.geometry.constants import ConstantModule

DENSE_TO = 4
"""Highest degree up to which one matrix is faster than two smaller ones, one for each angle (measured)."""


class Synthesis(ConstantModule):
    """Sums of separable functions on a grid: `f(beta, alpha) = sum_lm x_lm polar_ml(beta) wave_m(alpha)`.

    Parameters
    ----------
    polar
        `[2 lmax + 1, beta, lmax + 1]`: order, node, degree; zero where the degree is below the order.
    wave
        `[alpha, 2 lmax + 1]`.
    dense
        Whether one matrix does both angles; otherwise one matrix for each.
    """

    polar: Tensor
    wave: Tensor
    places: Tensor

    def __init__(self, polar: Tensor, wave: Tensor, *, dense: bool) -> None:
        super().__init__()
        self.lmax, self.dense = polar.shape[2] - 1, dense
        self.res_beta, self.res_alpha = polar.shape[1], wave.shape[0]
        if dense:
            order, degree = padded_places(self.lmax).unbind(1)
            both = wave[:, None, order] * polar[order, :, degree].T
            self.register_constant("wave", both.flatten(0, 1))  # [alpha beta, (lmax+1)^2]
        else:
            self.register_constant("polar", polar)
            self.register_constant("wave", wave)
            self.register_buffer("places", padded_places(self.lmax), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., (l+1)^2, C] -> [..., beta, alpha, C]` for any l <= lmax."""
        degree = round(sqrt(x.shape[-2])) - 1
        flat = components_first(x)  # [(l+1)^2, rows C]
        if self.dense:
            values = self.wave[:, : flat.shape[0]] @ flat
        else:
            orders = slice(self.lmax - degree, self.lmax + degree + 1)
            rings = self.polar[orders, :, : degree + 1] @ pad_orders(flat, self.places, degree, self.lmax)
            values = self.wave[:, orders] @ rings.flatten(1)
        shape = (self.res_alpha, self.res_beta, *x.shape[:-2], x.shape[-1])
        return values.reshape(shape).movedim((1, 0), (-3, -2))


class Analysis(ConstantModule):
    """Sums over a grid: `z_lm = sum f(beta, alpha) polar_ml(beta) wave_m(alpha)`, the transpose of a synthesis.

    `polar` `[2 lmax + 1, lmax + 1, beta]` and `wave` `[2 lmax + 1, alpha]` hold the weights of the quadrature.
    """

    polar: Tensor
    wave: Tensor
    places: Tensor

    def __init__(self, polar: Tensor, wave: Tensor, *, dense: bool) -> None:
        super().__init__()
        self.lmax, self.dense = polar.shape[1] - 1, dense
        if dense:
            order, degree = padded_places(self.lmax).unbind(1)
            both = wave[order, :, None] * polar[order, degree, None, :]
            self.register_constant("wave", both.flatten(1))  # [(lmax+1)^2, alpha beta]
        else:
            self.register_constant("polar", polar)
            self.register_constant("wave", wave)
            self.register_buffer("places", padded_places(self.lmax), persistent=False)

    def forward(self, f: Tensor, lmax: int | None = None) -> Tensor:
        """`[..., beta, alpha, C] -> [..., (lmax+1)^2, C]`."""
        degree = self.lmax if lmax is None else lmax
        values = grid_first(f)  # [alpha, beta, rows C]
        if self.dense:
            flat = self.wave[: (degree + 1) ** 2] @ values.flatten(0, 1)
        else:
            orders = slice(self.lmax - degree, self.lmax + degree + 1)
            rings = (self.wave[orders] @ values.flatten(1)).reshape(2 * degree + 1, *values.shape[1:])
            padded = self.polar[orders, : degree + 1] @ rings
            flat = unpad_orders(padded, self.places, degree, self.lmax)
        return flat.reshape((degree + 1) ** 2, *f.shape[:-3], f.shape[-1]).movedim(0, -2)


class SphereGrid(nn.Module):
    """Gauss-Legendre nodes in cos(beta) times equally spaced alpha, for functions of degree up to lmax.

    The transforms are exact: a function of degrees up to l1 that was multiplied on the grid by one of degrees up
    to l2 has the right coefficients up to l3 when `res_beta >= (l1 + l2 + l3) // 2 + 1` and
    `res_alpha >= l1 + l2 + l3 + 1`; :meth:`for_product` chooses so.

    Parameters
    ----------
    lmax
        Highest degree of any transform.
    res_beta, res_alpha
        Numbers of nodes.
    dense
        One matrix for both angles, or one after the other; None is what is faster at this lmax.
    """

    def __init__(self, lmax: int, res_beta: int, res_alpha: int, *, dense: bool | None = None) -> None:
        super().__init__()
        self.lmax, self.res_beta, self.res_alpha = lmax, res_beta, res_alpha
        self.dense = lmax <= DENSE_TO if dense is None else dense
        polar, weighted = _polar_matrices(lmax, res_beta)
        wave = azimuthal(lmax, res_alpha)
        self.synthesis = Synthesis(polar, wave, dense=self.dense)
        self.analysis = Analysis(weighted, wave.T / res_alpha, dense=self.dense)

    @classmethod
    def for_product(cls, l1: int, l2: int, l3: int, *, dense: bool | None = None) -> SphereGrid:
        """The smallest grid on which products of degrees l1 and l2 have exact coefficients up to l3."""
        total = l1 + l2 + l3
        return cls(max(l1, l2, l3), total // 2 + 1, total + 1, dense=dense)

    @property
    def points(self) -> int:
        return self.res_beta * self.res_alpha

    def directions(self) -> Tensor:
        """Unit vectors of the nodes, `[res_beta, res_alpha, 3]` float64."""
        nodes, _ = gauss_legendre(self.res_beta)
        sine, angle = np.sqrt(1 - nodes**2), azimuths(self.res_alpha)
        x, z = np.outer(sine, np.sin(angle)), np.outer(sine, np.cos(angle))
        return torch.from_numpy(np.stack([x, np.broadcast_to(nodes[:, None], x.shape), z], axis=-1))

    def to_grid(self, x: Tensor) -> Tensor:
        """Values of the functions with coefficients `[..., (l+1)^2, C]`, l <= lmax: `[..., res_beta, res_alpha, C]`."""
        values: Tensor = self.synthesis(x)
        return values

    def from_grid(self, f: Tensor, lmax: int | None = None) -> Tensor:
        """Coefficients up to degree lmax of functions with values `[..., res_beta, res_alpha, C]`."""
        coefficients: Tensor = self.analysis(f, lmax)
        return coefficients

    def multiply_adds(self, degree: int) -> int:
        """Of one transform of one function with degrees up to `degree`, either way."""
        if self.dense:
            return self.points * (degree + 1) ** 2
        return (2 * degree + 1) * (self.res_beta * (degree + 1) + self.points)


def components_first(x: Tensor) -> Tensor:
    """`[..., K, C] -> [K, rows C]`: what follows is then one matrix product over long contiguous rows."""
    return x.movedim(-2, 0).reshape(x.shape[-2], prod(x.shape[:-2]) * x.shape[-1])


def grid_first(f: Tensor) -> Tensor:
    """`[..., beta, alpha, C] -> [alpha, beta, rows C]`: a view of what :meth:`Synthesis.forward` gave."""
    beta, alpha, channels = f.shape[-3:]
    return f.movedim((-3, -2), (1, 0)).reshape(alpha, beta, prod(f.shape[:-3]) * channels)


def pad_orders(flat: Tensor, places: Tensor, degree: int, lmax: int) -> Tensor:
    """`[(l+1)^2, n] -> [2l+1, l+1, n]`: by order, then degree; zero where the degree is below the order."""
    width = degree + 1
    here = _places_within(places, degree, lmax)
    return flat.new_zeros((2 * degree + 1) * width, flat.shape[1]).index_copy(0, here, flat).unflatten(0, (-1, width))


def unpad_orders(padded: Tensor, places: Tensor, degree: int, lmax: int) -> Tensor:
    """The inverse of :func:`pad_orders`."""
    return padded.flatten(0, 1).index_select(0, _places_within(places, degree, lmax))


def _places_within(places: Tensor, degree: int, lmax: int) -> Tensor:
    """Places of the first (degree + 1)^2 coefficients in a table `[2 degree + 1, degree + 1]`."""
    order, column = places[: (degree + 1) ** 2].unbind(1)
    return (order - (lmax - degree)) * (degree + 1) + column


@cache
def padded_places(lmax: int) -> Tensor:
    """Row (m + lmax) and column (l) of each coefficient in the table of :func:`pad_orders`, `[(lmax+1)^2, 2]`."""
    pairs = [(m + lmax, degree) for degree in range(lmax + 1) for m in range(-degree, degree + 1)]
    return torch.tensor(pairs)


@cache
def gauss_legendre(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes in (-1, 1), and weights that add up to 1 as for a mean."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return nodes, weights / 2


def azimuths(n: int) -> NDArray[np.float64]:
    """Equally spaced angles from 0."""
    return 2 * np.pi * np.arange(n) / n


def legendre(lmax: int, cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of Y_lm that depends on beta, `[m, l, ...]` for m, l = 0 .. lmax; zero for l < m.

    The other part is 1, cos(m alpha) or sin(m alpha); sqrt(2) for m > 0 stands here. By the recursion
    in l at fixed m, which is stable for all degrees.
    """
    table = np.zeros((lmax + 1, lmax + 1, *cosine.shape))
    sine = np.sqrt(1 - cosine**2)
    table[0, 0] = 1.0
    for m in range(lmax + 1):
        if m:
            table[m, m] = sqrt((2 * m + 1) / (2 * m) * (2 if m == 1 else 1)) * sine * table[m - 1, m - 1]
        for l in range(m + 1, lmax + 1):  # noqa: E741 (the degree is called l everywhere)
            before = sqrt(((l - 1) ** 2 - m**2) / (4 * (l - 1) ** 2 - 1)) * table[m, l - 2] if l > m + 1 else 0.0
            table[m, l] = sqrt((4 * l**2 - 1) / (l**2 - m**2)) * (cosine * table[m, l - 1] - before)
    return table


@cache
def azimuthal(lmax: int, n: int) -> Tensor:
    """sin(|m| alpha) for m < 0, cos(m alpha) for m >= 0, m = -lmax .. lmax, `[n, 2 lmax + 1]`."""
    orders = np.arange(1, lmax + 1)
    angles = np.outer(azimuths(n), orders)
    return torch.from_numpy(np.concatenate([np.sin(angles[:, ::-1]), np.ones((n, 1)), np.cos(angles)], axis=1))


@cache
def _polar_matrices(lmax: int, n: int) -> tuple[Tensor, Tensor]:
    """The part in beta, `[m, beta, l]`, and with the weights of the quadrature, `[m, l, beta]`; m = -lmax .. lmax."""
    nodes, weights = gauss_legendre(n)
    orders = np.abs(np.arange(-lmax, lmax + 1))
    table = legendre(lmax, nodes)[orders]  # [m, l, beta]
    return torch.from_numpy(np.ascontiguousarray(table.swapaxes(1, 2))), torch.from_numpy(table * weights)
