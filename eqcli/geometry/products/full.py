"""Products of all channel pairs: the full product, and the one whose weights mix all pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.concatenate import concatenate
from eqcli.geometry.irreps import Irreps, split_blocks
from eqcli.geometry.products.coupled import (
    Coupling,
    separate_couplings,
)
from eqcli.geometry.products.paired import PairedProduct

NUMBERS_AT_ONCE = 1 << 22
"""Numbers of the result in one piece."""


class OuterProduct(PairedProduct):
    """Common part: every pair of irreps gives all its couplings at once, `[n, sum of 2 l3 + 1, channel pairs]`."""

    def _piece(self) -> int:
        return max(32, NUMBERS_AT_ONCE // max(self.irreps_out.dim, 1))

    def _pair_table(self, members: list[int]) -> Tensor:
        """`[sum of 2 l3 + 1, (2 l2 + 1), 2 l1 + 1]`: the first factor is contracted before the second."""
        dim1, dim2 = (self.degrees(self.couplings[members[0]])[k] * 2 + 1 for k in (0, 1))
        return super()._pair_table(members).unflatten(1, (dim1, dim2)).transpose(1, 2)

    def _coupled(self, number: int, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Results of all paths of one pair of irreps, each `[n, 2 l3 + 1, mul1 * mul2]`."""
        table: Tensor = getattr(self, f"coupling_{number}")
        (n, dim1, mul1), (dim2, mul2) = x.shape, y.shape[1:]
        dim3 = table.shape[0]
        if mul1 * mul2 == 1:
            outer = (y * x.transpose(1, 2)).reshape(n, dim2 * dim1)
            found = (outer @ table.flatten(1).T).unsqueeze(2)
        else:
            half = torch.bmm(table.flatten(0, 1).expand(n, -1, -1), x)  # [n, dim3 dim2, mul1]
            half = half.unflatten(1, (dim3, dim2)).transpose(2, 3).reshape(n, dim3 * mul1, dim2)
            found = torch.bmm(half, y).reshape(n, dim3, mul1 * mul2)
        return found.split(self._dims(self._pairs[number][2]), dim=1)

    def _multiply_adds(self, c: Coupling) -> int:
        l1, l2, l3 = self.degrees(c)
        mul1, mul2, _ = self.multiplicities(c)
        return mul1 * (2 * l1 + 1 + mul2) * (2 * l2 + 1) * (2 * l3 + 1)


class FullProduct(OuterProduct):
    """All couplings of all channel pairs, without weights: e3nn's `FullTensorProduct` (mode "uvuv").

    Channel u of the first and v of the second factor give channel `u * mul2 + v` of the result. The result has an
    entry for every path, sorted; entries of the factors that have the same irrep are not merged.
    `keep` names the irreps of the result to keep (all when None).
    """

    name = "full"
    mode = "uvuv"
    note = "the result grows with the product of both numbers of channels"

    def __init__(self, irreps_in1: Irreps, irreps_in2: Irreps, keep: Irreps | None = None) -> None:
        kept = None if keep is None else [ir for _, ir in keep]
        irreps_out, couplings = separate_couplings(irreps_in1, irreps_in2, kept, lambda mul1, mul2: mul1 * mul2)
        super().__init__(irreps_in1, irreps_in2, irreps_out, couplings, weighted=False)

    def _weight_shape(self, mul1: int, mul2: int, mul3: int) -> tuple[int, ...]:
        return ()

    def _terms(self, mul1: int, mul2: int) -> int:
        return 1

    def _fits(self, mul1: int, mul2: int, mul3: int) -> bool:
        return mul1 * mul2 == mul3

    def _blocks(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        out: list[Tensor] = [x] * len(self.shapes3)
        x_blocks, y_blocks = split_blocks(x, self.shapes1), split_blocks(y, self.shapes2)
        for number, (first, second, members) in enumerate(self._pairs):
            for i, part in zip(members, self._coupled(number, x_blocks[first], y_blocks[second]), strict=True):
                out[self.couplings[i].result] = part.flatten(1)
        return concatenate(out, 1) if out else x.new_zeros(x.shape[0], 0)


class FullyConnectedProduct(OuterProduct):
    """All couplings, and weights that mix all channel pairs: e3nn's `FullyConnectedTensorProduct` (mode "uvw")."""

    name = "fully-connected"
    mode = "uvw"

    def __init__(
        self, irreps_in1: Irreps, irreps_in2: Irreps, irreps_out: Irreps, couplings: list[Coupling] | None = None
    ) -> None:
        super().__init__(irreps_in1, irreps_in2, irreps_out, couplings, weighted=True)

    def _weight_shape(self, mul1: int, mul2: int, mul3: int) -> tuple[int, ...]:
        return (mul1, mul2, mul3)

    def _terms(self, mul1: int, mul2: int) -> int:
        return mul1 * mul2

    def _fits(self, mul1: int, mul2: int, mul3: int) -> bool:
        return True

    def _multiply_adds(self, c: Coupling) -> int:
        mul1, mul2, mul3 = self.multiplicities(c)
        return super()._multiply_adds(c) + (2 * self.degrees(c)[2] + 1) * mul1 * mul2 * mul3

    def _blocks(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        assert weight is not None
        out: list[Tensor | None] = [None] * len(self.shapes3)
        x_blocks, y_blocks = split_blocks(x, self.shapes1), split_blocks(y, self.shapes2)
        for number, (first, second, members) in enumerate(self._pairs):
            for i, part in zip(members, self._coupled(number, x_blocks[first], y_blocks[second]), strict=True):
                w = self.path_weight(weight, i).flatten(1, 2)  # [1 or n, channel pairs, mul3]
                mixed = part @ w[0] if w.shape[0] == 1 else torch.bmm(part, w)
                total = out[self.couplings[i].result]
                out[self.couplings[i].result] = mixed if total is None else total + mixed
        filled = [
            x.new_zeros(x.shape[0], dim * mul) if part is None else part.flatten(1)
            for part, (dim, mul) in zip(out, self.shapes3, strict=True)
        ]
        return concatenate(filled, 1)
