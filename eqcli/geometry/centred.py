"""Points without drift: the subspace where the mean of each structure is zero (Hoogeboom et al., ICML 2022)."""

from __future__ import annotations

from torch import Tensor


def centred(points: Tensor, mask: Tensor) -> Tensor:
    """`points` `[B, N, 3]` less the mean over those of the mask `[B, N]`, and zero outside it."""
    kept = mask.unsqueeze(-1).to(points.dtype)
    points = points * kept
    mean = points.sum(dim=1, keepdim=True) / kept.sum(dim=1, keepdim=True).clamp(min=1.0)
    return (points - mean) * kept
