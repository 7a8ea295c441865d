"""Real spherical harmonics as polynomials of the direction."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.geometry.constants import ConstantModule


class SphericalHarmonics(ConstantModule):
    """Y_0 .. Y_lmax of unit vectors, `[E, 3] -> [E, (lmax+1)^2]`.

    Component normalisation: the squares of the 2l+1 components of each degree add
    up to 2l+1. Each degree is made from the one before by coupling it with the
    direction, `Y_l = c_l C(l-1, 1, l) Y_{l-1} r`: products and matrix products
    alone, so that derivatives of any order exist everywhere, the poles included.
    """

    def __init__(self, lmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        for degree in range(2, lmax + 1):
            self.register_constant(f"coupling_{degree}", _raising_matrix(degree))

    def forward(self, directions: Tensor) -> Tensor:
        degrees = [torch.ones_like(directions[:, :1])]
        if self.lmax >= 1:
            degrees.append(sqrt(3) * directions)
        for degree in range(2, self.lmax + 1):
            outer = degrees[-1].unsqueeze(2) * directions.unsqueeze(1)  # [E, 2l-1, 3]
            degrees.append(outer.flatten(1) @ getattr(self, f"coupling_{degree}"))
        return torch.cat(degrees, dim=1)


def _raising_matrix(degree: int) -> Tensor:
    """`[3 (2l-1), 2l+1]`: takes Y_{l-1} (x) r to Y_l, positive at the pole."""
    coupling = clebsch_gordan(degree - 1, 1, degree)
    # At the pole only the middle component is non-zero: it fixes factor and sign.
    pole = coupling[degree - 1, 1, degree] * sqrt(2 * degree - 1)
    return (coupling * (sqrt(2 * degree + 1) / pole)).reshape(-1, 2 * degree + 1)
