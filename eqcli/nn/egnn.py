"""The E(n)-equivariant graph convolution (Satorras, Hoogeboom and Welling, ICML 2021), in any number of dimensions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from eqcli.graph.segments import segment_mean, segment_sum, spread

COORDINATE_GAIN = 1e-3
"""Gain of the initial weights that move points: an untrained layer hardly moves them."""


class EGNNLayer(nn.Module):
    """One E(n)-equivariant graph convolution: invariant features and positions of points are updated together.

    Equations 3 to 7 of the paper, with r_ij = x_i - x_j between a receiver i and a sender j:

        m_ij = phi_e(h_i, h_j, |r_ij|^2, a_ij)
        x_i' = x_i + C sum_j r_ij phi_x(m_ij) + phi_v(h_i) v_i
        h_i' = h_i + phi_h(h_i, sum_j m_ij)

    The update of the positions is not clamped by components, which some
    implementations do: that holds in one frame only. `tanh` bounds it in all.

    Parameters
    ----------
    hidden
        Channels of the features and of the messages.
    edge_features
        Invariant features of each edge, a_ij.
    update_positions
        Whether points move; without it the positions are returned as they came.
    velocity
        Whether velocities move the points too; needs `update_positions`.
    attention
        Whether each message is multiplied by a gate sigmoid(phi_a(m_ij)), equation 8.
    residual
        Whether h_i is added to its update.
    mean
        Whether C is one over the number of neighbours, and not one.
    tanh
        Whether phi_x is bounded to (-1, 1).
    update_features
        Whether features are updated; a last layer that positions alone are wanted of can do without.
    """

    def __init__(
        self,
        hidden: int,
        edge_features: int = 0,
        *,
        update_positions: bool,
        velocity: bool,
        attention: bool,
        residual: bool,
        mean: bool,
        tanh: bool = False,
        update_features: bool = True,
    ) -> None:
        super().__init__()
        if velocity and not update_positions:
            raise ValueError("velocities move points: velocity needs update_positions")
        self.hidden = hidden
        self.residual = residual
        self.mean = mean
        self.tanh = tanh
        self.edge_first = nn.Linear(2 * hidden + 1 + edge_features, hidden)
        self.edge_second = nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.gate = nn.Sequential(nn.Linear(hidden, 1), nn.Sigmoid()) if attention else None
        self.coordinate = _coordinate_network(hidden) if update_positions else None
        self.velocity = _network(hidden, hidden, 1) if velocity else None
        self.feature = _network(2 * hidden, hidden, hidden) if update_features else None

    def forward(
        self,
        h: Tensor,
        x: Tensor,
        edge_index: Tensor,
        edge_features: Tensor | None = None,
        velocities: Tensor | None = None,
        envelope: Tensor | None = None,
        shifts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """New features and positions, `[N, hidden]` and `[N, n]`.

        Parameters
        ----------
        h, x
            Invariant features `[N, hidden]` and positions `[N, n]` in n dimensions.
        edge_index
            Sender j and receiver i of each edge, `[2, E]`, sorted by receiver.
        edge_features
            Invariant, `[E, edge_features]`.
        velocities
            `[N, n]`; turned, but not shifted, with the positions.
        envelope
            Factor on all that an edge gives, `[E]`, e.g. one that goes to zero at a cutoff. Not together with a
            mean: the number of neighbours would still jump.
        shifts
            Added to the position of each edge's sender, `[E, n]`: lattice vectors of periodic images, or, with
            positions of zero, the vectors from receiver to sender themselves.
        """
        if envelope is not None and self.mean and self.coordinate is not None:
            raise ValueError("an envelope and a mean over neighbours exclude each other")
        sender, receiver = edge_index[0], edge_index[1]
        r = spread(x, receiver) - x.index_select(0, sender)
        if shifts is not None:
            r = r - shifts
        messages = self._messages(h, r, sender, receiver, edge_features)  # [E, hidden]
        if self.gate is not None:
            messages = messages * self.gate(messages)
        if envelope is not None:
            messages = messages * envelope.unsqueeze(1)
        if self.coordinate is not None:
            x = x + self._shift(messages, r, receiver, len(x), envelope)
        if self.velocity is not None:
            if velocities is None:
                raise ValueError("this layer needs velocities")
            x = x + self.velocity(h) * velocities
        if self.feature is not None:
            update = self.feature(torch.cat([h, segment_sum(messages, receiver, len(h))], dim=1))
            h = h + update if self.residual else update
        return h, x

    def _messages(self, h: Tensor, r: Tensor, sender: Tensor, receiver: Tensor, edge_features: Tensor | None) -> Tensor:
        """phi_e. Its first map is linear: the parts that depend on one point are computed once per point."""
        weight, n = self.edge_first.weight, self.hidden
        rest = (r * r).sum(1, keepdim=True)
        if edge_features is not None:
            rest = torch.cat([rest, edge_features], dim=1)
        pieces = spread(linear(h, weight[:, :n], self.edge_first.bias), receiver)
        pieces = pieces + linear(h, weight[:, n : 2 * n]).index_select(0, sender)
        messages: Tensor = self.edge_second(torch.addmm(pieces, rest, weight[:, 2 * n :].t()))
        return messages

    def _shift(self, messages: Tensor, r: Tensor, receiver: Tensor, n: int, envelope: Tensor | None) -> Tensor:
        """C sum_j r_ij phi_x(m_ij), `[N, n]`."""
        assert self.coordinate is not None
        weight = self.coordinate(messages)
        if self.tanh:
            weight = torch.tanh(weight)
        if envelope is not None:
            # Its biases let phi_x of no message be something.
            weight = weight * envelope.unsqueeze(1)
        return (segment_mean if self.mean else segment_sum)(r * weight, receiver, n)


def _network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


def _coordinate_network(hidden: int) -> nn.Sequential:
    last = nn.Linear(hidden, 1, bias=False)
    nn.init.xavier_uniform_(last.weight, gain=COORDINATE_GAIN)
    return nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), last)
