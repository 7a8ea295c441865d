"""Radial weights read from a table: a network of one number is a curve, and a curve needs no network."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.geometry.constants import ConstantModule
from eqcli.nn.multilinear import multilinear

RELATIVE_ERROR = 1e-6
"""Largest error of a table over the largest weight."""

FEWEST_KNOTS, MOST_KNOTS = 32, 2**14
"""Knots that are tried, doubling from the first to the last."""

CHECKED = 3
"""Places checked in each interval between knots; one is its middle, where the error is largest."""


class RadialTable(ConstantModule):
    """Weights `[E, P C]` as a piecewise cubic function of the distance, `[E] -> [E, P C]`.

    Cubic Hermite interpolation between evenly spaced knots, from values and derivatives of the radial network there:
    continuous with its first derivative. The error is of fourth order in the spacing, that of the first derivative of
    third: it is larger by about the number of knots. There are derivatives to any
    order; from the third on they are those of the cubics. Below the first knot the first cubic goes on; from the
    cutoff on the weights are zero.

    Parameters
    ----------
    radial
        The function to tabulate, from distances `[n]` float64 to weights `[n, P C]`.
    smallest, cutoff
        Ends of the table in Å. The function and its derivative should vanish at the cutoff.
    tolerance
        Largest deviation from `radial` over the largest weight; knots are doubled until it is met.

    Attributes
    ----------
    knots
        Their number.
    error
        The deviation met, measured in float64 at places between the knots.

    Raises InputError when the tolerance cannot be met: the function has a kink or a pole.
    """

    table: Tensor

    def __init__(
        self,
        radial: Callable[[Tensor], Tensor],
        smallest: float,
        cutoff: float,
        tolerance: float = RELATIVE_ERROR,
    ) -> None:
        super().__init__()
        self.smallest, self.cutoff = smallest, cutoff
        self.knots, table = FEWEST_KNOTS, _knot_rows(radial, smallest, cutoff, FEWEST_KNOTS)
        self.error = _deviation(radial, table, smallest, cutoff)
        while not self.error <= tolerance:
            if self.knots >= MOST_KNOTS:
                raise InputError(
                    f"a table of {self.knots} knots from {smallest} to {cutoff} Å deviates by {self.error:.1e} of the "
                    f"largest radial weight, more than {tolerance:.0e}",
                    hint="the radial function is not smooth enough there: let the table begin at a larger distance",
                )
            self.knots *= 2
            table = _knot_rows(radial, smallest, cutoff, self.knots)
            self.error = _deviation(radial, table, smallest, cutoff)
        self.register_constant("table", table)

    def forward(self, r: Tensor) -> Tensor:
        return interpolate(self.table, r, self.smallest, self.cutoff)


def interpolate(table: Tensor, r: Tensor, smallest: float, cutoff: float) -> Tensor:
    """`[E] -> [E, P C]` from `[2 knots, P C]`: value and slope (per spacing) at each knot in turn."""
    intervals = len(table) // 2 - 1
    # In float64: in float32 the place within an interval would have lost as many digits as there are intervals.
    place = (r.double() - smallest) * (intervals / (cutoff - smallest))
    interval = place.detach().floor().clamp(0, intervals - 1)
    t = (place - interval).to(r.dtype)
    inside = (r < cutoff).to(r.dtype)
    rise, bend = t * t * (3.0 - 2.0 * t), t * (t - 1.0)
    shares = torch.stack([1.0 - rise, bend * (t - 1.0), rise, bend * t], dim=1) * inside.unsqueeze(1)
    rows = 2 * interval.to(torch.int64).unsqueeze(1) + torch.arange(4, device=r.device)
    return multilinear(_RowSums(table), rows, shares)


class _RowSums:
    """Sums of four rows of a table with a share of each: linear in the shares `[E, 4]`; `rows` are `[E, 4]`."""

    def __init__(self, table: Tensor) -> None:
        self.table = table

    def forward(self, shares: Tensor, rows: Tensor) -> Tensor:
        found: Tensor = torch.nn.functional.embedding_bag(rows, self.table, mode="sum", per_sample_weights=shares)
        return found

    def backward(self, g: Tensor, shares: Tensor, rows: Tensor) -> tuple[Tensor]:
        with torch.enable_grad():
            again = shares.detach().requires_grad_(True)
            (found,) = torch.autograd.grad(self.forward(again, rows), again, g.detach())
        return (found,)

    def double_backward(self, g: Tensor, shares: Tensor, of_shares: Tensor, rows: Tensor) -> tuple[Tensor, None]:
        return self.forward(of_shares, rows), None


def _knot_rows(radial: Callable[[Tensor], Tensor], smallest: float, cutoff: float, knots: int) -> Tensor:
    """Value and slope at each knot, `[2 knots, P C]` float64."""
    r = torch.linspace(smallest, cutoff, knots, dtype=torch.float64)
    spacing = torch.full_like(r, (cutoff - smallest) / (knots - 1))
    # With has_aux there would be a third result, which is why the types leave their number open.
    value, slope, *_ = torch.func.jvp(radial, (r,), (spacing,))
    return torch.stack([value.detach(), slope.detach()], dim=1).flatten(0, 1)


@torch.no_grad()
def _deviation(radial: Callable[[Tensor], Tensor], table: Tensor, smallest: float, cutoff: float) -> float:
    """Largest error at places between the knots over the largest weight; inf where a weight is not finite."""
    n = CHECKED * (len(table) // 2 - 1)
    r = smallest + (cutoff - smallest) * (torch.arange(n, dtype=torch.float64) + 0.5) / n
    largest = error = 0.0
    for part in r.split(1024):
        exact = radial(part)
        if not bool(exact.isfinite().all()):
            return inf
        largest = max(largest, float(exact.abs().max()))
        error = max(error, float((interpolate(table, part, smallest, cutoff) - exact).abs().max()))
    return error / largest if largest else error
