"""Attention over neighbours with convolutions in the frames of edges (Liao et al., ICLR 2024, EquiformerV2)."""

from __future__ import annotations

from torch import Tensor, nn

from eqcli.geometry.edge_turn import into_frame, out_of_frame
from eqcli.geometry.irreps import natural
from eqcli.nn.attention import AttentionLogits, SmoothAttention
from eqcli.nn.edge_embedding import EdgeFactors, Edges
from eqcli.nn.frame_activation import FrameGate, FrameS2Activation
from eqcli.nn.frame_linear import FrameLinear, join_orders, split_orders
from eqcli.nn.linear import EquivariantLinear


class FrameAttention(nn.Module):
    """sum_j a_ij D^T W' act(W (f(r_ij) * D [x_j, x_i])), head by head, `[M, (lmax+1)^2, C] -> [M, (lmax_out+1)^2, C']`.

    The first convolution also gives the scalars that the weights a_ij are made of: normalised by layer, activated
    and summed up. The softmax has the envelope in it, so that the weights go smoothly to zero at the cutoff.

    Parameters
    ----------
    lmax, mmax, parity, lmax_out
        See :class:`eqcli.nn.frame_linear.FrameLinear`; the result has degrees up to `lmax_out`.
    activation
        Between the convolutions; has `channels` hidden channels.
    factors
        `(num_radial_basis, elements, hidden)` of :class:`eqcli.nn.edge_embedding.EdgeFactors`.
    heads, logit_width, value_channels
        Attention heads, scalars of each that make its logit, channels of its values.
    """

    def __init__(
        self,
        lmax: int,
        mmax: int,
        channels_in: int,
        channels_out: int,
        *,
        activation: FrameGate | FrameS2Activation,
        factors: tuple[int, nn.Parameter, int],
        heads: int,
        logit_width: int,
        value_channels: int,
        dropout: float,
        parity: bool,
        lmax_out: int | None = None,
    ) -> None:
        super().__init__()
        self.lmax, self.mmax, self.values = lmax, mmax, heads * value_channels
        self.lmax_out = lmax if lmax_out is None else lmax_out
        self.activation = activation
        self._scalars = [heads * logit_width, activation.scalars]
        hidden = activation.channels
        self.first = FrameLinear(lmax, mmax, 2 * channels_in, hidden, scalars=sum(self._scalars), parity=parity)
        self.factors = EdgeFactors(*factors, self.first.factor_numel)
        self.second = FrameLinear(lmax, mmax, hidden, self.values, lmax_out=self.lmax_out, parity=parity)
        self.logits = AttentionLogits(heads, logit_width)
        self.attention = SmoothAttention(natural(self.lmax_out, self.values), heads, dropout=dropout)
        self.linear = EquivariantLinear(
            natural(self.lmax_out, self.values), natural(self.lmax_out, channels_out), bias=True
        )

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        inside = into_frame(edges.ends(x), edges.rotation, self.lmax, self.mmax)
        scalars, hidden = self.first(split_orders(inside, self.lmax, self.mmax), self.factors(edges))
        for_logits, for_activation = scalars.split(self._scalars, dim=1)
        _, values = self.second(self.activation(hidden, for_activation))
        turned = out_of_frame(join_orders(values, self.values), edges.rotation, self.lmax_out, self.mmax)
        collected = self.attention(
            turned.flatten(1), self.logits(for_logits), edges.envelope, edges.receiver, edges.n_atoms
        )
        result: Tensor = self.linear(collected)
        return result.unflatten(1, ((self.lmax_out + 1) ** 2, -1))


class EdgeDegreeEmbedding(nn.Module):
    """sum_j D^T f(r_ij) u(r_ij) over components of order 0, `[M, (lmax+1)^2, C]`: first features of all degrees.

    What an atom begins with beside the embedding of its element (EquiformerV2, sec. 4.4).
    """

    def __init__(self, lmax: int, channels: int, factors: tuple[int, nn.Parameter, int]) -> None:
        super().__init__()
        self.lmax = lmax
        self.factors = EdgeFactors(*factors, (lmax + 1) * channels)

    def forward(self, edges: Edges) -> Tensor:
        """Not yet divided by the number of neighbours."""
        inside = self.factors(edges).unflatten(1, (self.lmax + 1, -1))
        return edges.collect(out_of_frame(inside, edges.rotation, self.lmax, 0))
