"""Sines and cosines: of times, and of differences on the torus."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """Sines and cosines of a time at frequencies from 1 down to 1/10000 (Vaswani et al., 2017).

    Parameters
    ----------
    channels
        Even number of features.
    """

    rates: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.register_buffer("rates", torch.exp(-math.log(10000.0) * torch.arange(half) / max(half - 1, 1)), False)

    def forward(self, time: Tensor) -> Tensor:
        """`[B] -> [B, channels]`; times are in steps, e.g. from 0 to 1000."""
        angles = time.unsqueeze(-1) * self.rates.to(time.dtype)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


def torus_waves(fractional: Tensor, frequencies: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of 2 pi k x for k = 0 ... frequencies - 1, `[N, 3] -> [N, 3 * frequencies]` each."""
    orders = torch.arange(frequencies, device=fractional.device, dtype=fractional.dtype)
    # Whole periods are taken off first: sines of large numbers are inexact, and shifts by whole numbers must not show.
    turns = (fractional - fractional.floor()).unsqueeze(-1) * orders
    angles = 2.0 * math.pi * (turns - turns.round()).flatten(1)
    return angles.cos(), angles.sin()


def difference_waves(waves: tuple[Tensor, Tensor], sender: Tensor, receiver: Tensor) -> Tensor:
    """Sines and cosines of 2 pi k (x_sender - x_receiver), `[E, 6 * frequencies]`, by the addition theorem.

    Two products instead of a sine for each pair: sines are taken of atoms alone.
    """
    cosine, sine = waves
    cs, ss, cr, sr = cosine[sender], sine[sender], cosine[receiver], sine[receiver]
    return torch.cat([ss * cr - cs * sr, cs * cr + ss * sr], dim=1)
