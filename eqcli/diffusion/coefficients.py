"""Coefficients of a step, one for all or one for each row, laid along the tensor that they multiply."""

from __future__ import annotations

import torch
from torch import Tensor

Coefficient = Tensor | float


def along(value: Coefficient, like: Tensor) -> Tensor:
    """`value` in float64 on the device of `like`, its axes at the front: `[B]` becomes `[B, 1, 1]` for `[B, 3, 3]`.

    Differences such as 1 - alpha_bar are taken in float64 and cast afterwards, or small steps lose their digits.
    """
    if not isinstance(value, Tensor):
        return torch.full([1] * like.dim(), value, dtype=torch.float64, device=like.device)
    precise = value.to(dtype=torch.float64, device=like.device)
    return precise.reshape(*precise.shape, *[1] * (like.dim() - precise.dim()))
