from __future__ import annotations

import math

import mpmath
import pytest
import torch
from torch import Tensor

from eqcli.geometry.wrapped_normal import log_density, mean_square_score, score

WIDTHS = [1e-4, 0.01, 0.1, 0.25, 0.39, 0.398942, 0.398943, 0.41, 0.6, 1.0, 2.0]
POINTS = [1e-5, 0.1, 0.25, 0.3, 0.4999, 0.5, -0.45, 0.77, 7.2, -3.9]


def reference(x: float, sigma: float) -> tuple[float, float]:
    """Logarithm of the density and its derivative, from images alone and with 150 digits."""
    with mpmath.workdps(150):
        width = mpmath.mpf(sigma)
        point = mpmath.mpf(x) - mpmath.nint(x)
        images = [point + n for n in range(-int(30 * sigma) - 4, int(30 * sigma) + 5)]
        weights = [mpmath.exp(-((y / width) ** 2) / 2) for y in images]
        total = mpmath.fsum(weights)
        slope = -mpmath.fsum(w * y for w, y in zip(weights, images, strict=True)) / width**2
        return float(mpmath.log(total / (width * mpmath.sqrt(2 * mpmath.pi)))), float(slope / total)


@pytest.mark.parametrize("sigma", WIDTHS)
def test_density_and_score_agree_with_the_sum_over_images_at_any_width(sigma: float) -> None:
    for x in POINTS:
        density, slope = reference(x, sigma)
        point = torch.tensor(x, dtype=torch.float64)
        size = 1 if sigma < 0.4 else 2 * math.exp(-2 * math.pi**2 * sigma**2)
        assert float(log_density(point, sigma)) == pytest.approx(density, rel=1e-10, abs=1e-13 * size)
        # Reducing 7.2 to 0.2 leaves its last digits behind, and at half a turn the score changes sign.
        allowed = 1e-13 * (1 + 0.3 / sigma**4) if sigma < 0.3 else 1e-12 * float(mean_square_score(sigma)) ** 0.5
        assert float(score(point, sigma)) == pytest.approx(slope, rel=1e-12, abs=allowed)


def test_the_score_is_the_derivative_of_the_density() -> None:
    x = torch.linspace(-0.5, 0.5, 41, dtype=torch.float64)[1:-1].requires_grad_()
    for sigma in (0.05, 0.2, 0.398, 0.4, 0.9):
        (slope,) = torch.autograd.grad(log_density(x, sigma).sum(), x)
        torch.testing.assert_close(score(x.detach(), sigma), slope, atol=1e-11, rtol=1e-10)
        h = 1e-3
        far, near = (log_density(x + d, sigma) - log_density(x - d, sigma) for d in (2 * h, h))
        numerical = (8 * near - far).detach() / (12 * h)
        torch.testing.assert_close(numerical, slope, atol=1e-8 / sigma**5 * 1e-3 + 1e-8, rtol=0)


def test_the_two_sums_meet_smoothly() -> None:
    x = torch.linspace(-0.5, 0.5, 101, dtype=torch.float64)
    switch = (2 * torch.pi) ** -0.5
    for function in (log_density, score):
        below, above = function(x, switch * (1 - 1e-15)), function(x, switch * (1 + 1e-15))
        torch.testing.assert_close(below, above, atol=1e-13, rtol=0)
    below, above = mean_square_score(switch * (1 - 1e-15)), mean_square_score(switch * (1 + 1e-15))
    torch.testing.assert_close(below, above, atol=0, rtol=1e-12)


@pytest.mark.parametrize("sigma", [1e-4, 0.003, 0.05, 0.3, 0.5, 3.0])
def test_the_density_integrates_to_one(sigma: float) -> None:
    reach = min(0.5, 12 * sigma)
    x = torch.linspace(-reach, reach, 4001, dtype=torch.float64)
    assert float(torch.trapezoid(log_density(x, sigma).exp(), x)) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_widths_stay_finite_with_their_gradients(dtype: torch.dtype) -> None:
    x = torch.linspace(-2, 2, 33, dtype=dtype, requires_grad=True)
    sigma = torch.tensor([[1e-4], [1e-2], [0.4], [10.0], [1e3]], dtype=dtype, requires_grad=True)
    for function in (log_density, score):
        values = function(x, sigma)
        assert values.dtype is dtype
        assert bool(values.isfinite().all())
        for gradient in torch.autograd.grad(values.sum(), [x, sigma]):
            assert bool(gradient.isfinite().all())
    assert float(score(x, 10.0).detach().abs().max()) == 0
    assert float(log_density(x, 10.0).detach().abs().max()) == 0


def test_float32_has_the_digits_of_float32() -> None:
    x = torch.linspace(-0.49, 0.49, 50)
    for sigma in (0.005, 0.05, 0.3, 0.398, 0.4, 0.5, 1.0):
        exact = score(x.double(), sigma)
        error = (score(x, sigma).double() - exact).abs().max()
        assert float(error) < 3e-6 * float(exact.abs().max()) * max(1, 0.05 / sigma**2)


def brute_mean_square(sigma: float) -> float:
    with mpmath.workdps(40):
        width = mpmath.mpf(sigma)

        def integrand(x: mpmath.mpf) -> mpmath.mpf:
            images = [x + n for n in range(-int(12 * sigma) - 3, int(12 * sigma) + 4)]
            weights = [mpmath.exp(-((y / width) ** 2) / 2) for y in images]
            slope = mpmath.fsum(w * y for w, y in zip(weights, images, strict=True)) / width**2
            return slope**2 / mpmath.fsum(weights) / (width * mpmath.sqrt(2 * mpmath.pi))

        half = mpmath.mpf(1) / 2
        return float(2 * mpmath.quad(integrand, [0, min(4 * width, half / 2), min(10 * width, half), half]))


@pytest.mark.parametrize("sigma", [0.005, 0.04, 0.06, 0.15, 0.3, 0.398, 0.4, 0.5, 1.0])
def test_the_mean_square_score_agrees_with_quadrature(sigma: float) -> None:
    assert float(mean_square_score(sigma)) == pytest.approx(brute_mean_square(sigma), rel=1e-11)


def test_the_mean_square_score_has_its_limits_and_the_shape_of_the_widths() -> None:
    narrow: Tensor = mean_square_score(torch.tensor([[1e-4], [1e-2]]))
    assert narrow.dtype is torch.float64
    assert narrow.shape == (2, 1)
    torch.testing.assert_close(narrow.flatten(), torch.tensor([1e-4, 1e-2]).double() ** -2, rtol=1e-12, atol=0)
    wide = torch.tensor([1.5, 3.0], dtype=torch.float64)
    limit = 8 * torch.pi**2 * torch.exp(-4 * torch.pi**2 * wide**2)
    torch.testing.assert_close(mean_square_score(wide), limit, rtol=1e-11, atol=0)
    assert float(mean_square_score(10.0)) == 0


def test_the_mean_square_score_is_that_of_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    for sigma in (0.1, 0.3, 0.45):
        draws = sigma * torch.randn(100_000, dtype=torch.float64, generator=generator)
        squares = score(draws, sigma).square()
        spread = float(squares.std()) / 100_000**0.5
        assert float(squares.mean()) == pytest.approx(float(mean_square_score(sigma)), abs=4 * spread)
