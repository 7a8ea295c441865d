"""Noise schedules: tables over the steps 0 to T of a diffusion, 0 being the data.

`alpha_bar` is the share of the variance that is signal in variance-preserving diffusion, `sigma` the width of
the noise in variance-exploding diffusion. All tables are float64 on the CPU.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosine_alpha_bar(steps: int, s: float = 0.008, largest_beta: float = 0.999) -> Tensor:
    """Squared cosine, `[steps + 1]`, 1 at step 0 (Nichol and Dhariwal, ICML 2021, equation 17).

    `s` is the offset that keeps the first steps from being too small, `largest_beta` the most variance that
    one step may replace.
    """
    t = _times(steps)
    signal = torch.cos((t + s) / (1 + s) * (math.pi / 2)).square()
    return _limited(signal / signal[0], 1 - largest_beta)


def polynomial_alpha_bar(steps: int, power: int = 2, s: float = 1e-5) -> Tensor:
    """(1 - (t/T)^power)^2 between `s` and `1 - s`, `[steps + 1]` (Hoogeboom et al., ICML 2022, appendix B).

    Step 0 has a little noise: alpha_bar is 1 - s there, not 1.
    """
    t = _times(steps)
    signal = _limited((1 - t**power).square(), 1e-3)
    return (1 - 2 * s) * signal + s


def geometric_sigmas(steps: int, smallest: float, largest: float) -> Tensor:
    """Widths that grow by a constant factor from `smallest` at step 1 to `largest` at step T, `[steps + 1]`.

    Step 0 has the width 0 (Song and Ermon, NeurIPS 2019).
    """
    if not 0 < smallest <= largest:
        raise ValueError(f"widths grow from a positive number, not from {smallest} to {largest}")
    share = torch.linspace(0, 1, steps, dtype=torch.float64) if steps > 1 else torch.ones(_positive(steps)).double()
    return torch.cat([torch.zeros(1, dtype=torch.float64), smallest * (largest / smallest) ** share])


def _times(steps: int) -> Tensor:
    return torch.arange(_positive(steps) + 1, dtype=torch.float64) / steps


def _positive(steps: int) -> int:
    if steps < 1:
        raise ValueError(f"a schedule has at least one step, not {steps}")
    return steps


def _limited(signal: Tensor, smallest: float) -> Tensor:
    """The table with no step that keeps less than the share `smallest` of the signal of the one before."""
    kept = (signal[1:] / signal[:-1]).clamp(min=smallest, max=1)
    return torch.cat([signal[:1], signal[0] * kept.cumprod(0)])
