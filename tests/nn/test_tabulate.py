from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.nn.radial import BesselBasis, RadialNetwork, polynomial_cutoff
from eqcli.nn.tabulate import RELATIVE_ERROR, RadialTable

CUTOFF, SMALLEST = 5.0, 0.6


class Radial(torch.nn.Module):
    """A radial network as potentials have it, `[E] -> [E, 6]` float64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.basis, self.network = BesselBasis(CUTOFF, 8), RadialNetwork(8, (16, 6))
        self.double().requires_grad_(False)

    def forward(self, r: Tensor) -> Tensor:
        return self.network(self.basis(r) * polynomial_cutoff(r / CUTOFF, 5).unsqueeze(1))


def distances(n: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return SMALLEST + (CUTOFF - SMALLEST) * torch.rand(n, generator=generator, dtype=torch.float64).to(dtype)


def cubic(r: Tensor) -> Tensor:
    x = (r - CUTOFF).unsqueeze(1)
    return torch.cat([x**2, x**3, x**2 * (x + 1)], dim=1)


def test_error_on_other_places_is_what_the_table_says_and_below_the_tolerance() -> None:
    radial = Radial()
    table = RadialTable(radial, SMALLEST, CUTOFF).double()
    r = distances(5000)
    measured = float((table(r) - radial(r)).abs().max() / radial(r).abs().max())
    assert measured <= 1.01 * table.error < RELATIVE_ERROR
    assert table.error < 10 * measured, "the error is that of this table, no loose bound"


def test_error_falls_with_the_fourth_power_of_the_spacing() -> None:
    radial = Radial()
    coarse, fine = (RadialTable(radial, SMALLEST, CUTOFF, tolerance) for tolerance in (1e-5, 1e-9))
    assert coarse.knots < fine.knots
    order = math.log(coarse.error / fine.error) / math.log((fine.knots - 1) / (coarse.knots - 1))
    assert 3.8 < order < 4.2


def test_cubics_are_exact_with_all_their_derivatives() -> None:
    table = RadialTable(cubic, SMALLEST, CUTOFF).double()
    assert table.knots == 32
    r = distances(50).requires_grad_(True)

    def derivatives(function: torch.nn.Module | object) -> list[Tensor]:
        found, value = [], function(r)[:, 1:].sum(1)  # type: ignore[operator]
        for _ in range(3):
            (value,) = torch.autograd.grad(value.sum(), r, create_graph=True)
            found.append(value)
        return found

    for found, exact in zip(derivatives(table), derivatives(cubic), strict=True):
        torch.testing.assert_close(found, exact, atol=1e-9, rtol=1e-9)


def test_gradients_to_second_order_are_those_of_the_table() -> None:
    table = RadialTable(Radial(), SMALLEST, CUTOFF, 1e-3).double()
    # Away from the knots, where the second derivative jumps.
    spacing = (CUTOFF - SMALLEST) / (table.knots - 1)
    r = (SMALLEST + spacing * (torch.tensor([0, 3, 3, 17, table.knots - 2]) + 0.4)).double().requires_grad_(True)
    assert torch.autograd.gradcheck(table, (r,))
    assert torch.autograd.gradgradcheck(table, (r,))


def test_first_derivative_is_continuous_at_knots_and_at_the_cutoff() -> None:
    table = RadialTable(Radial(), SMALLEST, CUTOFF, 1e-3).double()
    knots = torch.linspace(SMALLEST, CUTOFF, table.knots, dtype=torch.float64)[1:]
    step = 1e-10
    for left, right in zip(numeric(table, knots - step), numeric(table, knots + step), strict=True):
        torch.testing.assert_close(left, right, atol=1e-7, rtol=0)


def numeric(table: RadialTable, r: Tensor) -> tuple[Tensor, Tensor]:
    """Values, and slopes by autograd of each weight."""
    r = r.clone().requires_grad_(True)
    value = table(r)
    slopes = [torch.autograd.grad(column.sum(), r, retain_graph=True)[0] for column in value.unbind(1)]
    return value.detach(), torch.stack(slopes, dim=1)


def test_weights_are_zero_from_the_cutoff_on_and_go_on_below_the_first_knot() -> None:
    table = RadialTable(cubic, SMALLEST, CUTOFF).double()
    assert not table(torch.tensor([CUTOFF, CUTOFF + 1.0], dtype=torch.float64)).any()
    below = torch.tensor([SMALLEST - 0.2], dtype=torch.float64)
    torch.testing.assert_close(table(below), cubic(below), atol=1e-9, rtol=1e-9)
    assert table(below[:0]).shape == (0, 3)


def test_float32_is_as_good_as_its_rounding() -> None:
    radial = Radial()
    table = RadialTable(radial, SMALLEST, CUTOFF).float()
    r = distances(2000, torch.float32)
    exact = radial(r.double())
    assert float((table(r).double() - exact).abs().max() / exact.abs().max()) < 2 * RELATIVE_ERROR


def test_a_function_with_a_kink_has_no_table() -> None:
    with pytest.raises(InputError, match="deviates"):
        RadialTable(lambda r: (r - 2.0).abs().unsqueeze(1), SMALLEST, CUTOFF)
