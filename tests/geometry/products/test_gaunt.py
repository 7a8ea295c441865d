"""Gaunt products against integrals over the sphere done the slow way."""

from __future__ import annotations

from functools import cache
from itertools import product as pairs
from math import sqrt

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import Legendre, leggauss
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.irreps import Irrep, Irreps
from eqcli.geometry.products import gaunt
from eqcli.geometry.products.gaunt import SphericalProduct
from eqcli.geometry.products.gaunt_fourier import GauntFourier
from eqcli.geometry.products.gaunt_grid import GauntGrid
from eqcli.geometry.products.gaunt_vector import GauntVector
from eqcli.geometry.spherical_harmonics import SphericalHarmonics

SCALAR = [GauntGrid, GauntFourier]
SIZES = [(0, 0, 0), (1, 1, 1), (2, 1, 3), (1, 3, 2), (3, 3, 3), (5, 5, 5), (2, 2, 4), (0, 2, 2)]


@cache
def sphere(n: int = 24) -> tuple[Tensor, Tensor]:
    """Directions and weights of a quadrature that has nothing to do with y as the polar axis."""
    nodes, weights = leggauss(n)
    angle = 2 * np.pi * (np.arange(2 * n) + 0.3) / (2 * n)
    sine = np.sqrt(1 - nodes**2)[:, None]
    v = np.stack([sine * np.cos(angle), sine * np.sin(angle), nodes[:, None] + 0 * angle], axis=-1)
    return torch.from_numpy(v.reshape(-1, 3)), torch.from_numpy(np.repeat(weights / 2, 2 * n) / (2 * n))


@cache
def harmonics(lmax: int) -> tuple[Tensor, Tensor]:
    """Harmonics `[P, K]` and their gradients along the sphere `[P, K, 3]`, these over sqrt(l(l+1))."""
    v, _ = sphere()
    evaluate = SphericalHarmonics(lmax).double()

    u = v.clone().requires_grad_()
    values = evaluate(torch.nn.functional.normalize(u, dim=1))
    # Degree 0 is a constant, for which there may be no graph.
    columns = [torch.autograd.grad(values[:, k].sum(), u, retain_graph=True)[0] for k in range(1, values.shape[1])]
    slopes = torch.stack([torch.zeros_like(v), *columns], dim=1)
    norm = torch.tensor([max(degree * (degree + 1), 1) for degree in degrees(lmax)]).double().sqrt()
    return values.detach(), slopes / norm[:, None]


def integrals(l1: int, l2: int, l3: int) -> Tensor:
    """Integrals of three harmonics of all degrees up to these, `[K1, K2, K3]`."""
    _, weights = sphere()
    return torch.einsum("p,pi,pj,pk->ijk", weights, *(harmonics(degree)[0] for degree in (l1, l2, l3)))


def tangential(l1: int, l2: int, l3: int) -> tuple[Tensor, Tensor]:
    """Integrals of a harmonic with the dot and with the radial cross product of two gradients."""
    v, weights = sphere()
    (_, a), (_, b), (c, _) = harmonics(l1), harmonics(l2), harmonics(l3)
    dot = torch.einsum("p,pix,pjx,pk->ijk", weights, a, b, c)
    levi = torch.zeros(3, 3, 3, dtype=torch.float64)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        levi[i, j, k], levi[j, i, k] = 1.0, -1.0
    # Over one index at a time: all at once would be a tensor of points times pairs times axes squared.
    turned = torch.einsum("xyz,pz,pjy->pjx", levi, v, b)
    return dot, torch.einsum("p,pix,pjx,pk->ijk", weights, a, turned, c)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def degrees(lmax: int, lowest: int = 0) -> list[int]:
    return [degree for degree in range(lowest, lmax + 1) for _ in range(2 * degree + 1)]


def whole(product: SphericalProduct, weight: Tensor | None = None) -> Tensor:
    """The coefficients of a product of one channel, `[K1, K2, K3]`, from unit vectors."""
    x, y = torch.eye(product.irreps_in1.dim).double(), torch.eye(product.irreps_in2.dim).double()
    return product(x[:, None].expand(-1, len(y), -1), y.expand(len(x), -1, -1), weight)


def normalised(coefficients: Tensor, lowest: int = 0) -> Tensor:
    """Divided so that each degree of the result has unit variance."""
    power = coefficients.square().sum((0, 1))
    lmax = round(sqrt(len(power) + lowest)) - 1
    of_degree = torch.tensor(degrees(lmax, lowest))
    return coefficients / torch.stack([power[of_degree == degree].mean() for degree in of_degree]).sqrt()


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", SCALAR)
def test_coefficients_are_integrals_of_three_harmonics(kind: type, sizes: tuple[int, int, int]) -> None:
    found = whole(kind(*sizes, 1).double())
    torch.testing.assert_close(found, normalised(integrals(*sizes)), rtol=0, atol=1e-12)


def test_the_integrals_are_coupling_coefficients_times_the_symbol_without_orders() -> None:
    nodes, weights = leggauss(12)
    table = integrals(3, 3, 3)
    for l1, l2, l3 in pairs(range(4), repeat=3):
        block = table[l1 * l1 : (l1 + 1) ** 2, l2 * l2 : (l2 + 1) ** 2, l3 * l3 : (l3 + 1) ** 2]
        if not abs(l1 - l2) <= l3 <= l1 + l2:
            assert float(block.abs().max()) < 1e-14
            continue
        square = float(weights @ np.prod([Legendre.basis(degree)(nodes) for degree in (l1, l2, l3)], axis=0)) / 2
        size = sqrt((2 * l1 + 1) * (2 * l2 + 1) * (2 * l3 + 1) * max(square, 0.0))
        coupling = clebsch_gordan(l1, l2, l3)
        assert float((block - torch.sum(block * coupling) * coupling).abs().max()) < 1e-13
        assert float(block.norm()) == pytest.approx(size, abs=1e-7)
        assert (size > 1e-6) == ((l1 + l2 + l3) % 2 == 0)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 3, 4), (3, 3, 3), (1, 0, 1), (2, 2, 4)])
def test_vector_fields_give_dot_and_cross_products(sizes: tuple[int, int, int]) -> None:
    l1, l2, l3 = sizes
    product = GauntVector(*sizes, 1).double()
    dot, cross = tangential(*sizes)
    top = product.lmax_odd
    radial, tangent = torch.zeros(2, product.weight_numel).double()
    places = torch.cumsum(torch.tensor([0, l1 + 1, l1, l2 + 1, l2]), 0)
    for chosen, (one, two) in ((radial, (0, 2)), (tangent, (1, 3))):
        for start in (one, two):
            chosen[places[start] : places[start + 1]] = 1.0
        chosen[places[4] :] = 1.0
    # Of the even couplings the radial and the tangential ones count together.
    both = torch.cat([integrals(*sizes), dot])
    even = normalised(both)
    size = (l3 + 1) ** 2
    found = whole(product, radial)
    torch.testing.assert_close(found[..., :size], even[: len(dot)], rtol=0, atol=1e-12)
    assert float(found[..., size:].abs().sum()) == 0.0
    found = whole(product, tangent)
    torch.testing.assert_close(found[..., :size], even[len(dot) :], rtol=0, atol=1e-12)
    if top:
        odd = normalised(cross[..., 1 : (top + 1) ** 2], lowest=1)
        torch.testing.assert_close(found[..., size:], odd, rtol=0, atol=1e-12)


def test_one_by_one_is_the_cross_product_of_vectors() -> None:
    product = GauntVector(1, 1, 1, 1).double()
    a, b = normal(5, 3), normal(5, 3, seed=1)
    zero = torch.zeros(5, 1, dtype=torch.float64)
    axial = product(torch.cat([zero, a], 1), torch.cat([zero, b], 1))[:, 4:]
    assert product.irreps_out[-1].ir == Irrep("1e")
    torch.testing.assert_close(axial, torch.linalg.cross(a, b) / sqrt(2), rtol=0, atol=1e-13)


@pytest.mark.parametrize("lmax", [1, 2, 4])
def test_the_vector_product_has_every_coupling_that_parity_allows(lmax: int) -> None:
    product = GauntVector(lmax, lmax, lmax, 1).double()
    table = whole(product, normal(product.weight_numel))
    start, found = 0, set()
    for _, ir in product.irreps_out:
        block = table[..., start : start + ir.dim]
        start += ir.dim
        for l1, l2 in pairs(range(lmax + 1), repeat=2):
            if float(block[l1 * l1 : (l1 + 1) ** 2, l2 * l2 : (l2 + 1) ** 2].abs().max()) > 1e-9:
                found.add((l1, l2, str(ir)))
    allowed = {
        (one.ir.l, two.ir.l, str(three))
        for one, two in pairs(product.irreps_in1, product.irreps_in2)
        for three in one.ir * two.ir
        if three.l <= lmax
    }
    assert found == allowed
    told = product.explain().paths
    assert {(Irrep(path.first).l, Irrep(path.second).l, path.result) for path in told} == allowed


@pytest.mark.parametrize("kind", [*SCALAR, GauntVector])
def test_weights_of_ones_are_no_weights_and_zeros_silence_their_degree(kind: type) -> None:
    product = kind(2, 2, 2, 2).double()
    x, y = normal(3, 18), normal(3, 18, seed=1)
    ones = torch.ones(product.weight_numel, dtype=torch.float64)
    torch.testing.assert_close(product(x, y, ones), product(x, y), rtol=0, atol=1e-14)
    last = len(product.irreps_out) * 2
    ones[-last + 2 * 1] = 0.0  # degree 1 of the result, first channel
    changed = product(x, y, ones) - product(x, y)
    silenced = changed.unflatten(-1, (-1, 2)).abs().amax(0) > 1e-12
    assert silenced[:, 0].nonzero().flatten().tolist() == [1, 2, 3]
    assert not silenced[:, 1].any()


@pytest.mark.parametrize("kind", [*SCALAR, GauntVector])
def test_one_channel_of_the_second_factor_meets_all(kind: type) -> None:
    one, many = kind(2, 1, 2, 3, 1).double(), kind(2, 1, 2, 3).double()
    x, y = normal(4, 27), normal(4, 4, seed=1)
    repeated = y.unsqueeze(-1).expand(-1, -1, 3).flatten(-2)
    torch.testing.assert_close(one(x, y), many(x, repeated), rtol=0, atol=1e-13)
    assert one.irreps_in2 == Irreps("1x0e+1x1o")


@pytest.mark.parametrize("kind", [*SCALAR, GauntVector])
def test_rows_taken_in_pieces(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    product = kind(2, 2, 2, 2).double()
    x, y, weight = normal(7, 18), normal(7, 18, seed=1), normal(7, product.weight_numel, seed=2)
    expected = [product(x, y, w) for w in (None, weight[0], weight)]
    monkeypatch.setattr(gaunt, "PIECE_BYTES", 3 * 8 * 2 * product.points)
    parts: list[int] = []
    monkeypatch.setattr(product, "whole", lambda *piece: parts.append(len(piece[0])) or kind.whole(product, *piece))
    for w, whole_result in zip((None, weight[0], weight), expected, strict=True):
        torch.testing.assert_close(product(x, y, w), whole_result, rtol=0, atol=1e-13)
    assert parts == [3, 3, 1] * 3


@pytest.mark.parametrize("kind", [*SCALAR, GauntVector])
def test_impossible_sizes_are_refused(kind: type) -> None:
    with pytest.raises(ValueError, match="second factor needs 4 channels or 1, got 2"):
        kind(1, 1, 1, 4, 2)
    with pytest.raises(ValueError, match="none above 2, got 3"):
        kind(1, 1, 3, 4)
