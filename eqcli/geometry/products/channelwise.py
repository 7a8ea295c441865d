"""Products of two factors with many copies each, where the first factor's channel is that of the result."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.concatenate import concatenate
from eqcli.geometry.irreps import Irreps, Shape, split_blocks
from eqcli.geometry.products.coupled import (
    Coupling,
    separate_couplings,
)
from eqcli.geometry.products.paired import PairedProduct

FEW_PRODUCTS = 16
"""Products of components, of all irreps of both factors, up to which all couplings are made at once."""

NUMBERS_AT_ONCE = 16384
"""Rows times channels in one piece."""


class ComponentsFirstProduct(PairedProduct):
    """Common part: components first, rows times channels last, so that every step is one matrix product or one
    sweep over contiguous numbers."""

    def _piece(self) -> int:
        return max(32, NUMBERS_AT_ONCE // max((mul for _, mul in self.shapes1), default=1))

    def _gather(self, parts: list[Tensor | None], rows: Tensor) -> Tensor:
        """The result from blocks `[2l+1, n, mul]` or `[2l+1, n * mul]`; None stands for zeros."""
        n = rows.shape[0]
        filled = [
            rows.new_zeros(dim, n, mul) if part is None else part.reshape(dim, n, mul)
            for part, (dim, mul) in zip(parts, self.shapes3, strict=True)
        ]
        if alike(self.shapes3):
            return concatenate(filled, 0).transpose(0, 1).reshape(n, -1 if n else self._widths[2])
        return concatenate([part.transpose(0, 1).flatten(1) for part in filled], 1)


def alike(entries: list[Shape]) -> bool:
    """Whether all entries have the same multiplicity, so that a tensor is one block `[components, mul]`."""
    return len({mul for _, mul in entries}) == 1


def _outer(x: Tensor, y: Tensor) -> Tensor:
    """`[d1, N]`, `[d2, N]` -> `[d1 d2, N]`."""
    return (x.unsqueeze(1) * y.unsqueeze(0)).flatten(0, 1)


def components_first(x: Tensor, entries: list[Shape]) -> list[Tensor]:
    """The blocks of rows `[n, dim]`, each `[2l+1, n * mul]`."""
    if alike(entries):
        dims = [dim for dim, _ in entries]
        whole = x.unflatten(1, (sum(dims), entries[0][1])).transpose(0, 1).flatten(1)
        return list(whole.split(dims))
    return [block.transpose(0, 1).flatten(1) for block in split_blocks(x, entries)]


class ChannelwiseProduct(ComponentsFirstProduct):
    """Channel by channel: `z_ku = sum_p w_pu (x_u y_u)_k`, a weight per path and channel (mode "uuu" of e3nn)."""

    name = "uuu"
    mode = "uuu"
    note = "paths to the same irrep of the result are added up"

    @classmethod
    def separate(
        cls, irreps_in1: Irreps, irreps_in2: Irreps, keep: Irreps | None = None, weighted: bool = True
    ) -> ChannelwiseProduct:
        """With a result of its own for every path, of the irreps in `keep` (all when None)."""
        kept = None if keep is None else [ir for _, ir in keep]
        irreps_out, couplings = separate_couplings(irreps_in1, irreps_in2, kept, lambda mul1, _: mul1)
        return cls(irreps_in1, irreps_in2, irreps_out, couplings, weighted)

    def _register_pairs(self) -> None:
        """One pair of all irreps where they are few: a step saved is worth more than the zeros multiplied."""
        self.entries1, self.entries2 = self.shapes1, self.shapes2
        dim1, dim2 = sum(dim for dim, _ in self.shapes1), sum(dim for dim, _ in self.shapes2)
        if not (alike(self.shapes1) and alike(self.shapes2) and self.couplings and dim1 * dim2 <= FEW_PRODUCTS):
            super()._register_pairs()
            return
        self.entries1, self.entries2 = [(dim1, self.shapes1[0][1])], [(dim2, self.shapes2[0][1])]
        table = torch.cat([self._placed(i, dim1, dim2) for i in range(len(self.couplings))])
        self._pairs = [(0, 0, list(range(len(self.couplings))))]
        self.register_constant("coupling_0", table)

    def _placed(self, i: int, dim1: int, dim2: int) -> Tensor:
        """The constants of path i among those of all irreps of both factors, `[2 l3 + 1, dim1 dim2]`."""
        c = self.couplings[i]
        start1, start2 = (sum(dim for dim, _ in s[:k]) for s, k in ((self.shapes1, c[0]), (self.shapes2, c[1])))
        (own1, _), (own2, _) = self.shapes1[c.first], self.shapes2[c.second]
        table = torch.zeros(self.shapes3[c.result][0], dim1, dim2, dtype=torch.float64)
        own = self._pair_table([i]).unflatten(1, (own1, own2))
        table[:, start1 : start1 + own1, start2 : start2 + own2] = own
        return table.flatten(1)

    def _weight_shape(self, mul1: int, mul2: int, mul3: int) -> tuple[int, ...]:
        return (mul1,)

    def _terms(self, mul1: int, mul2: int) -> int:
        return 1

    def _fits(self, mul1: int, mul2: int, mul3: int) -> bool:
        return mul1 == mul2 == mul3

    def _added(self, total: Tensor | None, part: Tensor, i: int, weight: Tensor | None) -> Tensor:
        """The sum of paths so far and path i, `[2 l3 + 1, n, channels]`."""
        channels = self.shapes1[self.couplings[i].first][1]
        part = part.unflatten(1, (part.shape[1] // channels, channels))
        if weight is None:
            return part if total is None else total + part
        w = self.path_weight(weight, i)
        return part * w if total is None else torch.addcmul(total, part, w)

    def _second_blocks(self, y: Tensor) -> list[Tensor]:
        return components_first(y, self.entries2)

    def _multiply_adds(self, c: Coupling) -> int:
        l1, l2, l3 = self.degrees(c)
        return self.multiplicities(c)[0] * ((2 * l1 + 1) * (2 * l2 + 1) + 1) * (2 * l3 + 1)

    def _blocks(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        out: list[Tensor | None] = [None] * len(self.shapes3)
        x_blocks = components_first(x, self.entries1)
        y_blocks = self._second_blocks(y)
        for number, (first, second, members) in enumerate(self._pairs):
            coupled = getattr(self, f"coupling_{number}") @ _outer(x_blocks[first], y_blocks[second])
            for i, part in zip(members, coupled.split(self._dims(members)), strict=True):
                result = self.couplings[i].result
                out[result] = self._added(out[result], part, i, weight)
        return self._gather(out, x)


class ChannelPairProduct(ComponentsFirstProduct):
    """A weight for each pair of channels: `z_ku = sum_p sum_v w_puv (x_u y_v)_k` (mode "uvu" of e3nn)."""

    name = "uvu"
    mode = "uvu"
    note = "paths to the same irrep of the result are added up"

    def __init__(
        self, irreps_in1: Irreps, irreps_in2: Irreps, irreps_out: Irreps, couplings: list[Coupling] | None = None
    ) -> None:
        super().__init__(irreps_in1, irreps_in2, irreps_out, couplings, weighted=True)

    @classmethod
    def separate(cls, irreps_in1: Irreps, irreps_in2: Irreps, keep: Irreps | None = None) -> ChannelPairProduct:
        """With a result of its own for every path, of the irreps in `keep` (all when None)."""
        kept = None if keep is None else [ir for _, ir in keep]
        irreps_out, couplings = separate_couplings(irreps_in1, irreps_in2, kept, lambda mul1, _: mul1)
        return cls(irreps_in1, irreps_in2, irreps_out, couplings)

    def _weight_shape(self, mul1: int, mul2: int, mul3: int) -> tuple[int, ...]:
        return (mul1, mul2)

    def _terms(self, mul1: int, mul2: int) -> int:
        return mul2

    def _fits(self, mul1: int, mul2: int, mul3: int) -> bool:
        return mul1 == mul3

    def _multiply_adds(self, c: Coupling) -> int:
        l1, l2, l3 = self.degrees(c)
        mul1, mul2, _ = self.multiplicities(c)
        return mul1 * (2 * l2 + 1) * (mul2 + (2 * l1 + 1) * (2 * l3 + 2))

    def _blocks(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        assert weight is not None
        out: list[Tensor | None] = [None] * len(self.shapes3)
        x_blocks = components_first(x, self.shapes1)
        y_blocks = split_blocks(y, self.shapes2)
        for number, (first, second, members) in enumerate(self._pairs):
            tables = getattr(self, f"coupling_{number}").split(self._dims(members))
            for i, table in zip(members, tables, strict=True):
                mixed = _mixed(y_blocks[second], self.path_weight(weight, i))
                part = table @ _outer(x_blocks[first], mixed)
                result = self.couplings[i].result
                total = out[result]
                out[result] = part if total is None else total + part
        return self._gather(out, x)


def _mixed(y: Tensor, weight: Tensor) -> Tensor:
    """Second factors `[n, d, v]` mixed by `[1 or n, u, v]`, components first: `[d, n * u]`."""
    if weight.shape[0] == 1:
        return (y.transpose(0, 1) @ weight[0].T).flatten(1)
    return torch.bmm(y, weight.transpose(1, 2)).transpose(0, 1).flatten(1)
