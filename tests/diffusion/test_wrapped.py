from __future__ import annotations

import torch
from torch import Tensor

from eqcli.diffusion.wrapped import langevin_step, noised, reverse_step
from eqcli.geometry.torus import torus_log
from eqcli.geometry.wrapped_normal import score


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_noise_wraps_around_one_width_for_each_row() -> None:
    x0 = torch.tensor([[0.9, 0.1, 0.5], [0.2, 0.2, 0.2]], dtype=torch.float64)
    noise = torch.tensor([[2.0, -2.0, 0.0], [1.0, 0.0, -3.0]], dtype=torch.float64)
    x_t = noised(x0, torch.tensor([0.1, 0.2]), noise)
    expected = torch.tensor([[0.1, 0.9, 0.5], [0.4, 0.2, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(x_t, expected, atol=1e-8, rtol=0)


def test_narrow_steps_are_the_posterior_of_the_plane() -> None:
    # With the score of a single point far narrower than the circle, one step of any stride is exact.
    x0 = torch.full((20_000,), 0.98, dtype=torch.float64)
    late, early = 0.02, 0.007
    x_t = noised(x0, late, random(20_000))
    x_s = reverse_step(x_t, score(torus_log(x0, x_t), late), late, early, random(20_000, seed=1))
    apart = torus_log(x0, x_s)
    assert float(x_s.min()) >= 0
    assert float(x_s.max()) < 1
    assert abs(float(apart.mean())) < 4 * early / 20_000**0.5
    assert abs(float(apart.std()) / early - 1) < 4 / 40_000**0.5


def test_a_step_to_the_data_has_no_noise() -> None:
    x0, x_t = torch.tensor([0.3]).double(), torch.tensor([0.31]).double()
    of_point = score(torus_log(x0, x_t), 0.01)
    there = [reverse_step(x_t, of_point, 0.01, 0.0, noise * torch.ones(1)) for noise in (-5.0, 5.0)]
    torch.testing.assert_close(there[0], there[1], atol=0, rtol=0)
    torch.testing.assert_close(there[0], x0)


def test_the_corrector_keeps_a_density_and_goes_up_its_gradient() -> None:
    sigma, centre = 0.15, 0.95
    x = noised(torch.full((20_000,), centre, dtype=torch.float64), sigma, random(20_000))
    for n in range(20):
        x = langevin_step(x, score(x - centre, sigma), 5e-4, random(20_000, seed=n + 1))
    moment = torch.polar(torch.ones_like(x), 2 * torch.pi * (x - centre)).mean()
    expected = torch.tensor(-2 * torch.pi**2 * sigma**2).exp()
    # The finite step widens the density by about step / sigma^2 / 2, one per cent.
    assert abs(float(moment.real) - float(expected)) < 0.015
    assert abs(float(moment.imag)) < 0.015
    uphill = langevin_step(torch.tensor([0.9]).double(), torch.tensor([2.0]).double(), 0.1, torch.zeros(1).double())
    torch.testing.assert_close(uphill, torch.tensor([0.1]).double(), atol=1e-7, rtol=0)


def test_float32_stays_float32() -> None:
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    table = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    zero = torch.zeros_like(x)
    steps = (noised(x, table, zero), reverse_step(x, x, table, table / 2, zero), langevin_step(x, x, 1e-3, zero))
    assert {step.dtype for step in steps} == {torch.float32}
