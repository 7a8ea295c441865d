"""Variance-exploding diffusion on the torus: forward process, predictor and corrector.

x_t = (x_0 + sigma_t noise) mod 1, whose score given x_0 is `wrapped_normal.score(torus_log(x_0, x_t), sigma_t)`.
The steps are those of Song et al., ICLR 2021 (algorithm 2 and equation 47), taken on fractional coordinates by
Jiao et al., NeurIPS 2023. `score` is the gradient of the log density, not its negative. Widths are one number, or
one for each row `[N]` of `[N, 3]`.
"""

from __future__ import annotations

from torch import Tensor

from eqcli.diffusion.coefficients import Coefficient, along
from eqcli.geometry.torus import wrap


def noised(x0: Tensor, sigma: Coefficient, noise: Tensor) -> Tensor:
    """x_t in [0, 1) from the data and standard normal noise of its shape."""
    return wrap(x0 + along(sigma, x0).to(x0.dtype) * noise)


def reverse_step(x: Tensor, score: Tensor, sigma_t: Coefficient, sigma_s: Coefficient, noise: Tensor) -> Tensor:
    """One ancestral step from the width `sigma_t` to any smaller one, in [0, 1); to zero without noise."""
    late, early = along(sigma_t, x), along(sigma_s, x)
    removed = late.square() - early.square()
    spread = early * removed.sqrt() / late
    return wrap(x + removed.to(x.dtype) * score + spread.to(x.dtype) * noise)


def langevin_step(x: Tensor, score: Tensor, step: Coefficient, noise: Tensor) -> Tensor:
    """One step of Langevin dynamics at the same width, in [0, 1): x + step score + sqrt(2 step) noise."""
    size = along(step, x)
    return wrap(x + size.to(x.dtype) * score + (2 * size).sqrt().to(x.dtype) * noise)
