"""The exponential of many small matrices, and its derivative.

The one of torch loses five digits for a single matrix of norm 0.01, and is another for one matrix than for two.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALL = 2.0**-4
"""Norm up to which eight terms of the series are exact in float64: SMALL^9 / 9! = 4e-17."""

SQUARINGS = 8
"""Exact up to a norm of SMALL 2^SQUARINGS = 16."""


def exponential(matrices: Tensor) -> Tensor:
    """exp(A) of each matrix, `[B, n, n]`, by scaling and squaring."""
    return _exponential(matrices, matrices)


def exponential_derivative(matrices: Tensor, along: Tensor) -> Tensor:
    """d/dt exp(A + t E) at t = 0 of each matrix A along E, `[B, n, n]`.

    It is the upper right block of exp([[A, E], [0, A]]) (Higham, Functions of Matrices, 2008, eq. 3.16).
    """
    n = matrices.shape[1]
    lower = torch.cat([torch.zeros_like(matrices), matrices], dim=2)
    blocks = torch.cat([torch.cat([matrices, along], dim=2), lower], dim=1)
    # The derivative is linear in E: how large E is says nothing about the scaling that is needed.
    return _exponential(blocks, matrices)[:, :n, n:]


def _exponential(matrices: Tensor, deciding: Tensor) -> Tensor:
    """exp of `matrices`, scaled by the norms of `deciding`."""
    norm = deciding.abs().sum(1).amax(1)
    halvings = torch.ceil(torch.log2(norm / SMALL)).clamp(min=0, max=SQUARINGS)[:, None, None]
    result = _series(matrices * torch.exp2(-halvings))
    for k in range(SQUARINGS):
        result = torch.where(halvings > k, torch.bmm(result, result), result)
    return result


def _series(a: Tensor) -> Tensor:
    """Eight terms beyond the identity, in four products (Paterson and Stockmeyer, SIAM J. Comput. 2, 60 (1973))."""
    one = torch.eye(a.shape[1], dtype=a.dtype, device=a.device)
    a2 = torch.bmm(a, a)
    a3 = torch.bmm(a2, a)
    high = one / 720 + a / 5040 + a2 / 40320
    middle = one / 6 + a / 24 + a2 / 120 + torch.bmm(a3, high)
    return one + a + a2 / 2 + torch.bmm(a3, middle)
