"""The one interface of all tensor products."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from eqcli.geometry.constants import ConstantModule
from eqcli.geometry.irreps import Irreps


@dataclass(frozen=True)
class ProductPath:
    """One coupling: irreps of the two factors and of the result, its weights and multiply-adds per row."""

    first: str
    second: str
    result: str
    weights: int
    multiply_adds: int


@dataclass(frozen=True)
class Explanation:
    """What a product does and costs for one row (one edge, one atom).

    Attributes
    ----------
    irreps_in1, irreps_in2, irreps_out
        As text.
    paths
        The couplings; products that do not go path by path name the triples that interact, with the
        multiply-adds shared out or zero.
    weights
        Numbers that :meth:`Product.forward` takes as `weight`.
    multiply_adds
        Of the algorithm as it is carried out, all paths and changes of basis together.
    bytes
        Read and written once in float32: factors, weights per row where they are per row, result.
    note
        What else a person should know, one sentence.
    """

    name: str
    irreps_in1: str
    irreps_in2: str
    irreps_out: str
    paths: list[ProductPath] = field(default_factory=list)
    weights: int = 0
    multiply_adds: int = 0
    bytes: int = 0
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Product(ConstantModule, ABC):
    """A bilinear equivariant map of two spherical tensors.

    `z = product(x, y, weight)` with `D(g) z = product(D(g) x, D(g) y, weight)` for every g in O(3)
    (SO(3) alone where `parity` is False). Modules hold constants and no parameters.

    Attributes
    ----------
    irreps_in1, irreps_in2, irreps_out
        Of the factors and the result; numbers lie as :mod:`eqcli.geometry.irreps` says.
    weight_numel
        Length of `weight`; 0 when the product takes none.
    parity
        Whether reflections are respected too.
    """

    name: str
    irreps_in1: Irreps
    irreps_in2: Irreps
    irreps_out: Irreps
    weight_numel: int = 0
    parity: bool = True

    def forward(self, x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """`[..., irreps_in1.dim]`, `[..., irreps_in2.dim]` -> `[..., irreps_out.dim]`; leading dimensions broadcast.

        `weight` is `[weight_numel]` for all rows or `[..., weight_numel]` for each row.
        Raises ValueError for numbers of other shapes or of a higher precision than the constants.
        """
        weight = weight if self.weight_numel else None
        if not torch.compiler.is_compiling():  # it cannot trace Irreps
            self._check_arguments(x, y, weight)
        return self.bilinear(*_aligned(x, y, weight))

    @abstractmethod
    def bilinear(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """:meth:`forward` of factors with the same leading dimensions, which a weight for each row has too."""

    def _check_arguments(self, x: Tensor, y: Tensor, weight: Tensor | None) -> None:
        for place, irreps, factor in (("first", self.irreps_in1, x), ("second", self.irreps_in2, y)):
            self._check_width(f"{place} factor ({irreps})", factor, irreps.dim)
            self.check_precision(factor)
        if weight is not None:
            self._check_width("weight", weight, self.weight_numel)

    def _check_width(self, what: str, x: Tensor, width: int) -> None:
        if x.shape[-1:] != (width,):
            raise ValueError(f"{self.name}: the {what} has shape {tuple(x.shape)} and not [..., {width}]")

    @abstractmethod
    def explain(self) -> Explanation:
        """Paths, weights, multiply-adds and bytes for one row."""

    def moved_bytes(self, *, weight_per_row: bool = False) -> int:
        """Bytes of factors and result of one row in float32, and of the weights where each row has its own."""
        numbers = self.irreps_in1.dim + self.irreps_in2.dim + self.irreps_out.dim
        return 4 * (numbers + (self.weight_numel if weight_per_row else 0))


def _aligned(x: Tensor, y: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """The same numbers with one set of leading dimensions; a weight for all rows `[weight_numel]` stays as it is."""
    each = [x, y] if weight is None or weight.dim() == 1 else [x, y, weight]
    leads = [t.shape[:-1] for t in each]
    if any(lead != leads[0] for lead in leads):
        try:
            lead = torch.broadcast_shapes(*leads)
        except RuntimeError:
            shapes = ", ".join(str(tuple(t.shape)) for t in each)
            raise ValueError(f"the leading dimensions of {shapes} do not fit together") from None
        each = [t.expand(*lead, t.shape[-1]) for t in each]
    return each[0], each[1], each[2] if len(each) == 3 else weight
