"""Symmetric powers of spherical tensors, decomposed into irreducible parts.

A vector A holds one component for every (l, m) with l <= lmax and natural parity
(-1)^l. The functions here give a complete, linearly independent set of
polynomials of degree nu in A that transform as the irreducible representation L
of the same natural parity: the product basis of the atomic cluster expansion
(Drautz, Phys. Rev. B 99, 014104; MACE eq. 10).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import combinations_with_replacement
from math import factorial, prod

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan

Monomial = tuple[int, ...]
"""Indices of the factors in ascending order; (0, 0, 3) is A_0 A_0 A_3."""

INDEPENDENCE = 1e-8
"""A polynomial whose part outside the span of the others is below this (of norm 1) adds nothing."""


@cache
def symmetric_product_basis(lmax: int, degree: int, order: int) -> tuple[list[Monomial], Tensor]:
    """Independent equivariant polynomials of one degree.

    Parameters
    ----------
    lmax
        Largest l among the components of A.
    degree
        nu, the number of factors.
    order
        L, the degree of the representation that the result transforms as.

    Returns
    -------
    monomials
        Those that occur, in ascending order.
    coefficients
        `[n, 2L+1, len(monomials)]` float64 for n polynomials, orthonormal under the
        rotation-invariant product in which the monomial with exponents alpha has norm alpha!.
    """
    columns = list(combinations_with_replacement(range((lmax + 1) ** 2), degree))
    position = {monomial: i for i, monomial in enumerate(columns)}
    weight = torch.tensor([float(prod(factorial(k) for k in Counter(m).values())) for m in columns]).double()
    basis: list[Tensor] = []
    for degrees in combinations_with_replacement(range(lmax + 1), degree):
        if (sum(degrees) - order) % 2 == 0:
            for coupled in _couplings(degrees, order):
                _add_if_independent(basis, _as_polynomial(degrees, coupled, position, len(columns)), weight)
    stacked = torch.stack(basis) if basis else torch.zeros(0, 2 * order + 1, len(columns), dtype=torch.float64)
    used = (stacked.abs() > 1e-12).any(dim=0).any(dim=0).nonzero().flatten().tolist()
    return [columns[i] for i in used], stacked[:, :, used].clone()


def _couplings(degrees: tuple[int, ...], order: int) -> Iterator[Tensor]:
    """Every way of coupling the degrees from left to right to `order`: tensors `[d1, .., dnu, 2L+1]`."""
    partial: list[tuple[int, Tensor]] = [(degrees[0], torch.eye(2 * degrees[0] + 1, dtype=torch.float64))]
    for position, right in enumerate(degrees[1:], start=2):
        last = position == len(degrees)
        grown = []
        for left, tensor in partial:
            allowed = range(abs(left - right), left + right + 1)
            for result in [order] if last and order in allowed else [] if last else allowed:
                coupled = torch.tensordot(tensor, clebsch_gordan(left, right, result), dims=1)
                grown.append((result, coupled))
        partial = grown
    for result, tensor in partial:
        if result == order:
            yield tensor


def _as_polynomial(degrees: tuple[int, ...], tensor: Tensor, position: dict[Monomial, int], n: int) -> Tensor:
    """`[2L+1, n]` coefficients over monomials of a coupling tensor: equal factors commute."""
    polynomial = torch.zeros(tensor.shape[-1], n, dtype=torch.float64)
    for index in tensor.abs().sum(-1).gt(1e-12).nonzero().tolist():
        monomial = tuple(sorted(l * l + m for l, m in zip(degrees, index, strict=True)))  # noqa: E741
        polynomial[:, position[monomial]] += tensor[tuple(index)]
    return polynomial


def _add_if_independent(basis: list[Tensor], polynomial: Tensor, weight: Tensor) -> None:
    """Gram-Schmidt step, twice for accuracy; the fixed order of couplings makes the basis reproducible."""
    norm = _norm(polynomial, weight)
    if norm < INDEPENDENCE:
        return
    rest = polynomial / norm
    for _ in range(2):
        for member in basis:
            overlap = (rest * member * weight).sum() / member.shape[0]
            rest = rest - overlap * member
    if (norm := _norm(rest, weight)) > INDEPENDENCE:
        basis.append(rest / norm)


def _norm(polynomial: Tensor, weight: Tensor) -> float:
    """Root of the mean over the 2L+1 components of their squared norms."""
    return float(((polynomial**2 * weight).sum() / polynomial.shape[0]).sqrt())
