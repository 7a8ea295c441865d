"""Products that take all couplings of one pair of irreps at once."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from math import sqrt

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.irreps import Irreps
from eqcli.geometry.products.coupled import CoupledProduct, Coupling


@cache
def coupling_table(l1: int, l2: int, results: tuple[int, ...]) -> Tensor:
    """`sqrt(2 l3 + 1) C` of several results one after the other, `[sum of 2 l3 + 1, (2 l1 + 1)(2 l2 + 1)]` float64."""
    parts = [sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3).permute(2, 0, 1).flatten(1) for l3 in results]
    return torch.cat(parts)


class PairedProduct(CoupledProduct):
    """Paths grouped by the pair of irreps that they couple; the constants of pair n are `coupling_n`."""

    def __init__(
        self,
        irreps_in1: Irreps,
        irreps_in2: Irreps,
        irreps_out: Irreps,
        couplings: list[Coupling] | None = None,
        weighted: bool = True,
    ) -> None:
        super().__init__(irreps_in1, irreps_in2, irreps_out, couplings, weighted)
        self._pairs: list[tuple[int, int, list[int]]] = []
        self._register_pairs()

    def _register_pairs(self) -> None:
        by_pair = sorted(range(len(self.couplings)), key=self._pair)
        self._pairs = [(*pair, list(members)) for pair, members in groupby(by_pair, key=self._pair)]
        for n, (_, _, members) in enumerate(self._pairs):
            self.register_constant(f"coupling_{n}", self._pair_table(members))

    def _pair(self, i: int) -> tuple[int, int]:
        return self.couplings[i].first, self.couplings[i].second

    def _pair_table(self, members: list[int]) -> Tensor:
        """`[sum of 2 l3 + 1, (2 l1 + 1)(2 l2 + 1)]` of the paths of one pair of irreps."""
        couplings = [self.couplings[i] for i in members]
        l1, l2, _ = self.degrees(couplings[0])
        table = coupling_table(l1, l2, tuple(self.degrees(c)[2] for c in couplings))
        scale = [self.factor(c) for c in couplings for _ in range(self.irreps_out[c.result].ir.dim)]
        return table * torch.tensor(scale, dtype=torch.float64).unsqueeze(1)

    def _dims(self, members: list[int]) -> list[int]:
        """2 l3 + 1 of the paths."""
        return [self.shapes3[self.couplings[i].result][0] for i in members]
