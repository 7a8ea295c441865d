"""Key points of both sides by attention, and the motion that lays one set onto the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.models.docking.graph_matching import Known


class KeyPoints(nn.Module):
    """K weighted means of the positions of a side; the weights look at what the other side is.

    Ganea et al., equation 10.

    Parameters
    ----------
    channels
        Of the features.
    count
        K.
    """

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.summary = nn.Sequential(nn.Linear(channels, channels), nn.SiLU())
        self.query = nn.Linear(channels, count * channels, bias=False)
        self.key = nn.Linear(channels, channels, bias=False)

    def forward(self, here: Known, h: Tensor, x: Tensor, there: Known, other: Tensor) -> Tensor:
        """Key points of one side, Å, `[B, K, 3]`; `other` holds the features of the other side."""
        mask = there.padding.mask.unsqueeze(-1)
        said = there.padding.padded(self.summary(other)) * mask
        mean = said.sum(1) / mask.sum(1)
        query = self.query(mean).unflatten(-1, (self.count, -1))
        key = here.padding.padded(self.key(h))
        logits = torch.einsum("bkc,bwc->bkw", query, key) / key.shape[-1] ** 0.5
        weights = logits.masked_fill(~here.padding.mask.unsqueeze(1), -torch.inf).softmax(-1)
        return weights @ here.padding.padded(x)
