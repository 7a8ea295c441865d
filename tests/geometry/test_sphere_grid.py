"""Transforms between coefficients and values on the sphere."""

from __future__ import annotations

import pytest
import torch

from eqcli.geometry.sphere_grid import SphereGrid
from eqcli.geometry.spherical_harmonics import SphericalHarmonics

BOTH = pytest.mark.parametrize("dense", [True, False])


def coefficients(lmax: int, *rows: int, channels: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*rows, (lmax + 1) ** 2, channels, dtype=torch.float64, generator=generator)


@BOTH
@pytest.mark.parametrize("lmax", [0, 1, 5, 12])
def test_values_are_those_of_the_harmonics(lmax: int, dense: bool) -> None:
    grid = SphereGrid(lmax, lmax + 2, 2 * lmax + 3, dense=dense).double()
    x = coefficients(lmax, 3)
    harmonics = SphericalHarmonics(lmax).double()(grid.directions().flatten(0, 1))
    expected = torch.einsum("pk,nkc->npc", harmonics, x).unflatten(1, (grid.res_beta, grid.res_alpha))
    torch.testing.assert_close(grid.to_grid(x), expected, rtol=0, atol=1e-11)


@BOTH
@pytest.mark.parametrize("lmax", [0, 2, 8])
def test_back_and_forth_on_the_smallest_grid(lmax: int, dense: bool) -> None:
    grid = SphereGrid(lmax, lmax + 1, 2 * lmax + 1, dense=dense).double()
    x = coefficients(lmax, 2, 3)
    torch.testing.assert_close(grid.from_grid(grid.to_grid(x)), x, rtol=0, atol=1e-13)


@BOTH
def test_the_grid_of_a_product_is_exact_and_no_larger_than_needed(dense: bool) -> None:
    l1, l2, l3 = 3, 2, 4
    small = SphereGrid.for_product(l1, l2, l3)
    large = SphereGrid(9, 30, 40, dense=dense).double()
    x, y = coefficients(l1, 4), coefficients(l2, 4, seed=1)

    def multiply(grid: SphereGrid) -> torch.Tensor:
        return grid.from_grid(grid.to_grid(x) * grid.to_grid(y), l3)

    expected = multiply(large)
    exact = SphereGrid(4, small.res_beta, small.res_alpha, dense=dense).double()
    torch.testing.assert_close(multiply(exact), expected, rtol=0, atol=1e-12)
    for res_beta, res_alpha in ((small.res_beta - 1, small.res_alpha), (small.res_beta, small.res_alpha - 1)):
        coarse = multiply(SphereGrid(4, res_beta, res_alpha, dense=dense).double())
        assert float((coarse - expected).abs().max()) > 1e-3


@BOTH
def test_degrees_below_the_highest(dense: bool) -> None:
    grid = SphereGrid(6, 8, 14, dense=dense).double()
    x = coefficients(3, 2)
    padded = torch.cat([x, x.new_zeros(2, 49 - 16, 2)], dim=1)
    torch.testing.assert_close(grid.to_grid(x), grid.to_grid(padded), rtol=0, atol=1e-13)
    torch.testing.assert_close(grid.from_grid(grid.to_grid(padded), 3), x, rtol=0, atol=1e-13)


@BOTH
def test_any_number_of_rows_and_casts(dense: bool) -> None:
    grid = SphereGrid(2, 4, 6, dense=dense).float()
    assert grid.to_grid(torch.zeros(9, 5)).shape == (4, 6, 5)
    assert grid.to_grid(torch.zeros(0, 9, 5)).shape == (0, 4, 6, 5)
    assert grid.from_grid(torch.zeros(0, 3, 4, 6, 5)).shape == (0, 3, 9, 5)
    x = coefficients(2, 3)
    there_and_back = grid.double().to_grid(x)
    assert torch.equal(grid.float().double().to_grid(x), there_and_back)


@BOTH
def test_gradients_to_second_order(dense: bool) -> None:
    grid = SphereGrid(2, 4, 6, dense=dense).double()
    x = coefficients(2, 2).requires_grad_()

    def squared(x: torch.Tensor) -> torch.Tensor:
        return grid.from_grid(grid.to_grid(x) ** 2, 1)

    assert torch.autograd.gradcheck(squared, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(squared, x, fast_mode=True)


def test_compiles_without_graph_breaks() -> None:
    for dense in (True, False):
        grid = SphereGrid(3, 5, 8, dense=dense).double()
        x = coefficients(3, 2)
        torch.compiler.reset()
        compiled = torch.compile(lambda x, g=grid: g.from_grid(g.to_grid(x)), fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), x, rtol=0, atol=1e-13)
