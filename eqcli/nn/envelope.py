"""Functions that take an interaction to zero at the cutoff."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import comb, pi

import torch
from torch import Tensor, nn

BUMP_EDGE = 1.0 / 700.0
"""1 - x^2 below which exp(-1 / (1 - x^2)) is zero in float64."""


def polynomial_cutoff(x: Tensor, p: int) -> Tensor:
    """Envelope that falls from 1 at x = 0, where p - 1 derivatives vanish, to 0 at x = 1, where two do.

    1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2) (Gasteiger et al., ICLR 2020 (DimeNet), eq. 8);
    zero beyond 1. It is taken as (1 - x)^3 sum_k (k+1)(k+2)/2 x^k, k < p: without the cancellation that
    leaves noise near the cutoff in float32.
    """
    series = torch.full_like(x, comb(p + 1, 2))
    for k in range(p - 2, -1, -1):
        series = series * x + comb(k + 2, 2)
    rest = (1.0 - x).clamp(min=0.0)
    return rest * rest * rest * series


def cosine_cutoff(x: Tensor) -> Tensor:
    """(1 + cos(pi x)) / 2 (Behler 2011): only C1, its second derivative jumps by pi^2 / 2 at x = 1."""
    return 0.5 * (1.0 + torch.cos(pi * x.clamp(max=1.0)))


def smoothstep_cutoff(x: Tensor, onset: float) -> Tensor:
    """1 up to `onset`, then the quintic 1 - 10 t^3 + 15 t^4 - 6 t^5 with t from 0 to 1: C2 at both ends."""
    return polynomial_cutoff(((x - onset) / (1.0 - onset)).clamp(min=0.0), 3)


def bump_cutoff(x: Tensor) -> Tensor:
    """exp(-x^2 / (1 - x^2)), zero beyond 1: all derivatives exist (Unke et al. 2021 (SpookyNet), eq. 17)."""
    rest = 1.0 - x * x
    inside = rest > BUMP_EDGE
    # The guard goes before the division: where() alone would let inf * 0 into the gradient.
    safe = torch.where(inside, rest, torch.ones_like(rest))
    return torch.where(inside, torch.exp(1.0 - 1.0 / safe), torch.zeros_like(rest))


class Envelope(nn.Module):
    """f(r / cutoff), `[E] -> [E]`: 1 at r = 0 and 0 from the cutoff on.

    Parameters
    ----------
    cutoff
        In Å.
    """

    def __init__(self, cutoff: float, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.cutoff, self.function = cutoff, function

    def forward(self, r: Tensor) -> Tensor:
        return self.function(r / self.cutoff)


def polynomial_envelope(cutoff: float, p: int = 5) -> Envelope:
    """:func:`polynomial_cutoff`."""
    return Envelope(cutoff, partial(polynomial_cutoff, p=p))


def cosine_envelope(cutoff: float) -> Envelope:
    """:func:`cosine_cutoff`."""
    return Envelope(cutoff, cosine_cutoff)


def smoothstep_envelope(cutoff: float, onset: float = 0.5) -> Envelope:
    """:func:`smoothstep_cutoff`; `onset` is a share of the cutoff in [0, 1)."""
    return Envelope(cutoff, partial(smoothstep_cutoff, onset=onset))


def bump_envelope(cutoff: float) -> Envelope:
    """:func:`bump_cutoff`."""
    return Envelope(cutoff, bump_cutoff)


ENVELOPES: dict[str, Callable[[float], Envelope]] = {
    "polynomial": polynomial_envelope,
    "cosine": cosine_envelope,
    "smoothstep": smoothstep_envelope,
    "bump": bump_envelope,
}
"""Name -> envelope for a cutoff in Å."""
