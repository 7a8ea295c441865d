"""Concatenation of many parts whose second derivative costs no more than its first."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def concatenate(parts: list[Tensor], dim: int) -> Tensor:
    """`torch.cat`, for parts that derivatives of gradients are taken through.

    The gradient of `torch.cat` cuts out one part at a time; to differentiate each cut, zeros of the size of the
    whole are written, as often as there are parts. Here all parts are cut in one operation.
    """
    if torch.compiler.is_compiling():
        return torch.cat(parts, dim)
    joined: Tensor = _Concatenate.apply(dim, *parts)
    return joined


class _Concatenate(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(dim: int, *parts: Tensor) -> Tensor:
        return torch.cat(parts, dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.dim = inputs[0]
        ctx.sizes = [part.shape[ctx.dim] for part in inputs[1:]]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *gradient.split(ctx.sizes, ctx.dim))

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor) -> Tensor:
        return torch.cat(tangents, ctx.dim)
