"""Products with a second factor of one copy, such as the harmonics of an edge.

Coefficients and second factor are contracted first, without channels: what is left is one small matrix per row
and pair of irreps, and the sum over all paths between them is one batched matrix product along the channels.
"""

from __future__ import annotations

from itertools import accumulate, groupby

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.concatenate import concatenate
from eqcli.geometry.irreps import Irreps, split_blocks
from eqcli.geometry.products.coupled import CoupledProduct, Coupling, separate_couplings

ROWS_AT_ONCE = 1024


class SecondFirstProduct(CoupledProduct):
    """Common part of the products whose second factor has one copy of each irrep."""

    def __init__(
        self,
        irreps_in1: Irreps,
        irreps_in2: Irreps,
        irreps_out: Irreps,
        couplings: list[Coupling] | None = None,
        weighted: bool = True,
    ) -> None:
        super().__init__(irreps_in1, irreps_in2, irreps_out, couplings, weighted)
        self._groups = [
            (first, result, [i for i, _ in members])
            for (first, result), members in groupby(
                enumerate(self.couplings), key=lambda pair: (pair[1].first, pair[1].result)
            )
        ]
        starts = [0, *accumulate(dim for dim, _ in self.shapes2)]
        self._ranges: list[tuple[int, int]] = []
        for number, (_, _, members) in enumerate(self._groups):
            seconds = [self.couplings[i].second for i in members]
            self._ranges.append((starts[min(seconds)], starts[max(seconds) + 1]))
            self.register_constant(f"coupling_{number}", self._group_table(members, starts))

    def _piece(self) -> int:
        return ROWS_AT_ONCE

    def _area(self, c: Coupling) -> int:
        l1, _, l3 = self.degrees(c)
        return (2 * l1 + 1) * (2 * l3 + 1)

    def _group_table(self, members: list[int], starts: list[int]) -> Tensor:
        """`[components, paths (2 l1 + 1)(2 l3 + 1)]`: from the irreps of the second factor that a group of paths
        takes, and those between them, to the matrices of the paths."""
        seconds = [self.couplings[i].second for i in members]
        first_row = starts[min(seconds)]
        parts = []
        for c in (self.couplings[i] for i in members):
            l1, l2, l3 = self.degrees(c)
            scale = self.factor(c) * (2 * l3 + 1) ** 0.5
            part = torch.zeros(starts[max(seconds) + 1] - first_row, self._area(c), dtype=torch.float64)
            own = slice(starts[c.second] - first_row, starts[c.second + 1] - first_row)
            part[own] = scale * clebsch_gordan(l1, l2, l3).permute(1, 0, 2).flatten(1)
            parts.append(part)
        return torch.cat(parts, dim=1)

    def _matrices(self, y: Tensor) -> list[Tensor]:
        """For each group of paths between one pair of irreps, `[n, paths (2 l1 + 1), 2 l3 + 1]`."""
        return [
            (y[:, start:stop] @ getattr(self, f"coupling_{number}")).unflatten(1, (-1, self.shapes3[group[1]][0]))
            for number, (group, (start, stop)) in enumerate(zip(self._groups, self._ranges, strict=True))
        ]

    def _gather(self, parts: list[Tensor | None], x: Tensor) -> Tensor:
        """The result from its blocks `[n, 2l+1, mul]`; None stands for zeros."""
        filled = [
            x.new_zeros(x.shape[0], dim * mul) if part is None else part.flatten(1)
            for part, (dim, mul) in zip(parts, self.shapes3, strict=True)
        ]
        return concatenate(filled, 1)


def _added(total: Tensor | None, matrices: Tensor, values: Tensor) -> Tensor:
    """total + matrices^T values, batched."""
    if total is None:
        return torch.bmm(matrices.transpose(1, 2), values)
    return torch.baddbmm(total, matrices.transpose(1, 2), values)


class DepthwiseProduct(SecondFirstProduct):
    """Channel by channel with one set of second factors: `z_ku = sum_p w_pu (x_u y)_k`, a weight per path and channel.

    e3nn's mode "uvu" with one copy in the second factor. Without `couplings` every path to `irreps_out` is taken,
    and paths to the same irrep are added up.
    """

    name = "depthwise"
    mode = "uvu"
    note = "paths to the same irrep of the result are added up"

    @classmethod
    def separate(cls, irreps_in1: Irreps, irreps_in2: Irreps, keep: Irreps | None = None) -> DepthwiseProduct:
        """With a result of its own for every path, of the irreps in `keep` (all when None)."""
        kept = None if keep is None else [ir for _, ir in keep]
        irreps_out, couplings = separate_couplings(irreps_in1, irreps_in2, kept, lambda mul1, _: mul1)
        return cls(irreps_in1, irreps_in2, irreps_out, couplings)

    def _weight_shape(self, mul1: int, mul2: int, mul3: int) -> tuple[int, ...]:
        return (mul1,)

    def _terms(self, mul1: int, mul2: int) -> int:
        return mul2

    def _fits(self, mul1: int, mul2: int, mul3: int) -> bool:
        return mul2 == 1 and mul1 == mul3

    def _multiply_adds(self, c: Coupling) -> int:
        l1, l2, _ = self.degrees(c)
        mul = self.multiplicities(c)[0]
        return self._area(c) * (2 * l2 + 1 + mul) + mul * (2 * l1 + 1)

    def _blocks(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        out: list[Tensor | None] = [None] * len(self.shapes3)
        x_blocks = split_blocks(x, self.shapes1)
        for (first, result, members), matrices in zip(self._groups, self._matrices(y), strict=True):
            values = x_blocks[first].unsqueeze(1)  # [n, 1, 2 l1 + 1, channels]
            if weight is not None:
                start, stop = self.weight_starts[members[0]], self.weight_starts[members[-1] + 1]
                w = weight[:, start:stop].unflatten(1, (len(members), 1, -1))
                values = values * w
            else:
                values = values.expand(-1, len(members), -1, -1)
            out[result] = _added(out[result], matrices, values.flatten(1, 2))
        return self._gather(out, x)


class EdgeMixingProduct(SecondFirstProduct):
    """All channels mixed by weights, second factors of one copy: `z_kw = sum_p sum_u W_puw (x_u y)_k`.

    e3nn's `FullyConnectedTensorProduct` (mode "uvw") for such a second factor. Channels are mixed where there
    are fewer components: before the coupling or after it.
    """

    name = "fully-connected"
    mode = "uvw"
    note = "second factor with one copy of each irrep, such as harmonics"

    def __init__(
        self, irreps_in1: Irreps, irreps_in2: Irreps, irreps_out: Irreps, couplings: list[Coupling] | None = None
    ) -> None:
        super().__init__(irreps_in1, irreps_in2, irreps_out, couplings, weighted=True)

    def _weight_shape(self, mul1: int, mul2: int, mul3: int) -> tuple[int, ...]:
        return (mul1, mul2, mul3)

    def _terms(self, mul1: int, mul2: int) -> int:
        return mul1 * mul2

    def _fits(self, mul1: int, mul2: int, mul3: int) -> bool:
        return mul2 == 1

    def _multiply_adds(self, c: Coupling) -> int:
        l1, l2, l3 = self.degrees(c)
        mul1, _, mul3 = self.multiplicities(c)
        coupled = mul3 if l1 <= l3 else mul1
        return self._area(c) * (2 * l2 + 1 + coupled) + mul1 * mul3 * (2 * min(l1, l3) + 1)

    def _blocks(self, x: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        assert weight is not None
        out: list[Tensor | None] = [None] * len(self.shapes3)
        x_blocks = split_blocks(x, self.shapes1)
        for (first, result, members), matrices in zip(self._groups, self._matrices(y), strict=True):
            mul1, mul3 = self.shapes1[first][1], self.shapes3[result][1]
            start, stop = self.weight_starts[members[0]], self.weight_starts[members[-1] + 1]
            w = weight[:, start:stop].unflatten(1, (len(members), mul1, mul3))
            values = x_blocks[first]
            if values.shape[1] <= matrices.shape[2]:
                mixed = _apply(values, w.transpose(1, 2).flatten(2))  # [n, 2 l1 + 1, paths * mul3]
                out[result] = _added(out[result], _components_first(matrices, len(members)), _unstack(mixed, mul3))
            else:
                coupled = _coupled_apart(matrices, values, len(members))  # [n, 2 l3 + 1, paths * mul1]
                mixed = _apply(coupled, w.flatten(1, 2))
                out[result] = mixed if out[result] is None else out[result] + mixed
        return self._gather(out, x)


def _apply(values: Tensor, weight: Tensor) -> Tensor:
    """`[n, d, a]` by one matrix for all rows `[1, a, b]` or one for each `[n, a, b]`."""
    return values @ weight[0] if weight.shape[0] == 1 else torch.bmm(values, weight)


def _components_first(matrices: Tensor, paths: int) -> Tensor:
    """Rows ordered by (component, path) instead of (path, component)."""
    return matrices if paths == 1 else matrices.unflatten(1, (paths, -1)).transpose(1, 2).flatten(1, 2)


def _unstack(mixed: Tensor, channels: int) -> Tensor:
    return mixed.unflatten(2, (-1, channels)).flatten(1, 2)


def _coupled_apart(matrices: Tensor, values: Tensor, paths: int) -> Tensor:
    """Every path's result on its own, `[n, 2 l3 + 1, paths * channels]`."""
    table = matrices.unflatten(1, (paths, values.shape[1])).permute(0, 3, 1, 2).flatten(1, 2)
    coupled = torch.bmm(table, values)
    return coupled.unflatten(1, (-1, paths)).flatten(2)
