"""Geometric products of multivectors as tensor products of O(3).

Cl(3) holds a scalar, a vector, a bivector (a pseudovector) and a pseudoscalar: irreps
0e + 1o + 1e + 0o, with vector (e1, e2, e3) and bivector (e23, e31, e12). The projective
algebra Cl(3,0,1) is A + e0 B with A and B in Cl(3): the same four irreps twice. Weights are one per
channel and triple of grades that interact (Ruhe et al., NeurIPS 2023, CGENN, eq. 14), which keeps
the symmetry under all versors, translations of the projective algebra among them.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from eqcli.geometry.clifford_algebra import CliffordAlgebra, grade_triples
from eqcli.geometry.irreps import Irreps
from eqcli.geometry.products.base import Explanation, Product, ProductPath
from eqcli.geometry.projective_geometry import PROJECTIVE

EUCLIDEAN = CliffordAlgebra(3)

CL3_BLADES = ((0, 1), (1, 1), (2, 1), (4, 1), (6, 1), (5, -1), (3, 1), (7, 1))
"""Component in the order of the irreps -> bitwise blade and sign; e31 is -e13."""


class GeometricProduct(Product):
    """The geometric product, channel by channel: `z_c = sum_triples w_(triple, c) <<x_c>_g1 <y_c>_g2>_g3`.

    `weight` is `[.., triples * C]`, triples in the order of :attr:`triples`, channels last; without
    it the product is the plain one.

    Parameters
    ----------
    channels
        C.
    projective
        Cl(3,0,1) rather than Cl(3).
    """

    partner: Tensor
    triple: Tensor
    signs: Tensor

    def __init__(self, channels: int, *, projective: bool = False) -> None:
        super().__init__()
        self.name = "projective" if projective else "clifford"
        self.channels, self.projective = channels, projective
        self.algebra = PROJECTIVE if projective else EUCLIDEAN
        cl3: list[tuple[int, str]] = [(channels, ir) for ir in ("0e", "1o", "1e", "0o")]
        irreps = Irreps(cl3 * (2 if projective else 1))
        self.irreps_in1 = self.irreps_in2 = self.irreps_out = irreps
        self.triples = grade_triples(self.algebra)
        self.weight_numel = len(self.triples) * channels
        terms = _terms(projective)
        self.register_buffer("partner", terms.partner, persistent=False)
        self.register_buffer("triple", terms.triple, persistent=False)
        self.register_constant("signs", terms.signs)

    def bilinear(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        x, y = x.unflatten(-1, (-1, self.channels)), y.unflatten(-1, (-1, self.channels))
        weights = None if weight is None else weight.unflatten(-1, (-1, self.channels))
        total = self._multiply(x, y, weights, 0)
        if self.projective:
            # Blades with e0 meet those without alone and give blades with e0, which are the last eight.
            null = self._multiply(x, y, weights, 8)
            total = torch.cat([total[..., :8, :], total[..., 8:, :] + null], dim=-2)
        return total.flatten(-2)

    def _multiply(self, x: Tensor, y: Tensor, weights: Tensor | None, first: int) -> Tensor:
        """The share of eight blades of x from `first` on, in the results from `first` on, `[.., n - first, C]`.

        A blade of x takes each blade of y to one blade of the result alone: no sum, only another order.
        """
        total: Tensor | None = None
        for blade in range(first, first + 8):
            factor = self.signs[blade, first:]
            if weights is not None:
                factor = factor * weights.index_select(-2, self.triple[blade, first:])
            term = y.index_select(-2, self.partner[blade, first:]) * factor
            component = x[..., blade : blade + 1, :]
            total = term * component if total is None else torch.addcmul(total, term, component)
        assert total is not None
        return total

    def explain(self) -> Explanation:
        c = self.channels
        pairs = 192 if self.projective else 64
        counts = _path_counts(self.projective)
        found = [ProductPath(*irreps, weights=0, multiply_adds=n * c) for irreps, n in counts.items()]
        return Explanation(
            name=self.name,
            irreps_in1=str(self.irreps_in1),
            irreps_in2=str(self.irreps_in2),
            irreps_out=str(self.irreps_out),
            paths=found,
            weights=self.weight_numel,
            # One product with a weight and one with the component of x for each pair of blades.
            multiply_adds=2 * pairs * c,
            bytes=self.moved_bytes(),
            note="one weight per channel and triple of grades; paths of equal grades share it",
        )


class _Terms(NamedTuple):
    """For blade i of x and blade k of the result, in the order of the irreps, `[n, n]`.

    `partner` is the blade of y, `triple` the index of the grades, `signs [n, n, 1]` the sign, 0 for none.
    """

    partner: Tensor
    triple: Tensor
    signs: Tensor


@cache
def _terms(projective: bool) -> _Terms:
    algebra = PROJECTIVE if projective else EUCLIDEAN
    index, sign = (t.tolist() for t in _order(projective))
    triples = grade_triples(algebra)
    n = algebra.dim
    partner, triple = torch.zeros(n, n, dtype=torch.long), torch.zeros(n, n, dtype=torch.long)
    signs = torch.zeros(n, n, 1, dtype=torch.float64)
    for i, k in product(range(n), repeat=2):
        a, c = index[i], index[k]
        j = index.index(a ^ c)
        partner[i, k] = j
        if found := algebra.sign(a, a ^ c):
            triple[i, k] = triples.index((a.bit_count(), (a ^ c).bit_count(), c.bit_count()))
            signs[i, k] = found * sign[i] * sign[j] * sign[k]
    return _Terms(partner, triple, signs)


@cache
def _path_counts(projective: bool) -> Counter[tuple[str, str, str]]:
    """Pairs of blades for each triple of irreps."""
    names = ("0e", "1o", "1e", "0o")
    found: Counter[tuple[str, str, str]] = Counter()
    for a, _ in CL3_BLADES:
        for b, _ in CL3_BLADES:
            grades = (a.bit_count(), b.bit_count(), (a ^ b).bit_count())
            found[names[grades[0]], names[grades[1]], names[grades[2]]] += 3 if projective else 1
    return found


def build(lmax: int, channels: int) -> GeometricProduct:
    """The geometric product of Cl(3); `lmax` is 1, as the algebra has no more."""
    return GeometricProduct(channels)


def build_projective(lmax: int, channels: int) -> GeometricProduct:
    """The geometric product of Cl(3,0,1); `lmax` is 1, as the algebra has no more."""
    return GeometricProduct(channels, projective=True)


def to_blades(x: Tensor, channels: int, *, projective: bool = False) -> Tensor:
    """Multivectors in bitwise order, `[.., C, 8 or 16]`, of a tensor in the order of the irreps, `[.., irreps.dim]`."""
    index, sign = _order(projective)
    parts = x.unflatten(-1, (-1, channels)).transpose(-1, -2)
    moved: Tensor = torch.empty_like(parts)
    moved[..., index.to(x.device)] = parts * sign.to(x)
    return moved


def from_blades(x: Tensor, *, projective: bool = False) -> Tensor:
    """The inverse of :func:`to_blades`."""
    index, sign = _order(projective)
    return (x[..., index.to(x.device)] * sign.to(x)).transpose(-1, -2).flatten(-2)


@cache
def _order(projective: bool) -> tuple[Tensor, Tensor]:
    """Bitwise index and sign of each component in the order of the irreps; e0 is bit 0 and comes first."""
    pairs = list(CL3_BLADES)
    if projective:
        pairs = [(blade << 1 | null, sign) for null in (0, 1) for blade, sign in CL3_BLADES]
    return torch.tensor([b for b, _ in pairs]), torch.tensor([float(s) for _, s in pairs], dtype=torch.float64)
