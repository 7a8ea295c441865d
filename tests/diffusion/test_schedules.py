from __future__ import annotations

import math

import pytest
import torch

from eqcli.diffusion.schedules import cosine_alpha_bar, geometric_sigmas, polynomial_alpha_bar


@pytest.mark.parametrize("steps", [1, 2, 10, 1000])
def test_signal_falls_from_the_data_to_noise(steps: int) -> None:
    for table in (cosine_alpha_bar(steps), polynomial_alpha_bar(steps)):
        assert table.shape == (steps + 1,)
        assert table.dtype is torch.float64
        assert bool((table.diff() < 0).all())
        assert float(table[-1]) > 0


def test_the_cosine_begins_at_one_and_follows_its_formula_until_the_last_step() -> None:
    table = cosine_alpha_bar(1000)
    assert float(table[0]) == 1
    for t in (1, 250, 500, 998):
        curve = [math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2 for u in (t / 1000, 0)]
        assert float(table[t]) == pytest.approx(curve[0] / curve[1], rel=1e-9)
    # The curve ends at zero; the last step may not replace more than the share given.
    assert float(table[-1] / table[-2]) == pytest.approx(1e-3)
    assert float(cosine_alpha_bar(1000, largest_beta=0.5).diff().abs().max()) < 0.5


def test_the_polynomial_stays_between_its_precisions() -> None:
    table = polynomial_alpha_bar(1000, power=2, s=1e-5)
    assert float(table[0]) == pytest.approx(1 - 1e-5)
    for t in (1, 500, 999):
        assert float(table[t]) == pytest.approx((1 - 2e-5) * (1 - (t / 1000) ** 2) ** 2 + 1e-5, rel=1e-9)
    assert float(table[-1]) > 1e-5
    assert float(polynomial_alpha_bar(10, power=3)[5]) > float(polynomial_alpha_bar(10)[5])


def test_widths_grow_by_a_constant_factor() -> None:
    table = geometric_sigmas(1000, 0.005, 0.5)
    assert table.shape == (1001,)
    assert float(table[0]) == 0
    assert float(table[1]) == pytest.approx(0.005)
    assert float(table[-1]) == pytest.approx(0.5)
    factors = table[2:] / table[1:-1]
    torch.testing.assert_close(factors, torch.full_like(factors, 100 ** (1 / 999)))
    assert geometric_sigmas(1, 0.01, 0.5).tolist() == [0, 0.5]


def test_schedules_that_cannot_be_are_refused() -> None:
    for make in (cosine_alpha_bar, polynomial_alpha_bar, lambda steps: geometric_sigmas(steps, 0.1, 1.0)):
        with pytest.raises(ValueError, match="at least one step"):
            make(0)
    with pytest.raises(ValueError, match="positive number"):
        geometric_sigmas(10, 0.0, 1.0)
    with pytest.raises(ValueError, match="positive number"):
        geometric_sigmas(10, 1.0, 0.5)
