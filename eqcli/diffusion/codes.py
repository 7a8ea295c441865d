"""Species as points of a Euclidean space, so that they can be diffused like coordinates."""

from __future__ import annotations

import torch
from torch import Tensor


def analog_bits(numbers: Tensor) -> Tensor:
    """Atomic numbers as seven binary digits of -1 and 1, `[M, 7]`, the highest first.

    Chen, Zhang and Hinton, ICLR 2023; for crystals Miller et al., ICML 2024.
    """
    digits = torch.arange(6, -1, -1, device=numbers.device)
    return 2.0 * ((numbers.unsqueeze(-1) >> digits) & 1).to(torch.get_default_dtype()) - 1.0


def one_hot(count: int) -> Tensor:
    """A unit vector for each of `count` species, `[M, M]`."""
    return torch.eye(count)


def nearest_code(points: Tensor, codes: Tensor, allowed: Tensor | None = None) -> Tensor:
    """Index of the code nearest to each point, the first of several that are equally near.

    Parameters
    ----------
    points
        `[N, width]`.
    codes
        `[M, width]`.
    allowed
        Codes that each point may have, `[N, M]` bool; at least one each.
    """
    scores = points.double() @ codes.double().T - 0.5 * codes.double().square().sum(dim=1)
    # Clipped points are often as near to one code as to another, which rounding must not decide.
    scores = scores.round(decimals=4)
    return (scores if allowed is None else scores.masked_fill(~allowed, -torch.inf)).argmax(dim=1)
