from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.diffusion.gaussian import (
    ancestral_step,
    clean_from_noise,
    ddim_step,
    noise_from_clean,
    noised,
    posterior,
    posterior_from_noise,
)
from eqcli.diffusion.schedules import cosine_alpha_bar


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected.expand_as(found), atol=tolerance, rtol=tolerance)


def test_data_and_noise_are_found_again_one_level_for_each_row() -> None:
    x0, noise = random(4, 3, 3), random(4, 3, 3, seed=1)
    levels = torch.tensor([1 - 1e-9, 0.7, 0.1, 1e-4], dtype=torch.float64)
    x_t = noised(x0, levels, noise)
    close(x_t[1], 0.7**0.5 * x0[1] + 0.3**0.5 * noise[1])
    close(clean_from_noise(x_t, noise, levels), x0)
    close(noise_from_clean(x_t, x0, levels), noise, 1e-6)
    close(noised(x0, 0.3, noise)[2], noised(x0[2], 0.3, noise[2]))


def test_the_posterior_is_that_of_bayes() -> None:
    # x_s given x_0 and x_t given x_s are normal: so is x_s given both, with the product of the two as its density.
    late, early = 0.2, 0.63
    x0, x_t = random(5), random(5, seed=1)
    kept = late / early
    precision = 1 / (1 - early) + kept / (1 - kept)
    mean, variance = posterior(x_t, x0, late, early)
    close(variance, torch.tensor([1 / precision], dtype=torch.float64))
    close(mean, (early**0.5 * x0 / (1 - early) + kept**0.5 * x_t / (1 - kept)) / precision)


def test_both_forms_of_the_posterior_agree_for_any_stride() -> None:
    table = cosine_alpha_bar(1000)
    x0, noise = random(6, 2), random(6, 2, seed=1)
    t, s = torch.tensor([1000, 999, 800, 300, 2, 1]), torch.tensor([999, 100, 799, 0, 1, 0])
    x_t = noised(x0, table[t], noise)
    of_x0, of_noise = posterior(x_t, x0, table[t], table[s]), posterior_from_noise(x_t, noise, table[t], table[s])
    close(of_noise[0], of_x0[0], 1e-9)
    close(of_noise[1], of_x0[1])
    # Nothing is left to draw at the data.
    assert of_x0[1][[3, 5]].flatten().tolist() == [0, 0]
    close(of_x0[0][[3, 5]], x0[[3, 5]])


def test_a_single_stride_is_the_step_of_the_original_paper() -> None:
    table = cosine_alpha_bar(100)
    x_t, noise = random(3), random(3, seed=1)
    t = 40
    alpha = table[t] / table[t - 1]
    mean, variance = posterior_from_noise(x_t, noise, table[t], table[t - 1])
    close(mean, (x_t - (1 - alpha) / (1 - table[t]).sqrt() * noise) / alpha.sqrt())
    close(variance, ((1 - alpha) * (1 - table[t - 1]) / (1 - table[t])).reshape(1))


def test_strides_in_turn_are_the_whole_stride() -> None:
    # Drawing x_r from x_t and then x_s from x_r, with x_0 known, is drawing x_s from x_t.
    x0, x_t = random(4), random(4, seed=1)
    late, middle, early = 0.1, 0.4, 0.8
    mean, variance = posterior(x_t, x0, late, middle)
    after, more = posterior(mean, x0, middle, early)
    slope = (posterior(mean + 1, x0, middle, early)[0] - after)[:1]
    whole, total = posterior(x_t, x0, late, early)
    close(after, whole)
    close(more + slope.square() * variance, total)


def test_ddim_with_full_noise_is_the_ancestral_step_and_without_any_it_is_an_ode() -> None:
    x_t, eps, noise = random(4, 3), random(4, 3, seed=1), random(4, 3, seed=2)
    late, early = torch.tensor([0.1, 0.2, 0.5, 0.9]), torch.tensor([0.3, 0.9, 0.51, 1.0])
    mean, variance = posterior_from_noise(x_t, eps, late, early)
    close(ddim_step(x_t, eps, late, early, noise, eta=1.0), ancestral_step(mean, variance, noise), 1e-9)
    x0 = clean_from_noise(x_t, eps, late)
    still = ddim_step(x_t, eps, late, early)
    close(still, noised(x0, early, eps))
    close(ddim_step(still, eps, early[:3].tolist()[0], 0.95)[0], noised(x0, 0.95, eps)[0])
    with pytest.raises(ValueError, match="needs noise"):
        ddim_step(x_t, eps, late, early, eta=0.5)


def test_clipped_steps_stay_where_the_data_are() -> None:
    x_t, eps = random(50), random(50, seed=1)
    late, early = 1e-8, 0.5
    free, _ = posterior_from_noise(x_t, eps, late, early)
    held, variance = posterior_from_noise(x_t, eps, late, early, clip=2.0)
    assert float(free.abs().max()) > 1e3
    # Within 2 scaled by what is left of the signal, and what remains of x_t itself.
    assert float(held.abs().max()) < 2 * early**0.5 + 1e-3
    assert float(ddim_step(x_t, eps, late, early, clip=2.0).abs().max()) < 2 + float(x_t.abs().max())
    inside = noised(x_t.clamp(-1, 1), 0.4, eps)
    for function in (posterior_from_noise, lambda *a, **k: (ddim_step(*a, **k), variance)):
        close(function(inside, eps, 0.4, 0.6, clip=2.0)[0], function(inside, eps, 0.4, 0.6)[0])


def test_steps_have_the_precision_of_the_data_and_coefficients_that_of_the_table() -> None:
    table = cosine_alpha_bar(100_000)
    x_t, eps = random(5).float(), random(5, seed=1).float()
    mean, variance = posterior_from_noise(x_t, eps, table[3], table[2])
    exact, exact_variance = posterior_from_noise(x_t.double(), eps.double(), table[3], table[2])
    assert mean.dtype is variance.dtype is torch.float32
    # 1 - alpha_bar is 1e-9 here, and nothing at all in float32.
    close(variance.double(), exact_variance, 1e-7 * float(exact_variance))
    close(mean.double(), exact, 1e-6)
    assert noised(x_t, 0.5, eps).dtype is ddim_step(x_t, eps, 0.4, 0.5).dtype is torch.float32
