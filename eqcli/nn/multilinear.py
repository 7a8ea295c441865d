"""Derivatives of any order of a multilinear map, from three maps that know nothing of autograd."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Maps(Protocol):
    """The derivatives of a form `T(g, x_1 .. x_k)` that is linear in each argument.

    :class:`~eqcli.nn.message_maps.MessageMaps` are of this kind with x = (h, w, Y). A derivative by an argument that
    counts as constant is None.
    """

    def forward(self, *arguments: Any) -> Tensor:
        """`forward(*x, graph)`: the derivative by g."""
        ...

    def backward(self, *arguments: Any) -> tuple[Tensor | None, ...]:
        """`backward(g, *x, graph)`: the derivatives by each x."""
        ...

    def double_backward(self, *arguments: Any) -> tuple[Tensor | None, ...]:
        """`double_backward(g, *x, *a, graph)`: those by g and each x of the sum of `<a_i, dT/dx_i>`."""
        ...


def multilinear(maps: Maps, graph: Any, *x: Tensor) -> Tensor:
    """`maps.forward(*x, graph)` with derivatives of any order; `graph` is what does not vary."""
    found: Tensor = _Forward.apply(maps, graph, *x)
    return found


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Maps, graph: Any, *x: Tensor) -> Tensor:
        ctx.save_for_backward(*x)
        ctx.maps, ctx.graph = maps, graph
        return maps.forward(*(t.contiguous() for t in x), graph)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return None, None, *_Backward.apply(ctx.maps, ctx.graph, g, *ctx.saved_tensors)


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Maps, graph: Any, g: Tensor, *x: Tensor) -> tuple[Tensor | None, ...]:
        ctx.save_for_backward(g, *x)
        ctx.maps, ctx.graph = maps, graph
        return maps.backward(*(t.contiguous() for t in (g, *x)), graph)

    @staticmethod
    def backward(ctx: Any, *a: Tensor | None) -> Any:
        g, *x = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, None, *_composite(ctx.maps, ctx.graph, g, x, a)
        full = [torch.zeros_like(t) if c is None else c.contiguous() for t, c in zip(x, a, strict=True)]
        with torch.no_grad():
            found = ctx.maps.double_backward(*(t.contiguous() for t in (g, *x)), *full, ctx.graph)
        return None, None, *found


def _composite(maps: Maps, graph: Any, g: Tensor, x: list[Tensor], a: tuple[Tensor | None, ...]) -> list[Tensor | None]:
    """The double backward from the first two maps, so that it can be differentiated in turn."""
    of_g: Tensor | None = None
    of_x: list[Tensor | None] = [None] * len(x)
    for i, direction in enumerate(a):
        if direction is None:
            continue
        turned = [*x[:i], direction, *x[i + 1 :]]
        of_g = _add(of_g, _Forward.apply(maps, graph, *turned))
        for j, part in enumerate(_Backward.apply(maps, graph, g, *turned)):
            if j != i:
                of_x[j] = _add(of_x[j], part)
    return [of_g, *of_x]


def _add(total: Tensor | None, part: Tensor | None) -> Tensor | None:
    return part if total is None else total if part is None else total + part
