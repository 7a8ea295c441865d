"""Operations over the edges of each atom: sums, means, maxima and softmax.

Edges are sorted by receiver, as those of every AtomGraph are, so that the edges of an atom are a segment. Sums
add in the order of the edges on every device: the same input gives the same bits, in the derivatives too.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor


@torch.library.custom_op("eqcli::segment_sum", mutates_args=())
def _segment_sum(x: Tensor, receiver: Tensor, n: int) -> Tensor:
    if x.is_cuda:
        # Adding by index is atomic there: the order, and so the rounding, would change from run to run.
        ends = torch.arange(n + 1, device=receiver.device, dtype=receiver.dtype)
        offsets = torch.searchsorted(receiver, ends)
        return torch.segment_reduce(x.contiguous(), "sum", offsets=offsets, axis=0, unsafe=True, initial=0)
    return x.new_zeros(n, *x.shape[1:]).index_add(0, receiver, x)


@_segment_sum.register_fake
def _(x: Tensor, receiver: Tensor, n: int) -> Tensor:
    return x.new_empty(n, *x.shape[1:])


@torch.library.custom_op("eqcli::spread", mutates_args=())
def _spread(x: Tensor, receiver: Tensor) -> Tensor:
    return x.index_select(0, receiver)


@_spread.register_fake
def _(x: Tensor, receiver: Tensor) -> Tensor:
    return x.new_empty(receiver.shape[0], *x.shape[1:])


def _keep_receiver(ctx, inputs, output):  # type: ignore[no-untyped-def]
    ctx.receiver = inputs[1]
    ctx.n = inputs[0].shape[0]


def _gradient_of_sum(ctx, gradient):  # type: ignore[no-untyped-def]
    return _spread(gradient, ctx.receiver), None, None


def _gradient_of_spread(ctx, gradient):  # type: ignore[no-untyped-def]
    return _segment_sum(gradient, ctx.receiver, ctx.n), None


_segment_sum.register_autograd(_gradient_of_sum, setup_context=_keep_receiver)
_spread.register_autograd(_gradient_of_spread, setup_context=_keep_receiver)


def segment_sum(x: Tensor, receiver: Tensor, n: int) -> Tensor:
    """Sum over the edges of each of `n` atoms, `[E, ...] -> [n, ...]`; zero for an atom without edges."""
    summed: Tensor = _segment_sum(x, receiver, n)
    return summed


def spread(x: Tensor, receiver: Tensor) -> Tensor:
    """What each edge's receiver has, `[n, ...] -> [E, ...]`: the transpose of :func:`segment_sum`."""
    taken: Tensor = _spread(x, receiver)
    return taken


def segment_counts(owner: Tensor, n: int) -> Tensor:
    """How many of the members, whose owners `owner` `[E]` need not be sorted, each of `n` segments has, `[n]` int64."""
    if owner.is_cuda:
        # `bincount` would wait for the device to learn the largest owner.
        return owner.new_zeros(n).scatter_add_(0, owner, torch.ones_like(owner))
    return torch.bincount(owner, minlength=n)


def segment_mean(x: Tensor, receiver: Tensor, n: int) -> Tensor:
    """Mean over the edges of each atom, `[E, ...] -> [n, ...]`; zero for an atom without edges."""
    count = segment_sum(torch.ones_like(receiver, dtype=x.dtype), receiver, n).clamp(min=1.0)
    return segment_sum(x, receiver, n) / count.view(-1, *[1] * (x.dim() - 1))


def segment_max(x: Tensor, receiver: Tensor, n: int) -> Tensor:
    """Maximum over the edges of each atom, `[E, ...] -> [n, ...]`; zero for an atom without edges.

    Edges that share the maximum share its gradient evenly.
    """
    highest = spread(_highest(x, receiver, n), receiver)
    chosen = (x == highest).to(x.dtype)
    return segment_sum(x * chosen, receiver, n) / segment_sum(chosen, receiver, n).clamp(min=1.0)


def segment_softmax(logits: Tensor, receiver: Tensor, n: int) -> Tensor:
    """exp(a_e) / sum over the edges of the same atom, `[E, ...] -> [E, ...]`.

    It does not know the cutoff: an edge that comes or goes changes all weights by a jump. Potentials take
    :func:`smooth_softmax`.
    """
    shifted = torch.exp(logits - spread(_highest(logits, receiver, n), receiver))
    return shifted / spread(segment_sum(shifted, receiver, n), receiver)


def smooth_softmax(logits: Tensor, envelope: Tensor, receiver: Tensor, n: int) -> Tensor:
    """f_e exp(a_e) / (1 + sum_k f_k exp(a_k)), `[E, H] -> [E, H]`, with the envelope f `[E]`.

    The 1 stands for attention to nothing, with logit 0. With it the weights are as smooth as the envelope, to
    the last edge: a leaving edge fades to zero and leaves to the others what they have without it. A plain
    softmax would hold the weight of an only neighbour at one until it is gone.
    """
    f = envelope.view(-1, *[1] * (logits.dim() - 1))
    # An edge with no weight must not decide the shift, however large its logit is: the others would underflow.
    level = logits.detach() + f.detach().log()
    shift = _highest(level, receiver, n).clamp(min=0.0)
    most = 0.9 * log(torch.finfo(logits.dtype).max)
    each = f * torch.exp((logits - spread(shift, receiver)).clamp(max=most))
    return each / spread(torch.exp(-shift) + segment_sum(each, receiver, n), receiver)


def _highest(x: Tensor, receiver: Tensor, n: int) -> Tensor:
    """The maximum without gradient; zero for an atom without edges."""
    index = receiver.view(-1, *[1] * (x.dim() - 1)).expand_as(x)
    return x.new_zeros(n, *x.shape[1:]).scatter_reduce(0, index, x.detach(), "amax", include_self=False)
