"""Sum over neighbours of a tensor product of their features with spherical harmonics, mixed over its paths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqcli.graph.layout import Layout
from eqcli.nn.backend import Backend
from eqcli.nn.message_maps import Coupling, MessageEdges, MessageForm, MessagePath
from eqcli.nn.message_pass import MessagePass

KEPT_WEIGHTS = 2**24
"""Radial weights up to so many numbers are formed once and kept; more are formed piece by piece each time."""


def natural_form(l_in: int, l_edge: int, l_out: int) -> MessageForm:
    """All couplings among tensors of natural parity (-1)^l, ordered by (l3, l1, l2)."""
    couplings = [
        Coupling(l1, l2, l3, l1 * l1, l2 * l2, l3)
        for l3 in range(l_out + 1)
        for l1 in range(l_in + 1)
        for l2 in range(abs(l1 - l3), min(l1 + l3, l_edge) + 1)
        if (l1 + l2 + l3) % 2 == 0
    ]
    return MessageForm.grouped(couplings, (l_in + 1) ** 2, (l_edge + 1) ** 2)


class Convolution(nn.Module):
    """A_i = sum_j W [ R(r_ij) (h_j x Y(r_ij)) ], one radial weight per path and channel ("uvu").

    Parameters
    ----------
    channels
        C.
    l_in, l_edge, l_out
        Largest degrees of the features, the harmonics and the messages.
    radial_width
        Width of the last hidden layer of the radial network.
    backend
        What computes the messages.
    """

    def __init__(
        self,
        channels: int,
        l_in: int,
        l_edge: int,
        l_out: int,
        radial_width: int,
        backend: Backend = Backend.AUTO,
    ) -> None:
        super().__init__()
        self.form = natural_form(l_in, l_edge, l_out)
        self.message_pass = MessagePass(self.form, backend)
        self.radial_weight = nn.Parameter(torch.randn(radial_width, len(self.form.paths) * channels))
        self.mixing = nn.ParameterList(nn.Parameter(torch.randn(n * channels, channels)) for _, n in self.form.groups)
        self._rows = [(2 * l3 + 1) * n for l3, n in self.form.groups]

    @property
    def paths(self) -> tuple[MessagePath, ...]:
        """The couplings, in the order of the columns of `radial_weight`."""
        return self.form.paths

    def forward(self, features: Tensor, radial: Tensor, harmonics: Tensor, layout: Layout) -> Tensor:
        """`[N, (l_in+1)^2, C]`, `[E, radial_width]`, `[E, (l_edge+1)^2]` -> `[N, (l_out+1)^2, C]`, in layout order."""
        matrix = self.scaled_weight()
        if len(radial) * matrix.shape[1] <= KEPT_WEIGHTS:
            return self.with_weights(features, radial @ matrix, harmonics, layout)
        edges = MessageEdges.from_layout(layout, len(features))
        return self._mixed(self.message_pass(features, radial, harmonics, edges, matrix))

    def scaled_weight(self) -> Tensor:
        """What takes radial features to weights, `[radial_width, P C]`."""
        return self.radial_weight * self.radial_weight.shape[0] ** -0.5

    def with_weights(self, features: Tensor, weights: Tensor, harmonics: Tensor, layout: Layout) -> Tensor:
        """The same for weights that are there already, `[E, P C]`."""
        edges = MessageEdges.from_layout(layout, len(features))
        return self._mixed(self.message_pass(features, weights, harmonics, edges))

    def _mixed(self, messages: Tensor) -> Tensor:
        mixed = []
        for group, weight in zip(messages.split(self._rows, dim=1), self.mixing, strict=True):
            paths = group.reshape(-1, weight.shape[0])  # [N (2 l3 + 1), paths C]
            mixed.append((paths @ (weight * weight.shape[0] ** -0.5)).view(len(messages), -1, weight.shape[1]))
        return torch.cat(mixed, dim=1)
