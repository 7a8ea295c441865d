"""What all products that go path by path share: couplings, normalisation, weights, rows.

A path couples one entry of each factor's irreps to one entry of the result's,
`z_k = f sqrt(2 l3 + 1) sum_ij C_ijk x_i y_j`, with C as :func:`clebsch_gordan` gives it. Which channels
meet is the mode, in e3nn's letters u, v and w for the channels of first factor, second factor and result.
The factor f gives the result unit variance when factors and weights have it (e3nn's "component" and
"element" normalisation): its square is one over the number of terms that add up in one component.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from itertools import accumulate
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from eqcli.geometry.irreps import Irrep, Irreps, shapes
from eqcli.geometry.products.base import Explanation, Product, ProductPath


class Coupling(NamedTuple):
    """Indices of the entries of the irreps of first factor, second factor and result that a path couples."""

    first: int
    second: int
    result: int


def all_couplings(irreps_in1: Irreps, irreps_in2: Irreps, irreps_out: Irreps) -> list[Coupling]:
    """Every path to given irreps of the result; paths that end at the same entry are added up."""
    return [
        Coupling(a, b, c)
        for a, (_, ir1) in enumerate(irreps_in1)
        for b, (_, ir2) in enumerate(irreps_in2)
        for c, (_, ir3) in enumerate(irreps_out)
        if ir3 in ir1 * ir2
    ]


def separate_couplings(
    irreps_in1: Irreps, irreps_in2: Irreps, keep: Iterable[Irrep] | None, multiplicity: Callable[[int, int], int]
) -> tuple[Irreps, list[Coupling]]:
    """Every path with a result of its own, as e3nn's full tensor product orders them, and the irreps of the result.

    `keep` names the irreps of the result to keep (all when None); `multiplicity` gives the copies in the result
    from those in the factors.
    """
    kept = None if keep is None else set(keep)
    found = [
        (a, b, multiplicity(mul1, mul2), ir)
        for a, (mul1, ir1) in enumerate(irreps_in1)
        for b, (mul2, ir2) in enumerate(irreps_in2)
        for ir in ir1 * ir2
        if kept is None or ir in kept
    ]
    ordered = Irreps([(mul, ir) for *_, mul, ir in found]).sort()
    couplings = [Coupling(a, b, ordered.p[i]) for i, (a, b, _, _) in enumerate(found)]
    return Irreps(ordered.irreps), couplings


class CoupledProduct(Product):
    """A product that is a sum over paths.

    Parameters
    ----------
    irreps_in1, irreps_in2, irreps_out
        Of the factors and the result.
    couplings
        The paths, in any order; None is every path to `irreps_out`. Raises ValueError when one breaks the selection
        rules or the multiplicities do
        not fit the mode.
    weighted
        Whether paths have weights; without them every path has weight one.

    Attributes
    ----------
    couplings
        In the order of the weights: by first factor, then result, then second factor.
    rows_at_once
        Longer batches are taken in pieces of so many rows, whose intermediate results stay in the cache of a
        processor; 0 for no limit. A compiled product takes all rows at once, and so does one on a GPU.
    weight_shapes
        Shape of the weights of each path; `weight` holds them one after the other.
    """

    mode: str

    def __init__(
        self,
        irreps_in1: Irreps,
        irreps_in2: Irreps,
        irreps_out: Irreps,
        couplings: list[Coupling] | None = None,
        weighted: bool = True,
    ) -> None:
        super().__init__()
        self.irreps_in1, self.irreps_in2, self.irreps_out = irreps_in1, irreps_in2, irreps_out
        found = all_couplings(irreps_in1, irreps_in2, irreps_out) if couplings is None else couplings
        self.couplings = sorted(found, key=lambda c: (c.first, c.result, c.second))
        self.weighted = weighted
        self._fan_in = self._count_terms()
        self.shapes1, self.shapes2, self.shapes3 = map(shapes, (irreps_in1, irreps_in2, irreps_out))
        for c in self.couplings:
            self._check(c)
        self.weight_shapes = [self._weight_shape(*self.multiplicities(c)) if weighted else () for c in self.couplings]
        self.weight_sizes = [prod(shape) if weighted else 0 for shape in self.weight_shapes]
        self.weight_starts = [0, *accumulate(self.weight_sizes)]
        self.weight_numel = self.weight_starts[-1]
        self.rows_at_once = self._piece()
        self._widths = (irreps_in1.dim, irreps_in2.dim, irreps_out.dim)

    def multiplicities(self, c: Coupling) -> tuple[int, int, int]:
        """Copies in first factor, second factor and result of one path."""
        return self.irreps_in1[c.first].mul, self.irreps_in2[c.second].mul, self.irreps_out[c.result].mul

    def degrees(self, c: Coupling) -> tuple[int, int, int]:
        """l1, l2 and l3 of one path."""
        return self.irreps_in1[c.first].ir.l, self.irreps_in2[c.second].ir.l, self.irreps_out[c.result].ir.l

    def factor(self, c: Coupling) -> float:
        """f of one path: one over the root of the number of terms in its result."""
        return self._fan_in[c.result] ** -0.5

    def _count_terms(self) -> dict[int, int]:
        terms: dict[int, int] = {}
        for c in self.couplings:
            mul1, mul2, _ = self.multiplicities(c)
            terms[c.result] = terms.get(c.result, 0) + self._terms(mul1, mul2)
        return terms

    def _check(self, c: Coupling) -> None:
        ir1, ir2, ir3 = self.irreps_in1[c.first].ir, self.irreps_in2[c.second].ir, self.irreps_out[c.result].ir
        if ir3 not in ir1 * ir2:
            raise ValueError(f"{ir1} and {ir2} do not couple to {ir3}")
        if not self._fits(*self.multiplicities(c)):
            muls = " x ".join(str(mul) for mul in self.multiplicities(c)[:2])
            raise ValueError(f"{muls} copies cannot give {self.irreps_out[c.result]} in a product of mode {self.mode}")

    @abstractmethod
    def _piece(self) -> int:
        """`rows_at_once`, as measured on a processor with 2 MB of cache per core."""

    @abstractmethod
    def _weight_shape(self, mul1: int, mul2: int, mul3: int) -> tuple[int, ...]: ...

    @abstractmethod
    def _terms(self, mul1: int, mul2: int) -> int:
        """Products of channels that add up in one number of the result."""

    @abstractmethod
    def _fits(self, mul1: int, mul2: int, mul3: int) -> bool: ...

    @abstractmethod
    def _blocks(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """The product of rows `[n, dim]`; `weight` is `[1, weight_numel]`, `[n, weight_numel]` or None."""

    @abstractmethod
    def _multiply_adds(self, c: Coupling) -> int: ...

    def bilinear(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        leading = x.shape[:-1]
        x, y = x.reshape(-1, self._widths[0]), y.reshape(-1, self._widths[1])
        if self.weight_numel:
            if weight is None:
                raise ValueError(f"{self.name}: this product takes {self.weight_numel} weights")
            weight = weight.reshape(-1, self.weight_numel)
        else:
            weight = None
        step = self.rows_at_once
        if step == 0 or x.shape[0] <= step or x.is_cuda or torch.compiler.is_compiling():
            return self._blocks(x, y, weight).reshape((*leading, self._widths[2]))
        per_row = weight is not None and weight.shape[0] > 1
        weights = weight.split(step) if weight is not None and per_row else None
        pieces = [
            self._blocks(a, b, weights[i] if weights is not None else weight)
            for i, (a, b) in enumerate(zip(x.split(step), y.split(step), strict=True))
        ]
        return torch.cat(pieces).reshape((*leading, self._widths[2]))

    def path_weight(self, weight: Tensor, i: int) -> Tensor:
        """The weights of path i, `[1 or n, *weight_shapes[i]]`, from those of all paths."""
        start = self.weight_starts[i]
        return weight[:, start : start + self.weight_sizes[i]].unflatten(1, self.weight_shapes[i])

    def e3nn_instructions(self) -> list[tuple[int, int, int, str, bool]]:
        """Instructions with which e3nn's `TensorProduct` is the same function: by first, second factor, then result."""
        return [(*c, self.mode, self.weighted) for c in sorted(self.couplings)]

    def weights_from_e3nn(self, weight: Tensor) -> Tensor:
        """Flat weights of e3nn's `TensorProduct` in the order used here, `[..., weight_numel]`.

        Within a path both have the same order; e3nn has the paths by (first, second, result), as
        `FullyConnectedTensorProduct` makes them, here they lie by (first, result, second).
        """
        parts = dict(zip(sorted(self.couplings), weight.split(self._e3nn_sizes(), dim=-1), strict=True))
        return torch.cat([parts[c] for c in self.couplings], dim=-1)

    def weights_to_e3nn(self, weight: Tensor) -> Tensor:
        """The inverse of :meth:`weights_from_e3nn`."""
        parts = dict(zip(self.couplings, weight.split(self.weight_sizes, dim=-1), strict=True))
        return torch.cat([parts[c] for c in sorted(self.couplings)], dim=-1)

    def _e3nn_sizes(self) -> list[int]:
        sizes = dict(zip(self.couplings, self.weight_sizes, strict=True))
        return [sizes[c] for c in sorted(self.couplings)]

    def explain(self) -> Explanation:
        paths = [
            ProductPath(
                str(self.irreps_in1[c.first]),
                str(self.irreps_in2[c.second]),
                str(self.irreps_out[c.result]),
                size,
                self._multiply_adds(c),
            )
            for c, size in zip(self.couplings, self.weight_sizes, strict=True)
        ]
        return Explanation(
            self.name, str(self.irreps_in1), str(self.irreps_in2), str(self.irreps_out), paths,
            weights=self.weight_numel, multiply_adds=sum(path.multiply_adds for path in paths),
            bytes=self.moved_bytes(), note=self.note,
        )  # fmt: skip

    note: str = ""
