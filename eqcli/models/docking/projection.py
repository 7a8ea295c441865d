"""Drawing points back to distances that no torsion changes."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.graph.complex_batch import Rigid


def projected(x: Tensor, rigid: Rigid, *, steps: int, rate: float) -> Tensor:
    """Positions after `steps` of gradient descent on sum (|x_i - x_j|^2 - d_ij^2)^2, Å, `[n, 3]`.

    Stärk et al., ICML 2022, section 3.2. Differentiable. No step moves a pair by more than its misfit asks for,
    so that stretched clouds cannot be thrown apart.
    """
    first, second = rigid.pairs
    square = rigid.lengths.square()
    for _ in range(steps):
        vectors = x.index_select(0, first) - x.index_select(0, second)
        misfit = vectors.square().sum(1) - square
        pull = 4.0 * rate * misfit.clamp(-MISFIT, MISFIT).unsqueeze(1) * vectors
        x = x - torch.zeros_like(x).index_add(0, first, pull).index_add(0, second, -pull)
    return x


MISFIT = 20.0
"""Å²; differences of squared distances beyond this count as this much."""
