"""The Gaunt product on a grid: values of both functions, multiplied point by point.

On a Gauss-Legendre grid large enough for l1 + l2 + l3 the integrals are exact. (Xie, Daigavane, Kotak and Smidt,
"The Price of Freedom", arXiv:2506.13523.)
"""

from __future__ import annotations

from torch import Tensor

from eqcli.geometry.products.gaunt import GauntProduct
from eqcli.geometry.sphere_grid import SphereGrid


class GauntGrid(GauntProduct):
    """The Gaunt product by a grid on the sphere: O(L^3) for each channel."""

    name = "gaunt-grid"

    def __init__(self, lmax1: int, lmax2: int, lmax_out: int, channels: int, channels2: int | None = None) -> None:
        super().__init__(lmax1, lmax2, lmax_out, channels, channels2)
        self.grid = SphereGrid.for_product(lmax1, lmax2, lmax_out)

    @property
    def points(self) -> int:
        return self.grid.points

    def multiply(self, f: Tensor, g: Tensor) -> Tensor:
        return self.grid.from_grid(self.grid.to_grid(f) * self.grid.to_grid(g), self.lmax_out)

    def product_multiply_adds(self) -> int:
        transforms = sum(self.grid.multiply_adds(degree) for degree in (self.lmax1, self.lmax2, self.lmax_out))
        return transforms + self.grid.points


def build(lmax: int, channels: int) -> GauntGrid:
    """Both factors and the result with degrees 0 .. lmax."""
    return GauntGrid(lmax, lmax, lmax, channels)
