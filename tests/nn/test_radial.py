from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from eqcli.nn.envelope import ENVELOPES, polynomial_cutoff, smoothstep_cutoff
from eqcli.nn.radial import RADIAL_BASES, SILU_SCALE, AgnesiTransform, SmoothBasis, SoftTransform
from eqcli.nn.zbl import ZBL

CUTOFF = 5.0
SMOOTHNESS = {"polynomial": 2, "cosine": 1, "smoothstep": 2, "bump": 3}
"""Derivatives that vanish at the cutoff."""


def derivatives(function: Callable[[Tensor], Tensor], r: Tensor, order: int) -> list[Tensor]:
    """Value and derivatives of a function `[E] -> [E, N]` or `[E] -> [E]`, each `[E]`, weighted and summed over N."""
    r = r.clone().requires_grad_()
    value = function(r)
    value = value @ torch.linspace(-1.0, 2.0, value.shape[1], dtype=r.dtype) if value.dim() > 1 else value
    found = [value.detach()]
    for _ in range(order):
        (value,) = torch.autograd.grad((value + 0.0 * r).sum(), r, create_graph=True)
        found.append(value.detach())
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("name", RADIAL_BASES)
def test_three_derivatives_are_finite_from_zero_to_beyond_the_cutoff(
    name: str, envelope: str, trainable: bool, dtype: torch.dtype
) -> None:
    basis = SmoothBasis(name, CUTOFF, 8, envelope=envelope, trainable=trainable).to(dtype)
    below, above = (torch.nextafter(torch.tensor(CUTOFF), torch.tensor(end)).item() for end in (0.0, 9.0))
    r = torch.tensor([0.0, 1e-30, 1e-8, 1e-3, 0.1, 2.0, 4.999, below, CUTOFF, above, 5.1, 100.0], dtype=dtype)
    found = derivatives(basis, r, 3)
    assert all(bool(d.isfinite().all()) for d in found)
    assert not any(bool(d[-3:].any()) for d in found)
    if trainable:
        values = basis(r).sum()
        gradients = torch.autograd.grad(values, list(basis.parameters()))
        assert gradients
        assert all(bool(g.isfinite().all()) for g in gradients)


@pytest.mark.parametrize("name", RADIAL_BASES)
def test_derivatives_agree_with_finite_differences_and_are_smooth_at_zero(name: str) -> None:
    basis = RADIAL_BASES[name](CUTOFF, 6).double()
    # The last points lie on both sides of where the Bessel functions change from their series to the quotient.
    r = torch.tensor([1e-3, 0.01, 0.02652, 0.1592, 0.0265, 0.159, 1.0, 4.0], dtype=torch.float64)
    step = 1e-4
    exact, ahead, behind = (derivatives(basis, r + shift, 3) for shift in (0.0, step, -step))
    for order in range(3):
        difference = (ahead[order] - behind[order]) / (2 * step)
        scale = float(exact[order + 1].abs().max())
        assert float((difference - exact[order + 1]).abs().max()) < 1e-4 * scale


@pytest.mark.parametrize("name", ENVELOPES)
def test_envelopes_fall_from_one_to_zero_as_smoothly_as_they_say(name: str) -> None:
    envelope = ENVELOPES[name](CUTOFF)
    r = torch.linspace(0.0, CUTOFF, 501, dtype=torch.float64)
    value, first, *_ = derivatives(envelope, r, 1)
    assert float(value[0]) == 1.0
    assert float(value[-1]) == pytest.approx(0.0, abs=1e-15)
    assert float(first.max()) < 1e-12
    at_cutoff = derivatives(envelope, torch.tensor([CUTOFF * (1 - 1e-7)], dtype=torch.float64), 3)
    vanishing = SMOOTHNESS[name]
    assert all(abs(float(d)) < 1e-5 for d in at_cutoff[: vanishing + 1])
    if name != "bump":
        assert abs(float(at_cutoff[vanishing + 1])) > 0.1


def test_the_cosine_jumps_in_its_second_derivative() -> None:
    second = derivatives(ENVELOPES["cosine"](1.0), torch.tensor([1.0 - 1e-9, 1.0 + 1e-9], dtype=torch.float64), 2)[2]
    assert float(second[0] - second[1]) == pytest.approx(math.pi**2 / 2, rel=1e-6)


@pytest.mark.parametrize("p", [2, 3, 5, 6, 12])
def test_the_polynomial_is_that_of_the_paper(p: int) -> None:
    x = torch.linspace(0.0, 1.0, 101, dtype=torch.float64)
    a, b, c = (p + 1) * (p + 2) / 2, p * (p + 2), p * (p + 1) / 2
    expected = 1.0 - a * x**p + b * x ** (p + 1) - c * x ** (p + 2)
    torch.testing.assert_close(polynomial_cutoff(x, p), expected, rtol=0, atol=1e-13)


def test_the_polynomial_keeps_its_digits_near_the_cutoff_in_float32() -> None:
    x = 1.0 - torch.logspace(-4, -1, 50)
    exact = polynomial_cutoff(x.double(), 6)
    assert float((polynomial_cutoff(x, 6).double() / exact - 1.0).abs().max()) < 1e-6


def test_smoothstep_is_one_up_to_its_onset_and_the_quintic_from_there() -> None:
    x = torch.tensor([0.0, 0.3, 0.6, 0.8, 1.0], dtype=torch.float64)
    t = (x - 0.6).clamp(min=0.0) / 0.4
    expected = 1.0 - 10 * t**3 + 15 * t**4 - 6 * t**5
    torch.testing.assert_close(smoothstep_cutoff(x, 0.6), expected, rtol=0, atol=1e-14)


def test_the_series_of_bessel_functions_has_all_digits_where_it_ends() -> None:
    basis = RADIAL_BASES["bessel"](CUTOFF, 6).double()
    r = 0.0999 * CUTOFF / (math.pi * torch.arange(1, 7, dtype=torch.float64))
    exact = math.sqrt(2.0 / CUTOFF) * math.sin(0.0999) / r
    torch.testing.assert_close(basis(r).diagonal(), exact, rtol=2e-15, atol=0)


def test_bernstein_polynomials_are_positive_and_add_up_to_one() -> None:
    basis = RADIAL_BASES["bernstein"](CUTOFF, 128).float()
    values = basis(torch.linspace(0.0, CUTOFF, 200))
    assert bool((values >= 0).all())
    torch.testing.assert_close(values.sum(1), torch.ones(200), rtol=1e-5, atol=0)
    # Each has its one maximum where exp(-g r) = k / (N - 1), g = 1 / (2 Bohr).
    small = RADIAL_BASES["bernstein"](CUTOFF, 5).double()
    r = -torch.log(torch.arange(1, 5, dtype=torch.float64) / 4) * 2 * 0.529177210903
    peak, left, right = small(r), small(r - 1e-3), small(r + 1e-3)
    for k in range(1, 4):
        assert float(peak[k - 1, k]) > max(float(left[k - 1, k]), float(right[k - 1, k]))


def test_each_exponential_gaussian_is_one_at_its_centre() -> None:
    basis = RADIAL_BASES["expnormal"](CUTOFF, 9).double()
    values = basis(-torch.log(torch.linspace(math.exp(-5.0), 1.0, 9, dtype=torch.float64)) * CUTOFF / 5.0)
    torch.testing.assert_close(values.diagonal(), torch.ones(9, dtype=torch.float64), rtol=0, atol=1e-12)
    assert float(values.max()) < 1.0 + 1e-12


@pytest.mark.parametrize("name", RADIAL_BASES)
def test_trainable_numbers_are_parameters_with_the_same_start(name: str) -> None:
    fixed, learned = (RADIAL_BASES[name](CUTOFF, 6, trainable=t).float() for t in (False, True))
    r = torch.linspace(0.0, CUTOFF, 30)
    torch.testing.assert_close(learned(r), fixed(r))
    assert not list(fixed.parameters())
    assert list(learned.parameters())


@pytest.mark.parametrize("p", [3, 5, 6])
def test_envelope_and_its_first_derivatives_vanish_at_the_cutoff(p: int) -> None:
    x = torch.tensor([1.0 - 1e-12], dtype=torch.float64, requires_grad=True)
    value = polynomial_cutoff(x, p)
    first = torch.autograd.grad(value.sum(), x, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), x)[0]
    assert max(abs(float(v)) for v in (value.detach(), first.detach(), second)) < 1e-9
    assert float(polynomial_cutoff(torch.tensor(0.0), p)) == 1.0
    assert float(polynomial_cutoff(torch.tensor(1.2), p)) == 0.0


def test_silu_scale_normalises_the_second_moment() -> None:
    z = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    density = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    moment = torch.trapezoid(torch.nn.functional.silu(z) ** 2 * density, z)
    assert float(SILU_SCALE**2 * moment) == pytest.approx(1.0, abs=1e-12)


def test_bessel_functions_are_orthonormal_in_the_sphere() -> None:
    basis = RADIAL_BASES["bessel"](5.0, 6).double()
    r = torch.linspace(1e-6, 5.0, 20_001, dtype=torch.float64)
    b = basis(r)
    gram = torch.trapezoid(b.unsqueeze(1) * b.unsqueeze(2) * r.view(-1, 1, 1) ** 2, r, dim=0)
    torch.testing.assert_close(gram, torch.eye(6, dtype=torch.float64), atol=1e-5, rtol=0)


def test_transforms_have_their_limits_and_know_the_pair() -> None:
    r = torch.linspace(0.5, 5.0, 50, dtype=torch.float64)
    carbon, hydrogen = torch.full((50,), 6), torch.full((50,), 1)
    soft, agnesi = SoftTransform().double(), AgnesiTransform().double()
    # Two carbon radii are 1.52 Å: held at 3/4 of that far below, the distance itself far above.
    assert float(soft(r, carbon, carbon)[0]) == pytest.approx(0.75 * 1.52, abs=1e-3)
    assert bool((agnesi(r, carbon, carbon).diff() < 0).all())
    assert not torch.allclose(agnesi(r, carbon, carbon), agnesi(r, carbon, hydrogen))
    assert float(soft(r, carbon, hydrogen)[-1]) == pytest.approx(5.0, abs=1e-6)


def test_zbl_tends_to_the_bare_coulomb_repulsion_and_ends_at_the_bond() -> None:
    zbl = ZBL(6).double()
    r = torch.tensor([1e-4, 1.6], dtype=torch.float64)
    half = zbl(r, torch.tensor([6, 6]), torch.tensor([6, 6]))
    # At 1e-4 Å the screening is 1 - O(r / a) with a = 0.07 Å.
    assert float(half[0] * 2 * r[0]) == pytest.approx(14.3996 * 36, rel=1e-2)
    assert float(half[1]) == 0.0
