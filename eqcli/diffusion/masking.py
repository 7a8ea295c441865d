"""Species that are hidden one by one, and uncovered one by one: absorbing diffusion of categories.

With the share of hidden atoms as time it is the absorbing process of D3PM (Austin
et al., NeurIPS 2021) and the discrete flow from the mask (Campbell et al., ICML
2024) at once: both uncover a hidden atom within a step with the same probability.
"""

from __future__ import annotations

import torch
from torch import Tensor


def hidden(tokens: Tensor, share: Tensor, uniform: Tensor, mask: int) -> Tensor:
    """`tokens` with each one replaced by `mask` with the probability `share`; all `[N]`."""
    return torch.where(uniform < share, mask, tokens)


def uncovered(
    tokens: Tensor,
    logits: Tensor,
    share: float,
    next_share: float,
    uniform: Tensor,
    mask: int,
    allowed: Tensor | None = None,
) -> Tensor:
    """The tokens at the smaller share of hidden atoms.

    Parameters
    ----------
    tokens
        `[N]`, `mask` where hidden.
    logits
        Of what is behind the mask, `[N, M]`.
    share, next_share
        Share of hidden atoms now and after the step, 1 >= share > next_share >= 0.
    uniform
        Numbers from (0, 1), `[N, 2]`: one decides whether, the other what.
    allowed
        What each atom may be, `[N, M]` bool.
    """
    now = (tokens == mask) & (uniform[:, 0] < (share - next_share) / share)
    return torch.where(now, drawn(logits, uniform[:, 1], allowed), tokens)


def drawn(logits: Tensor, uniform: Tensor, allowed: Tensor | None = None) -> Tensor:
    """A category for each row by the inverse of the distribution function, `[N]`."""
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    cumulative = logits.double().softmax(dim=1).cumsum(dim=1)
    # The last entry is one only up to rounding.
    point = uniform.double().unsqueeze(1) * cumulative[:, -1:]
    return (cumulative <= point).sum(dim=1).clamp(max=logits.shape[1] - 1)
