"""The product of spherical tensors as a product of matrices.

The matrices on the space of degree j hold the degrees 0 .. 2j, each once, as j (x) j decomposes. Tensors up to
degree L are such matrices for j = L/2 rounded up, so that the basis stays real; they are multiplied and the
result is decomposed again: O(L^3) for the product, and antisymmetric couplings (cross products) are kept.
Each coupling (l1, l2, l3) has a fixed coefficient, a 6j symbol of (l1, l2, l3; j, j, j), times the weights
w1[l1] w2[l2] w3[l3]. (Unke and Maennel, arXiv:2401.07595, "fused tensor layers".)

Reflections: the product itself knows rotations alone, for the parity of j drops out. Parts of even parity E and
of odd parity O are told apart by their signs: (E1 + O1)(E2 + O2) and (E1 - O1)(E2 - O2) add up to twice the
even part of the result and differ by twice the odd part.
"""

from __future__ import annotations

from functools import cache
from math import sqrt

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.irreps import Irrep, Irreps, natural, uniform_multiplicity
from eqcli.geometry.products.base import Explanation, Product, ProductPath

NEGLIGIBLE = 1e-10
"""Couplings with a smaller coefficient than this vanish but for rounding."""


class MatrixProduct(Product):
    """Channel by channel, with weights per degree and channel of both factors and of the result.

    `weight` holds the three sets one after the other, each `[irreps, channels]`; None stands for ones.

    Parameters
    ----------
    irreps_in1, irreps_in2, irreps_out
        Every irrep once with the same number of channels; the second factor may have one channel, which then
        meets all of the first. Raises ValueError for anything else, and for degrees of the result that matrices of
        the size needed for the factors do not hold.
    """

    name = "matrix"
    embed1: Tensor
    embed2: Tensor
    project: Tensor

    def __init__(self, irreps_in1: Irreps, irreps_in2: Irreps, irreps_out: Irreps) -> None:
        super().__init__()
        self.irreps_in1, self.irreps_in2, self.irreps_out = irreps_in1, irreps_in2, irreps_out
        self.channels, self.channels2, channels3 = map(uniform_multiplicity, (irreps_in1, irreps_in2, irreps_out))
        if self.channels != channels3 or self.channels2 not in (1, self.channels):
            raise ValueError(f"{irreps_in1} times {irreps_in2} cannot give {irreps_out} channel by channel")
        j = (max(irreps_in1.lmax, irreps_in2.lmax) + 1) // 2
        self.size = 2 * j + 1
        self.register_constant("embed1", _embedding(_kinds(irreps_in1), j))
        self.register_constant("embed2", _embedding(_kinds(irreps_in2), j))
        self.register_constant("project", _projection(_kinds(irreps_in1), _kinds(irreps_in2), _kinds(irreps_out), j))
        self._shapes = [
            (len(irreps), mul)
            for irreps, mul in ((irreps_in1, self.channels), (irreps_in2, self.channels2), (irreps_out, channels3))
        ]
        self.weight_numel = sum(n * mul for n, mul in self._shapes)
        for number, irreps in enumerate((irreps_in1, irreps_in2, irreps_out)):
            self.register_constant(f"spread{number}", _spread(_kinds(irreps)))

    def bilinear(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        leading = x.shape[:-1]
        scales = self._scales(weight)
        a = self._matrices(x, scales[0], self.embed1, self.channels)  # [n, channels, 2, size, size]
        b = self._matrices(y, scales[1], self.embed2, self.channels2)
        z = (a @ b).flatten(2) @ self.project  # [n, channels, components]
        z = z.transpose(1, 2) if scales[2] is None else z.transpose(1, 2) * scales[2]
        return z.reshape((*leading, self.channels * self.project.shape[1]))

    def _scales(self, weight: Tensor | None) -> list[Tensor | None]:
        """Weights of both factors and the result for each component, `[1 or n, components, channels]`."""
        if weight is None:
            return [None] * 3
        parts = weight.reshape(-1, self.weight_numel).split([n * mul for n, mul in self._shapes], dim=1)
        return [
            getattr(self, f"spread{number}") @ part.unflatten(1, shape)
            for number, (part, shape) in enumerate(zip(parts, self._shapes, strict=True))
        ]

    def _matrices(self, x: Tensor, scale: Tensor | None, embedding: Tensor, channels: int) -> Tensor:
        x = x.reshape(-1, embedding.shape[0], channels)
        if scale is not None:
            x = x * scale
        return (x.transpose(1, 2) @ embedding).unflatten(2, (2, self.size, self.size))

    def explain(self) -> Explanation:
        table = _couplings(_kinds(self.irreps_in1), _kinds(self.irreps_in2), _kinds(self.irreps_out))
        paths = [
            ProductPath(f"{self.channels}x{one}", f"{self.channels2}x{two}", f"{self.channels}x{three}", 0, 0)
            for one, two, three in table
        ]
        numbers = 2 * self.size**2 * (self.embed1.shape[0] + self.project.shape[1]) + 2 * self.size**3
        return Explanation(
            self.name, str(self.irreps_in1), str(self.irreps_in2), str(self.irreps_out), paths,
            weights=self.weight_numel,
            multiply_adds=self.channels * numbers + self.channels2 * 2 * self.size**2 * self.embed2.shape[0],
            bytes=self.moved_bytes(),
            note=f"two products of {self.size} x {self.size} matrices per channel; fixed ratios between paths",
        )  # fmt: skip


Kinds = tuple[tuple[int, int], ...]
"""Degree and parity of each irrep."""


def _kinds(irreps: Irreps) -> Kinds:
    found = tuple((ir.l, ir.p) for _, ir in irreps)
    if len(set(found)) != len(found):
        raise ValueError(f"the matrix product takes every irrep once, got {irreps}")
    return found


@cache
def _basis(degree: int, j: int) -> Tensor:
    """The orthonormal matrices of degree l on the space of degree j, `[2l+1, 2j+1, 2j+1]`."""
    if degree > 2 * j:
        raise ValueError(f"matrices of size {2 * j + 1} hold degrees to {2 * j}, not {degree}")
    return sqrt(2 * degree + 1) * clebsch_gordan(j, j, degree).permute(2, 0, 1)


@cache
def _embedding(kinds: Kinds, j: int) -> Tensor:
    """`[components, 2 (2j+1)^2]`: to E + O and, after it, to E - O."""
    return torch.cat([torch.cat([_basis(d, j).flatten(1), parity * _basis(d, j).flatten(1)], 1) for d, parity in kinds])


@cache
def _projection(first: Kinds, second: Kinds, result: Kinds, j: int) -> Tensor:
    """`[2 (2j+1)^2, components]`: from both products, so that each irrep that is reached has unit variance."""
    columns = []
    for degree, parity in result:
        flat = _basis(degree, j).flatten(1)
        norm = sum(c * c for (_, _, three), c in _coefficients(first, second, j).items() if three == (degree, parity))
        scale = 0.5 / sqrt(norm) if norm > NEGLIGIBLE else 0.0
        columns.append(scale * torch.cat([flat, parity * flat], dim=1).T)
    return torch.cat(columns, dim=1)


@cache
def _coefficients(
    first: Kinds, second: Kinds, j: int
) -> dict[tuple[tuple[int, int], tuple[int, int], tuple[int, int]], float]:
    """Root of the variance that each coupling gives to its result, for each (l, p) of the factors and the result."""
    found = {}
    for l1, p1 in first:
        for l2, p2 in second:
            for l3 in range(abs(l1 - l2), min(l1 + l2, 2 * j) + 1):
                # One component stands for all 2 l3 + 1 of them, which have the same variance.
                half = torch.einsum("iab,ac->icb", _basis(l1, j), _basis(l3, j)[0])
                value = float(torch.tensordot(half, _basis(l2, j), dims=([1, 2], [2, 1])).norm())
                if value > NEGLIGIBLE:
                    found[(l1, p1), (l2, p2), (l3, p1 * p2)] = value
    return found


def _couplings(first: Kinds, second: Kinds, result: Kinds) -> list[tuple[Irrep, Irrep, Irrep]]:
    j = (max(degree for degree, _ in first + second) + 1) // 2
    return [(Irrep(*a), Irrep(*b), Irrep(*c)) for a, b, c in _coefficients(first, second, j) if c in result]


@cache
def _spread(kinds: Kinds) -> Tensor:
    """`[components, irreps]` of zeros and ones: which irrep each component belongs to."""
    return torch.block_diag(*[torch.ones(2 * degree + 1, 1, dtype=torch.float64) for degree, _ in kinds])


def build(lmax: int, channels: int) -> MatrixProduct:
    """Two tensors of natural parity; the result has every degree up to lmax with both parities that occur."""
    features = natural(lmax, channels)
    kinds = _kinds(features)
    reached = {three for _, _, three in _coefficients(kinds, kinds, (lmax + 1) // 2)}
    # By degree, the parity of harmonics first.
    wanted = sorted((d, -p * (-1) ** d) for d, p in reached if d <= lmax)
    irreps_out = Irreps([(channels, (d, -sign * (-1) ** d)) for d, sign in wanted])
    return MatrixProduct(features, features, irreps_out)
