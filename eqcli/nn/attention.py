"""Attention over the neighbours of each atom."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.geometry.irreps import Irreps, join, split_blocks
from eqcli.graph.segments import segment_sum, smooth_softmax
from eqcli.nn.activation import activation
from eqcli.nn.channels import channel_shapes


class AttentionLogits(nn.Module):
    """a . leaky_relu(layer_norm(s)) for each head, `[E, heads * width] -> [E, heads]`.

    The attention of GATv2 with the smooth activation of Equiformer and the re-normalisation of EquiformerV2.
    """

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.weight = nn.Parameter(torch.randn(heads, width))
        self.activation = activation("leaky-relu")

    def forward(self, scalars: Tensor) -> Tensor:
        x = self.activation(self.norm(scalars.unflatten(-1, (self.heads, -1))))  # [E, heads, width]
        return (x * self.weight).sum(-1) * self.weight.shape[1] ** -0.5


class DotProductLogits(nn.Module):
    """q . k over all numbers of each head, `[..., irreps.dim]` twice -> `[..., heads]` (SE(3)-Transformer).

    The product of two tensors of the same irreps is invariant; it is divided by the root of the number of
    terms, so that normal input has logits of unit variance.

    Parameters
    ----------
    irreps
        Multiplicities are multiples of `heads`; ValueError otherwise.
    """

    def __init__(self, irreps: Irreps | str, heads: int) -> None:
        super().__init__()
        self.irreps_in, self.heads = Irreps(irreps), heads
        _check_heads(self.irreps_in, heads)
        self._shapes = channel_shapes(self.irreps_in)
        self._scale = (self.irreps_in.dim / heads) ** -0.5

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        parts = split_blocks(query * key, self._shapes)
        each = torch.stack([part.unflatten(-1, (self.heads, -1)).sum((-3, -1)) for part in parts]).sum(0)
        return each * self._scale


class SmoothAttention(nn.Module):
    """sum_e alpha_e v_e over the edges of each atom, with alpha from :func:`smooth_softmax`, head by head.

    The envelope multiplies the logits too, so that the slope of the weights near the cutoff does not grow
    with the exponential of the logits. Energies made from the result are as smooth as the envelope.

    Parameters
    ----------
    irreps
        Of the values; their channels are shared out among the heads in order. ValueError where a multiplicity
        is no multiple of `heads`.
    dropout
        Share of the weights that are left out in training, drawn from torch's global generator.
    """

    def __init__(self, irreps: Irreps | str, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.irreps_in = self.irreps_out = Irreps(irreps)
        self.heads, self.dropout = heads, dropout
        _check_heads(self.irreps_in, heads)
        self._shapes = channel_shapes(self.irreps_in)

    def forward(self, values: Tensor, logits: Tensor, envelope: Tensor, receiver: Tensor, n: int) -> Tensor:
        """`[E, irreps.dim]`, `[E, heads]`, `[E]`, sorted `[E]` -> `[n, irreps.dim]`; zero for a lone atom."""
        weights = smooth_softmax(logits * envelope.unsqueeze(1), envelope, receiver, n)
        if self.training and self.dropout:
            weights = nn.functional.dropout(weights, self.dropout)
        each = weights.view(-1, 1, self.heads, 1)
        parts = split_blocks(values, self._shapes)
        weighted = [part.unflatten(-1, (self.heads, -1)) * each for part in parts]
        return segment_sum(join([part.flatten(-2) for part in weighted]), receiver, n)


def _check_heads(irreps: Irreps, heads: int) -> None:
    uneven = [f"{mul}x{ir}" for mul, ir in irreps if mul % heads]
    if uneven:
        raise ValueError(f"the channels of {', '.join(uneven)} cannot be shared out evenly among {heads} heads")
