"""Exponential and logarithm of symmetric matrices, with gradients that need no distinct eigenvalues.

The gradient is the formula of Daleckii and Krein, with divided differences of the function in place of quotients
of differences: for log(a), log(b) and exp(a), exp(b) they have closed forms that are smooth at a = b. Higham,
Functions of Matrices (SIAM 2008), theorem 3.11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def symmetric_log(matrix: Tensor) -> Tensor:
    """Logarithm of symmetric positive definite matrices `[..., n, n]`.

    NaN where a matrix is not finite, -inf or NaN where it is singular; differentiable once.
    """
    return _SymmetricFunction.apply(matrix, torch.log, _log_slopes)


def symmetric_exp(matrix: Tensor) -> Tensor:
    """Exponential of symmetric matrices `[..., n, n]`; NaN where one is not finite; differentiable once."""
    return _SymmetricFunction.apply(matrix, torch.exp, _exp_slopes)


Function = Callable[[Tensor], Tensor]
Slopes = Callable[[Tensor, Tensor], Tensor]


class _SymmetricFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, function: Function, slopes: Slopes) -> Tensor:
        precise = matrix.double()
        finite = precise.isfinite().all(-1).all(-1)[..., None, None]
        identity = torch.eye(matrix.shape[-1], dtype=precise.dtype, device=precise.device)
        # The eigensolver raises for the whole batch where one matrix is not finite.
        values, vectors = torch.linalg.eigh(torch.where(finite, precise, identity))
        ctx.save_for_backward(values, vectors)
        ctx.slopes = slopes
        result = (vectors * function(values).unsqueeze(-2)) @ vectors.transpose(-1, -2)
        return torch.where(finite, result, torch.nan).to(matrix.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Any) -> Any:
        values, vectors = ctx.saved_tensors
        slopes = ctx.slopes(values.unsqueeze(-1), values.unsqueeze(-2))
        inner = vectors.transpose(-1, -2) @ gradient.to(values.dtype) @ vectors
        outer = vectors @ (slopes * inner) @ vectors.transpose(-1, -2)
        return (0.5 * (outer + outer.transpose(-1, -2))).to(gradient.dtype), None, None


def _log_slopes(a: Tensor, b: Tensor) -> Tensor:
    """(log a - log b) / (a - b) = 2 artanh(r) / (r (a + b)) with r = (a - b) / (a + b)."""
    total = a + b
    ratio = (a - b) / total
    near = ratio.abs() < 1e-3
    safe = torch.where(near, torch.full_like(ratio, 0.5), ratio)
    square = ratio.square()
    series = 1 + square * (1 / 3 + square * (1 / 5 + square / 7))
    # artanh(r) / r from the logarithms where r is near 1, where artanh has lost the smaller eigenvalue.
    return 2 / total * torch.where(near, series, 0.5 * (a.log() - b.log()) / safe)


def _exp_slopes(a: Tensor, b: Tensor) -> Tensor:
    """(exp a - exp b) / (a - b) = exp(max) (1 - exp(-d)) / d with d = |a - b|."""
    apart = (a - b).abs()
    near = apart < 1e-5
    safe = torch.where(near, torch.ones_like(apart), apart)
    series = 1 - apart * (1 / 2 - apart * (1 / 6 - apart / 24))
    return torch.maximum(a, b).exp() * torch.where(near, series, -torch.expm1(-safe) / safe)
