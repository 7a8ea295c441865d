"""Products with a second factor of one copy, for few channels: the second factor is repeated for each of them.

The same functions as :mod:`eqcli.geometry.products.second_first` has, with the same order of weights. Long
rows make up for the additional work where channels and degrees are few.
"""

from __future__ import annotations

from torch import Tensor

from eqcli.geometry.irreps import Irreps
from eqcli.geometry.products.channelwise import ChannelwiseProduct, components_first
from eqcli.geometry.products.coupled import Coupling


class SpreadProduct(ChannelwiseProduct):
    """The function of :class:`DepthwiseProduct`; all irreps of the first factor have the same multiplicity."""

    name = "depthwise"
    mode = "uvu"

    def _fits(self, mul1: int, mul2: int, mul3: int) -> bool:
        return mul2 == 1 and mul1 == mul3 == self.shapes1[0][1]

    def _second_blocks(self, y: Tensor) -> list[Tensor]:
        mul = self.shapes1[0][1]
        repeated = y.unsqueeze(2).expand(-1, -1, mul).flatten(1)
        return components_first(repeated, [(dim, mul) for dim, _ in self.entries2])


class SpreadMixingProduct(SpreadProduct):
    """The function of :class:`EdgeMixingProduct`; all irreps of the first factor have the same multiplicity."""

    name = "fully-connected"
    mode = "uvw"
    note = "second factor with one copy of each irrep, such as harmonics"

    def __init__(
        self, irreps_in1: Irreps, irreps_in2: Irreps, irreps_out: Irreps, couplings: list[Coupling] | None = None
    ) -> None:
        super().__init__(irreps_in1, irreps_in2, irreps_out, couplings)

    def _weight_shape(self, mul1: int, mul2: int, mul3: int) -> tuple[int, ...]:
        return (mul1, mul2, mul3)

    def _terms(self, mul1: int, mul2: int) -> int:
        return mul1 * mul2

    def _fits(self, mul1: int, mul2: int, mul3: int) -> bool:
        return mul2 == 1 and mul1 == self.shapes1[0][1]

    def _multiply_adds(self, c: Coupling) -> int:
        mul1, _, mul3 = self.multiplicities(c)
        return super()._multiply_adds(c) + (mul1 * mul3 - mul1) * (2 * self.degrees(c)[2] + 1)

    def _added(self, total: Tensor | None, part: Tensor, i: int, weight: Tensor | None) -> Tensor:
        assert weight is not None
        channels = self.shapes1[0][1]
        part = part.unflatten(1, (part.shape[1] // channels, channels))  # [2 l3 + 1, n, mul1]
        w = self.path_weight(weight, i).squeeze(2)  # [1 or n, mul1, mul3]
        mixed = part @ w[0] if w.shape[0] == 1 else (part.unsqueeze(2) @ w).squeeze(2)
        return mixed if total is None else total + mixed
