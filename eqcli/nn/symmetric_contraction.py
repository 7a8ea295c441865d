"""The higher-order product basis of MACE."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.symmetric_product import Monomial, symmetric_product_basis
from eqcli.graph.layout import Layout


class SymmetricContraction(ConstantModule):
    """m_i = sum over nu <= correlation of W^nu(z_i) U^nu A_i .. A_i, per channel (MACE eqs. 10, 11).

    U is a complete, linearly independent basis of the symmetric equivariant
    polynomials. Every monomial A_a A_b A_c is written as a `single` factor times a
    `rest`; per element the weights and U are contracted first, so that the whole sum
    over monomials is one small matrix product per channel and element:
    `m_M = sum_s A_s (sum_r (U W)[s, M, r] rest_r)`.

    Parameters
    ----------
    channels, n_elements
        C and the number of elements with weights of their own.
    lmax
        Largest degree of A.
    l_out
        Largest degree of the result.
    correlation
        Largest number of factors.
    """

    linear: Tensor
    pairs: Tensor

    def __init__(self, channels: int, n_elements: int, lmax: int, l_out: int, correlation: int) -> None:
        super().__init__()
        self.l_out = l_out
        plan = _Plan.make(lmax, l_out, correlation)
        self.weights = nn.ParameterList()
        for degree in range(l_out + 1):
            counts = plan.counts[degree]
            scale = torch.cat([torch.full((n,), 1.0 / n) for n in counts])
            self.weights.append(nn.Parameter(torch.randn(n_elements, len(scale), channels) * scale[:, None]))
            self.register_constant(f"basis_{degree}", plan.tables[degree])
        self.parities = plan.parities
        self._sizes = [len(singles) * _width(degrees) for singles, degrees in plan.parities]
        self._dims = [[2 * degree + 1 for degree in degrees] for _, degrees in plan.parities]
        self.register_buffer("linear", torch.tensor(plan.linear, dtype=torch.int64), persistent=False)
        self.register_buffer(
            "pairs", torch.tensor(plan.pairs, dtype=torch.int64).reshape(-1, 2).T.contiguous(), persistent=False
        )
        for parity, (singles, _) in enumerate(plan.parities):
            factors = torch.tensor([s for s in singles if s >= 0], dtype=torch.int64)
            self.register_buffer(f"singles_{parity}", factors, persistent=False)

    def forward(self, a: Tensor, layout: Layout) -> Tensor:
        """`[N, (lmax+1)^2, C] -> [N, (l_out+1)^2, C]`, atoms in layout order."""
        x = a.permute(2, 1, 0).contiguous()  # [C, lm, N]
        ones = torch.ones_like(x[:, :1])
        rests = [ones, x.index_select(1, self.linear)]
        if self.pairs.numel():
            rests.append(x.index_select(1, self.pairs[0]) * x.index_select(1, self.pairs[1]))
        rest = torch.cat(rests, dim=1)  # [C, R, N]
        table = self._weighted_basis([element for element, _, _ in layout.elements])
        by_element = rest.split(layout.element_counts, dim=2)
        inner = [torch.bmm(t, part) for t, part in zip(table, by_element, strict=True)]
        inner_by_parity = torch.cat(inner, dim=2).split(self._sizes, dim=1)
        degrees: list[Tensor | None] = [None] * (self.l_out + 1)
        for parity, (singles, members) in enumerate(self.parities):
            factors = x.index_select(1, getattr(self, f"singles_{parity}"))
            if singles[0] < 0:
                factors = torch.cat([ones, factors], dim=1)
            t = inner_by_parity[parity].view(len(x), len(singles), -1, x.shape[2])  # [C, S, M, N]
            out = (t * factors.unsqueeze(2)).sum(1)
            for degree, part in zip(members, out.split(self._dims[parity], dim=1), strict=True):
                degrees[degree] = part
        return torch.cat([d for d in degrees if d is not None], dim=1).permute(2, 1, 0)

    def _weighted_basis(self, elements: list[int]) -> list[Tensor]:
        """U W of each element: `[C, sum over parities of S M, R]`."""
        by_parity = []
        weights = self._weights_of(elements)
        for singles, members in self.parities:
            blocks = []
            for degree in members:
                weight = weights[degree].transpose(1, 2)  # [Z, C, n]
                basis = getattr(self, f"basis_{degree}")  # [n, S, M, R]
                block = torch.matmul(weight, basis.flatten(1))
                blocks.append(block.view(*weight.shape[:2], len(singles), 2 * degree + 1, -1))
            joined = torch.cat(blocks, dim=3) if len(blocks) > 1 else blocks[0]
            by_parity.append(joined.flatten(2, 3))
        return list(torch.cat(by_parity, dim=2).unbind())

    def _weights_of(self, elements: list[int]) -> list[Tensor]:
        """The weights of these elements, `[Z, n, C]` for each degree."""
        every = list(self.weights)
        if len(elements) == len(every[0]):
            return every
        rows = torch.tensor(elements, device=every[0].device)
        return [weight.index_select(0, rows) for weight in every]


def _width(degrees: list[int]) -> int:
    return sum(2 * degree + 1 for degree in degrees)


@dataclass
class _Plan:
    """How monomials are split; -1 among the singles stands for the constant 1.

    `linear` and `pairs` are the rests after the constant; `parities` pairs the singles
    with the output degrees of that parity; `tables[L]` is `[n, S, 2L+1, R]`;
    `counts[L]` is the number of polynomials for each nu.
    """

    linear: list[int]
    pairs: list[Monomial]
    parities: list[tuple[list[int], list[int]]]
    tables: list[Tensor]
    counts: list[list[int]]

    @classmethod
    def make(cls, lmax: int, l_out: int, correlation: int) -> _Plan:
        even = [degree * degree + m for degree in range(0, lmax + 1, 2) for m in range(2 * degree + 1)]
        bases = [
            [symmetric_product_basis(lmax, nu, degree) for nu in range(1, correlation + 1)]
            for degree in range(l_out + 1)
        ]
        splits = [_split(m, set(even)) for basis in bases for monomials, _ in basis for m in monomials]
        linear = sorted({rest[0] for _, rest in splits if len(rest) == 1})
        pairs: list[Monomial] = sorted({rest for _, rest in splits if len(rest) == 2})
        rows = {rest: i for i, rest in enumerate([(), *((a,) for a in linear), *pairs])}
        parities, tables = [], [torch.empty(0)] * (l_out + 1)
        for parity in range(min(2, l_out + 1)):
            members = list(range(parity, l_out + 1, 2))
            used = {_split(m, set(even))[0] for degree in members for monomials, _ in bases[degree] for m in monomials}
            singles = sorted(used)
            parities.append((singles, members))
            for degree in members:
                tables[degree] = _table(bases[degree], singles, rows, set(even))
        counts = [[len(c) for _, c in basis] for basis in bases]
        return cls(linear, pairs, parities, tables, counts)


def _split(monomial: Monomial, even: set[int]) -> tuple[int, Monomial]:
    """The single factor of a monomial and the rest, chosen so that few singles and few pairs occur.

    The rest always has even parity: of an odd monomial an odd factor is taken, of an
    even one an even factor; where an even pair has no even factor the single is the constant.
    """
    odd_factors = [a for a in monomial if a not in even]
    candidates = odd_factors if len(odd_factors) % 2 else [a for a in monomial if a in even]
    if not candidates:
        return -1, monomial
    rest = list(monomial)
    rest.remove(candidates[-1])
    return candidates[-1], tuple(rest)


def _table(
    basis: list[tuple[list[Monomial], Tensor]], singles: list[int], rows: dict[Monomial, int], even: set[int]
) -> Tensor:
    n = sum(len(c) for _, c in basis)
    dim = next(c.shape[1] for _, c in basis)
    table = torch.zeros(n, len(singles), dim, len(rows), dtype=torch.float64)
    start = 0
    for monomials, coefficients in basis:
        stop = start + len(coefficients)
        for column, monomial in enumerate(monomials):
            single, rest = _split(monomial, even)
            table[start:stop, singles.index(single), :, rows[rest]] = coefficients[:, :, column]
        start = stop
    return table
