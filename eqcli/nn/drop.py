"""Random omission of parts of a network while it is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """In training, leaves a branch out for a share of the structures of a batch (Huang et al., ECCV 2016).

    What is kept is divided by the share that is, so that the mean stays. In evaluation it does nothing. Random
    numbers come from torch's global generator.

    Parameters
    ----------
    share
        Of the structures, in [0, 1).
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor, batch: Tensor, n_structures: int, kept: int = 0) -> Tensor:
        """Features `[M, ...]` of atoms of the structures `batch [M]`; the last `kept` structures lose nothing."""
        if not self.training or not self.share:
            return x
        chosen = torch.rand(n_structures - kept, device=x.device) >= self.share
        factor = torch.cat([chosen.to(x.dtype) / (1.0 - self.share), x.new_ones(kept)])
        return x * factor.index_select(0, batch).view(-1, *[1] * (x.dim() - 1))
