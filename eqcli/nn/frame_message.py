"""Messages by convolutions in the frames of edges (Passaro and Zitnick, ICML 2023, eSCN)."""

from __future__ import annotations

from torch import Tensor, nn

from eqcli.geometry.edge_turn import into_frame, out_of_frame
from eqcli.nn.edge_embedding import EdgeFactors, Edges
from eqcli.nn.frame_activation import FrameGate, FrameS2Activation
from eqcli.nn.frame_linear import FrameLinear, join_orders, split_orders


class FrameMessage(nn.Module):
    """sum_j u(r_ij) D^T W' act(W (f(r_ij) * D [x_j, x_i])), `[M, (lmax_in+1)^2, C] -> [M, (lmax_out+1)^2, C]`.

    The sum is not divided by the number of neighbours.

    Parameters
    ----------
    lmax_in, lmax, lmax_out
        Highest degrees of the features, between the convolutions and of the result.
    mmax, parity
        See :class:`eqcli.nn.frame_linear.FrameLinear`.
    activation
        Between the convolutions; has the hidden channels.
    factors
        `(num_radial_basis, elements, hidden)` of :class:`eqcli.nn.edge_embedding.EdgeFactors`.
    """

    def __init__(
        self,
        lmax: int,
        mmax: int,
        channels: int,
        *,
        lmax_in: int,
        lmax_out: int,
        activation: FrameGate | FrameS2Activation,
        factors: tuple[int, nn.Parameter, int],
        parity: bool,
    ) -> None:
        super().__init__()
        self.lmax_in, self.lmax_out, self.mmax, self.channels = lmax_in, lmax_out, mmax, channels
        self.activation = activation
        hidden = activation.channels
        self.first = FrameLinear(
            lmax_in, mmax, 2 * channels, hidden, lmax_out=lmax, scalars=activation.scalars, parity=parity
        )
        self.factors = EdgeFactors(*factors, self.first.factor_numel)
        self.second = FrameLinear(lmax, mmax, hidden, channels, lmax_out=lmax_out, parity=parity)

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        inside = into_frame(edges.ends(x), edges.rotation, self.lmax_in, self.mmax)
        scalars, hidden = self.first(split_orders(inside, self.lmax_in, self.mmax), self.factors(edges))
        _, messages = self.second(self.activation(hidden, scalars))
        return edges.collect(
            out_of_frame(join_orders(messages, self.channels), edges.rotation, self.lmax_out, self.mmax)
        )
