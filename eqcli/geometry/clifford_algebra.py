"""Clifford algebras Cl(p, q, r): blades, their products and dualities.

A multivector is `[..., 2^n]`, n = p + q + r, with its components in bitwise order: bit i of the
index says whether generator i is a factor, factors in ascending order. The r generators with
square 0 come first, then p with square 1, then q with square -1; so Cl(3,0,1), the projective
algebra of GATr, has e0 (null), e1, e2, e3. Source: Dorst, Fontijne, Mann, "Geometric Algebra for
Computer Science", ch. 19; Brehmer et al., NeurIPS 2023 (GATr).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import torch
from torch import Tensor


@dataclass(frozen=True)
class CliffordAlgebra:
    """The algebra of `p` generators with square 1, `q` with square -1 and `r` with square 0."""

    p: int
    q: int = 0
    r: int = 0

    @property
    def generators(self) -> int:
        """n, the dimension of the vector space."""
        return self.p + self.q + self.r

    @property
    def dim(self) -> int:
        """2^n, the number of blades."""
        return 1 << self.generators

    @property
    def squares(self) -> tuple[int, ...]:
        """The square of each generator."""
        return (0,) * self.r + (1,) * self.p + (-1,) * self.q

    @property
    def grades(self) -> list[int]:
        """The grade of each blade, in bitwise order."""
        return [blade.bit_count() for blade in range(self.dim)]

    def sign(self, a: int, b: int) -> int:
        """s with `e_a e_b = s e_(a xor b)`; 0 when they share a null generator."""
        result = _swaps(a, b)
        for i, square in enumerate(self.squares):
            if a & b & (1 << i):
                result *= square
        return result

    def product(self, x: Tensor, y: Tensor) -> Tensor:
        """The geometric product."""
        return self._bilinear(x, y, "geometric")

    def outer(self, x: Tensor, y: Tensor) -> Tensor:
        """The part of the product of highest grade, x ^ y."""
        return self._bilinear(x, y, "outer")

    def left_contraction(self, x: Tensor, y: Tensor) -> Tensor:
        """The part of grade (grade of y - grade of x)."""
        return self._bilinear(x, y, "left_contraction")

    def inner(self, x: Tensor, y: Tensor) -> Tensor:
        """The scalar part of reverse(x) y, `[...]`: the invariant (semi)norm for x = y."""
        weights = _signs(self, "inner").to(dtype=x.dtype, device=x.device)
        return (x * y * weights).sum(-1)

    def reverse(self, x: Tensor) -> Tensor:
        """Factors in the opposite order: (-1)^(k(k-1)/2) on grade k."""
        return x * _signs(self, "reverse").to(dtype=x.dtype, device=x.device)

    def grade_involution(self, x: Tensor) -> Tensor:
        """Every generator reversed: (-1)^k on grade k."""
        return x * _signs(self, "involution").to(dtype=x.dtype, device=x.device)

    def grade(self, x: Tensor, k: int) -> Tensor:
        """x with all grades but k set to zero."""
        mask = torch.tensor([g == k for g in self.grades], device=x.device)
        return x * mask

    def dual(self, x: Tensor) -> Tensor:
        """Right complement: each blade to the one whose outer product with it, from the right, is the pseudoscalar."""
        return (x * _complement(self).to(dtype=x.dtype, device=x.device)).flip(-1)

    def undual(self, x: Tensor) -> Tensor:
        """The inverse of :meth:`dual`."""
        return x.flip(-1) * _complement(self).to(dtype=x.dtype, device=x.device)

    def join(self, x: Tensor, y: Tensor, reference: Tensor | None = None) -> Tensor:
        """The regressive product (x* ^ y*) undone: the smallest subspace that holds both.

        Its sign depends on the orientation of space. With a `reference` multivector the result is
        multiplied by that one's pseudoscalar component and so respects reflections (GATr, section 3.2).
        """
        joined = self.undual(self.outer(self.dual(x), self.dual(y)))
        return joined if reference is None else joined * reference[..., -1:]

    def sandwich(self, versor: Tensor, x: Tensor, *, odd: bool = False) -> Tensor:
        """x transformed by a versor u with u reverse(u) = 1: `u x u^-1`, x grade-involved for an `odd` u."""
        middle = self.grade_involution(x) if odd else x
        return self.product(self.product(versor, middle), self.reverse(versor))

    def _bilinear(self, x: Tensor, y: Tensor, kind: str) -> Tensor:
        # The dense table, as two matrix products, is faster than gathering its few entries up to 16 blades at least.
        return torch.einsum("...i,...j,ijk->...k", x, y, product_table(self, kind).to(x))


_KEEPS: dict[str, Callable[[int, int], bool]] = {
    "geometric": lambda a, b: True,
    "outer": lambda a, b: a & b == 0,
    "left_contraction": lambda a, b: a & b == a,
}


@cache
def product_table(algebra: CliffordAlgebra, kind: str = "geometric") -> Tensor:
    """T with `(x y)_k = sum_ij T_ijk x_i y_j`, `[2^n, 2^n, 2^n]` float64; also "outer" and "left_contraction"."""
    table = torch.zeros(algebra.dim, algebra.dim, algebra.dim, dtype=torch.float64)
    keeps = _KEEPS[kind]
    for a, b in product(range(algebra.dim), repeat=2):
        if keeps(a, b):
            table[a, b, a ^ b] = algebra.sign(a, b)
    return table


@cache
def grade_triples(algebra: CliffordAlgebra) -> tuple[tuple[int, int, int], ...]:
    """Grades (of x, of y, of the result) whose product is not zero throughout, in ascending order."""
    grades = algebra.grades
    pairs = [(a, b) for a in range(algebra.dim) for b in range(algebra.dim) if algebra.sign(a, b)]
    return tuple(sorted({(grades[a], grades[b], grades[a ^ b]) for a, b in pairs}))


def _swaps(a: int, b: int) -> int:
    """Sign of sorting the factors of two blades into ascending order."""
    swaps = sum((a >> shift & b).bit_count() for shift in range(1, a.bit_length()))
    return -1 if swaps % 2 else 1


@cache
def _signs(algebra: CliffordAlgebra, kind: str) -> Tensor:
    """Diagonal maps `[2^n]`."""
    reverse = [(-1) ** (g * (g - 1) // 2) for g in algebra.grades]
    found = {
        "reverse": reverse,
        "involution": [(-1) ** g for g in algebra.grades],
        "inner": [s * algebra.sign(blade, blade) for blade, s in enumerate(reverse)],
    }
    return torch.tensor(found[kind], dtype=torch.float64)


@cache
def _complement(algebra: CliffordAlgebra) -> Tensor:
    """s_a with `e_a ^ (s_a e_complement) = pseudoscalar`, `[2^n]`; the complement's index is the mirrored one."""
    return torch.tensor([_swaps(a, algebra.dim - 1 - a) for a in range(algebra.dim)], dtype=torch.float64)
