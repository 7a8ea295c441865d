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

import torch
from torch import Tensor

from eqcli.geometry.clifford_algebra import CliffordAlgebra, grade_triples
from eqcli.geometry.irreps import Irreps
from eqcli.geometry.products.base import Explanation, Product, ProductPath
from eqcli.geometry.projective_geometry import PROJECTIVE

EUCLIDEAN = CliffordAlgebra(3)

CL3_BLADES = ((0, 1), (1, 1), (2, 1), (4, 1), (6, 1), (5, -1), (3, 1), (7, 1))
"""Component in the order of the irreps -> bitwise blade and sign; e31 is -e13."""

GRADES = (0, 1, 2, 3)
"""Grade of each of the four irreps of Cl(3)."""

# With i = e123, which commutes with everything and squares to -1, scalar and pseudoscalar are a
# complex number, vector and bivector a complex vector: (z + V)(z' + V') = z z' + V.V' + z V' + V z' + i V x V'.
# Kind of product -> grades of (first real or imaginary, second real or imaginary).
_KINDS = (("z", "z"), ("V", "V"), ("z", "V"), ("V", "z"), ("V", "V"))
_FACTOR_GRADE = {"z": (0, 3), "V": (1, 2)}
_IMAGINARY = (0, 0, 0, 0, 1)
_RESULT = ("z", "z", "V", "V", "V")


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
        order, signs = _terms(projective)
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_constant("signs", signs)

    def forward(self, x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        x, y = (t.unflatten(-1, (-1, 8, self.channels)) for t in (x, y))  # [.., 1 or 2, 8, C]
        weights = self.signs if weight is None else self._weights(weight)
        if not self.projective:
            return _complex_product(x, y, weights).flatten(-3)
        # (A + e0 B)(A' + e0 B') = A A' + e0 (B A' + A^ B'); the signs of the grade involution A^ are in the weights.
        first = torch.cat([x, x.narrow(-3, 0, 1)], dim=-3)
        second = torch.cat([y.narrow(-3, 0, 1).expand_as(y), y.narrow(-3, 1, 1)], dim=-3)
        found = _complex_product(first, second, weights)
        null = found.narrow(-3, 1, 1) + found.narrow(-3, 2, 1)
        return torch.cat([found.narrow(-3, 0, 1), null], dim=-3).flatten(-3)

    def _weights(self, weight: Tensor) -> Tensor:
        """`[.., copies, 5 kinds, 2, 2, C]` from `[.., triples * C]`."""
        by_triple = weight.unflatten(-1, (-1, self.channels))
        terms = by_triple.index_select(-2, self.get_buffer("order")).unflatten(-2, self.signs.shape[:-1])
        return terms * self.signs

    def explain(self) -> Explanation:
        c = self.channels
        copies = 3 if self.projective else 1
        counts = _path_counts(self.projective)
        found = [ProductPath(*irreps, weights=0, multiply_adds=n * c) for irreps, n in counts.items()]
        return Explanation(
            name=self.name,
            irreps_in1=str(self.irreps_in1),
            irreps_in2=str(self.irreps_in2),
            irreps_out=str(self.irreps_out),
            paths=found,
            weights=self.weight_numel,
            # 64 pairs of blades and 20 weights for each product in Cl(3), applied to 12 scalars and 8 vectors.
            multiply_adds=copies * (64 + 36) * c,
            bytes=self.moved_bytes(),
            note="one weight per channel and triple of grades; paths of equal grades share it",
        )


def _complex_product(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """Products in Cl(3) with weights, `[.., 8, C], [.., 8, C], [.., 5, 2, 2, 1 or C] -> [.., 8, C]`."""
    z1, z2 = x[..., 0:8:7, :].unsqueeze(-2), y[..., 0:8:7, :].unsqueeze(-3)  # [.., 2, 1, C], [.., 1, 2, C]
    v1 = x[..., 1:7, :].unflatten(-2, (2, 1, 3))  # [.., 2, 1, 3, C]
    v2 = y[..., 1:7, :].unflatten(-2, (1, 2, 3))
    zz, dot, zv, vz, cross = w.unbind(-4)  # [.., 2, 2, C]
    scalar = _complex_sum(zz * (z1 * z2) + dot * (v1 * v2).sum(-2), -3)  # [.., 2, C]
    across = torch.linalg.cross(*torch.broadcast_tensors(v1, v2), dim=-2)
    vector = _complex_sum((zv.unsqueeze(-2) * z1.unsqueeze(-2)) * v2 + (vz.unsqueeze(-2) * z2.unsqueeze(-2)) * v1, -4)
    # i V x V': real and imaginary parts change places; the signs are in the weights.
    vector = vector + _complex_sum(cross.unsqueeze(-2) * across, -4).flip(-3)
    return torch.cat([scalar[..., :1, :], vector.flatten(-3, -2), scalar[..., 1:, :]], dim=-2)


def _complex_sum(pairs: Tensor, dim: int) -> Tensor:
    """Sums `[.., 2, 2, ..]` (real or imaginary part of each factor) to real and imaginary parts, signs applied."""
    first, second = pairs.unbind(dim)
    return first + second.flip(dim + 1)


@cache
def _terms(projective: bool) -> tuple[list[int], Tensor]:
    """Which triple each of the 20 terms of each copy belongs to, and its sign `[copies, 5, 2, 2, 1]` float64."""
    triples = grade_triples(PROJECTIVE if projective else EUCLIDEAN)
    # Whether first factor, second factor and result carry e0, in each product of Cl(3).
    copies = ((0, 0, 0), (1, 0, 1), (0, 1, 1)) if projective else ((0, 0, 0),)
    order, signs = [], []
    for a, b, c in copies:
        for kind, imaginary, result in zip(_KINDS, _IMAGINARY, _RESULT, strict=True):
            for i in range(2):
                for j in range(2):
                    g1, g2 = _FACTOR_GRADE[kind[0]][i], _FACTOR_GRADE[kind[1]][j]
                    power = i + j + imaginary
                    g3 = _FACTOR_GRADE[result][power % 2]
                    order.append(triples.index((g1 + a, g2 + b, g3 + c)))
                    signs.append((-1.0) ** (power // 2) * ((-1.0) ** g1 if b else 1.0))
    return order, torch.tensor(signs, dtype=torch.float64).reshape(len(copies), 5, 2, 2, 1)


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
