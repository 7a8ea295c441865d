"""What layers along edges know of an edge apart from its direction: its length and the elements at its ends."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eqcli.geometry.edge_rotation import EdgeRotation
from eqcli.graph.segments import segment_sum
from eqcli.nn.activation import scaled_silu


@dataclass
class Edges:
    """The edges of a batch, made once and used by all layers.

    Attributes (M atoms, E edges)
    ----------
    sender, receiver
        Neighbour and centre, `[E]` int64; sorted by receiver.
    pair
        `[E]` int64, the elements of sender and receiver as one number.
    basis
        Radial basis, `[E, num_radial_basis]`; it need not vanish at the cutoff.
    envelope
        `[E]`, smoothly zero at the cutoff: everything that an edge adds to an atom is multiplied by it.
    rotation
        Into the frame of each edge.
    n_atoms
        M.
    """

    sender: Tensor
    receiver: Tensor
    pair: Tensor
    basis: Tensor
    envelope: Tensor
    rotation: EdgeRotation
    n_atoms: int

    def ends(self, x: Tensor) -> Tensor:
        """Features of sender and receiver side by side, `[M, K, C] -> [E, K, 2C]`."""
        return torch.cat([x.index_select(0, self.sender), x.index_select(0, self.receiver)], dim=2)

    def collect(self, messages: Tensor) -> Tensor:
        """Sum over the edges of each atom, times the envelope, `[E, K, C] -> [M, K, C]`."""
        return segment_sum(messages * self.envelope[:, None, None], self.receiver, self.n_atoms)


class EdgeFactors(nn.Module):
    """A perceptron of distance and elements, `[E, size]`: the radial functions of eSCN and EquiformerV2.

    Two hidden layers with layer normalisation and SiLU on the radial basis and vectors of the elements of sender
    and receiver. Weights are standard normal and divided by the root of the fan-in when used.

    Parameters
    ----------
    num_radial_basis
        Size of the radial basis.
    elements
        Vectors of the elements as sender and as receiver, `[2, n_elements, width]`; layers share them.
    hidden
        Width of the hidden layers.
    size
        Numbers for each edge.
    """

    def __init__(self, num_radial_basis: int, elements: nn.Parameter, hidden: int, size: int) -> None:
        super().__init__()
        self.elements = elements
        width = elements.shape[2]
        self.first = nn.Parameter(torch.randn(num_radial_basis + 2 * width, hidden))
        self.second = nn.Parameter(torch.randn(hidden, hidden))
        self.last = nn.Parameter(torch.randn(hidden, size))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(n)) for n in (hidden, hidden, size))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2))
        self._sizes = [num_radial_basis, width, width]

    def forward(self, edges: Edges) -> Tensor:
        of_basis, *of_elements = (self.first * self.first.shape[0] ** -0.5).split(self._sizes)
        sender, receiver = (e @ w for e, w in zip(self.elements, of_elements, strict=True))
        table = (sender.unsqueeze(1) + receiver + self.biases[0]).flatten(0, 1)  # [pairs, hidden]
        x = scaled_silu(self.norms[0](table.index_select(0, edges.pair) + edges.basis @ of_basis))
        x = scaled_silu(self.norms[1](torch.addmm(self.biases[1], x, self.second * len(self.second) ** -0.5)))
        return torch.addmm(self.biases[2], x, self.last * len(self.last) ** -0.5)
