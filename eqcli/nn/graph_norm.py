"""Normalisation over the atoms of a structure."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GraphNorm(nn.Module):
    """g (x - a mean) / sqrt(var + e) + b by channel, over the atoms of each structure, `[N, F] -> [N, F]`.

    The variance is that of x - a mean (Cai et al., ICML 2021, arXiv:2009.03294, eq. 6). Atoms of one structure feel
    each other at any distance; those of different structures do not.

    Parameters
    ----------
    channels
        F.
    epsilon
        Added to the variance.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.share = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor, batch: Tensor, n_structures: int) -> Tensor:
        """`batch` `[N]` is the structure of each atom."""
        count = x.new_zeros(n_structures).index_add(0, batch, torch.ones_like(x[:, 0])).clamp(min=1.0).unsqueeze(1)

        def mean(values: Tensor) -> Tensor:
            return (values.new_zeros(n_structures, x.shape[1]).index_add(0, batch, values) / count)[batch]

        centred = x - self.share * mean(x)
        return self.gain * centred * torch.rsqrt(mean(centred * centred) + self.epsilon) + self.bias
