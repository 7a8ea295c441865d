from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from eqcli.geometry.torus import geodesic, torus_exp, torus_log, without_drift, wrap

real = st.floats(-1e3, 1e3, allow_nan=False) | st.sampled_from([0.5, -0.5, 1.5, -1e-18, -1e-300, 1 - 1e-16, 0.0])


def number(value: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(value, dtype=dtype)


def apart_on_circle(x: Tensor, y: Tensor) -> float:
    """Largest distance modulo 1, without rounding."""
    differences = [Fraction(a) - Fraction(b) for a, b in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True)]
    return max(float(abs(d - round(d))) for d in differences)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(real)
def test_wrapped_numbers_are_in_the_unit_interval_and_the_same_points(dtype: torch.dtype, value: float) -> None:
    x = number(value, dtype)
    wrapped = wrap(x)
    assert 0 <= float(wrapped) < 1
    assert apart_on_circle(wrapped, x) <= torch.finfo(dtype).eps
    assert float(wrap(wrapped)) == float(wrapped)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tiny_negative_numbers_become_zero_and_not_one(dtype: torch.dtype) -> None:
    assert wrap(torch.tensor([-1e-18, -1e-30, -0.0, -3.0], dtype=dtype)).tolist() == [0, 0, 0, 0]


def test_numbers_that_are_none_stay_so() -> None:
    assert bool(wrap(torch.tensor([torch.nan, torch.inf, -torch.inf])).isnan().all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(real, real)
def test_the_logarithm_is_the_shortest_way_and_the_exponential_goes_it(
    dtype: torch.dtype, one: float, other: float
) -> None:
    base, point = number(one, dtype), number(other, dtype)
    way = torus_log(base, point)
    assert -0.5 <= float(way) < 0.5
    reached = torus_exp(base, way)
    # The difference of two numbers of size 1000 has the rounding of such numbers.
    assert apart_on_circle(reached, point) < 3e3 * torch.finfo(dtype).eps
    images = (point.double() - base.double()) + torch.arange(-2002, 2003)
    assert abs(float(way)) <= float(images.abs().min()) + 1e4 * torch.finfo(dtype).eps


def test_half_a_turn_is_negative_both_ways() -> None:
    there = torus_log(number(0.25), number(0.75))
    back = torus_log(number(0.75), number(0.25))
    assert (float(there), float(back)) == (-0.5, -0.5)


def test_gradients_are_those_of_the_plane() -> None:
    base = torch.tensor([0.1, 0.95, -0.3], dtype=torch.float64, requires_grad=True)
    point = torch.tensor([0.9, 0.1, 2.6], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    (torus_log(base, point) * weights).sum().backward()
    assert base.grad is not None
    assert point.grad is not None
    assert torch.equal(base.grad, -weights)
    assert torch.equal(point.grad, weights)
    assert torch.autograd.gradcheck(wrap, (base,))


def test_a_geodesic_goes_the_short_way_at_constant_speed() -> None:
    base, point = torch.tensor([[0.9, 0.2]]).double(), torch.tensor([[0.1, 0.3]]).double()
    times = torch.linspace(0, 1, 5).double().unsqueeze(1)
    expected = torch.tensor([[0.9, 0.2], [0.95, 0.225], [0.0, 0.25], [0.05, 0.275], [0.1, 0.3]]).double()
    assert apart_on_circle(geodesic(base, point, times), expected) < 1e-6
    torch.testing.assert_close(geodesic(base, point, 1.0), wrap(point))


def test_the_mean_of_each_crystal_is_removed() -> None:
    batch = torch.tensor([0, 0, 0, 2, 2, 3])
    v = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    left = without_drift(v, batch, 4)
    for crystal in (0, 2, 3):
        own = batch == crystal
        torch.testing.assert_close(left[own], v[own] - v[own].mean(0), atol=1e-15, rtol=0)
    torch.testing.assert_close(without_drift(left, batch, 4), left, atol=1e-15, rtol=0)
    torch.testing.assert_close(without_drift(v[:, 0], batch, 4), left[:, 0])
    assert without_drift(v[:0], batch[:0], 2).shape == (0, 3)


def test_removing_the_mean_has_derivatives_of_any_order() -> None:
    batch = torch.tensor([0, 0, 1, 1, 1])
    v = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: without_drift(x.pow(3), batch, 2), (v,))
    assert torch.autograd.gradgradcheck(lambda x: without_drift(x.pow(3), batch, 2), (v,))
