"""Variance-preserving diffusion in R^n: forward process and reverse steps of any stride.

x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise. `alpha_bar` is one number, or one for each row `[B]` of
tensors `[B, ...]`; s is the earlier (cleaner) step, alpha_bar_s > alpha_bar_t. Ho et al., NeurIPS 2020 (equations
6, 7 and 11, here for any stride) and Song et al., ICLR 2021 (equations 12 and 16).
"""

from __future__ import annotations

from torch import Tensor

from eqcli.diffusion.coefficients import Coefficient, along


def noised(x0: Tensor, alpha_bar: Coefficient, noise: Tensor) -> Tensor:
    """x_t from the data and standard normal noise of its shape."""
    signal = along(alpha_bar, x0)
    return signal.sqrt().to(x0.dtype) * x0 + (1 - signal).sqrt().to(x0.dtype) * noise


def clean_from_noise(x_t: Tensor, eps: Tensor, alpha_bar: Coefficient) -> Tensor:
    """x_0 that `x_t` comes from if `eps` is its noise."""
    signal = along(alpha_bar, x_t)
    return (x_t - (1 - signal).sqrt().to(x_t.dtype) * eps) / signal.sqrt().to(x_t.dtype)


def noise_from_clean(x_t: Tensor, x0: Tensor, alpha_bar: Coefficient) -> Tensor:
    """The noise in `x_t` if it comes from `x0`; alpha_bar < 1."""
    signal = along(alpha_bar, x_t)
    return (x_t - signal.sqrt().to(x_t.dtype) * x0) / (1 - signal).sqrt().to(x_t.dtype)


def posterior(x_t: Tensor, x0: Tensor, alpha_bar_t: Coefficient, alpha_bar_s: Coefficient) -> tuple[Tensor, Tensor]:
    """Mean, of the shape of `x_t`, and variance, broadcastable to it, of x_s given x_t and x_0."""
    late, early = along(alpha_bar_t, x_t), along(alpha_bar_s, x_t)
    kept = late / early
    of_x_t = kept.sqrt() * (1 - early) / (1 - late)
    of_x0 = early.sqrt() * (1 - kept) / (1 - late)
    return of_x_t.to(x_t.dtype) * x_t + of_x0.to(x_t.dtype) * x0, _variance(late, early).to(x_t.dtype)


def posterior_from_noise(
    x_t: Tensor, eps: Tensor, alpha_bar_t: Coefficient, alpha_bar_s: Coefficient, *, clip: float | None = None
) -> tuple[Tensor, Tensor]:
    """The same with the noise `eps` in `x_t` in place of x_0.

    With `clip`, the x_0 that it stands for is kept within plus or minus this. Where hardly any signal is left,
    a small error of the noise is a large one of x_0: long strides from there diverge without it.
    """
    if clip is not None:
        return posterior(x_t, clean_from_noise(x_t, eps, alpha_bar_t).clamp(-clip, clip), alpha_bar_t, alpha_bar_s)
    late, early = along(alpha_bar_t, x_t), along(alpha_bar_s, x_t)
    kept = late / early
    of_noise = (1 - kept) / (1 - late).sqrt()
    mean = (x_t - of_noise.to(x_t.dtype) * eps) / kept.sqrt().to(x_t.dtype)
    return mean, _variance(late, early).to(x_t.dtype)


def ancestral_step(mean: Tensor, variance: Tensor, noise: Tensor) -> Tensor:
    """A draw of x_s from its posterior; at the last step (alpha_bar_s = 1) the variance is zero."""
    return mean + variance.sqrt() * noise


def ddim_step(
    x_t: Tensor,
    eps: Tensor,
    alpha_bar_t: Coefficient,
    alpha_bar_s: Coefficient,
    noise: Tensor | None = None,
    eta: float = 0.0,
    *,
    clip: float | None = None,
) -> Tensor:
    """x_s without noise (`eta` 0, an ODE), as drawn from the posterior (`eta` 1), or between.

    With `clip` the estimate of x_0 is kept within plus or minus this, and the noise made to agree with it.
    """
    x0 = clean_from_noise(x_t, eps, alpha_bar_t)
    if clip is not None:
        x0 = x0.clamp(-clip, clip)
        eps = noise_from_clean(x_t, x0, alpha_bar_t)
    late, early = along(alpha_bar_t, x_t), along(alpha_bar_s, x_t)
    variance = eta**2 * _variance(late, early)
    along_noise = (1 - early - variance).clamp(min=0).sqrt()
    x_s = early.sqrt().to(x_t.dtype) * x0 + along_noise.to(x_t.dtype) * eps
    if eta == 0:
        return x_s
    if noise is None:
        raise ValueError("a step with eta above zero needs noise")
    return x_s + variance.sqrt().to(x_t.dtype) * noise


def _variance(late: Tensor, early: Tensor) -> Tensor:
    return (1 - early) / (1 - late) * (1 - late / early)
