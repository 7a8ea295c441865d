"""The flat torus of fractional coordinates: every coordinate on a circle of circumference 1.

Exponential map and logarithm of the flat metric, as in Riemannian flow matching (Chen and Lipman, ICLR 2024)
and its use on crystals (Miller et al., ICML 2024). All functions work number by number, on tensors of any shape.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def wrap(x: Tensor) -> Tensor:
    """The same points with coordinates in [0, 1); the gradient passes as through the identity."""
    inside = x - x.floor()
    # A negative number smaller than the spacing of floats below 1 is rounded up to 1, the same point as 0.
    return inside - (inside >= 1).to(x.dtype)


def torus_log(base: Tensor, point: Tensor) -> Tensor:
    """Shortest displacement from `base` to `point`, in [-1/2, 1/2).

    Points half a turn apart have two: the negative one is given. The gradient is that of `point - base`.
    """
    apart = point - base
    return apart - (apart + 0.5).floor()


def torus_exp(base: Tensor, tangent: Tensor) -> Tensor:
    """Where one arrives going from `base` by `tangent`, in [0, 1)."""
    return wrap(base + tangent)


def geodesic(base: Tensor, point: Tensor, t: Tensor | float) -> Tensor:
    """The point at time `t` (broadcast) of the shortest path: `base` at 0, `point` at 1; in [0, 1)."""
    return torus_exp(base, t * torus_log(base, point))


def without_drift(v: Tensor, batch: Tensor, count: int) -> Tensor:
    """Tangent vectors less their mean over the atoms of each crystal, which would only move it as a whole.

    `v` is `[N, ...]`, `batch` the crystal of each atom, `[N]` and ascending, and `count` the number of crystals.
    Sums add in the order of the atoms on every device: the same input gives the same bits.
    """
    projected: Tensor = _WithoutDrift.apply(v, batch, count)
    return projected


class _WithoutDrift(torch.autograd.Function):
    """An orthogonal projection: it is its own gradient, to any order."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, batch: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(batch)
        ctx.count = count
        offsets = torch.searchsorted(batch, torch.arange(count + 1, device=batch.device, dtype=batch.dtype))
        if v.is_cuda:
            # Adding by index is atomic there: the order, and so the rounding, would change from run to run.
            total = torch.segment_reduce(v.contiguous(), "sum", offsets=offsets, axis=0, unsafe=True, initial=0)
        else:
            total = v.new_zeros(count, *v.shape[1:]).index_add(0, batch, v)
        atoms = offsets.diff().clamp(min=1).to(v.dtype)
        return v - (total / atoms.reshape(-1, *[1] * (v.dim() - 1)))[batch]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (batch,) = ctx.saved_tensors
        return _WithoutDrift.apply(gradients[0], batch, ctx.count), None, None
