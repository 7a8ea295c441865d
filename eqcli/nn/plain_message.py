"""The maps of message passing in plain torch: the definition of right, and quick on a processor.

For path p the coupling coefficients and the harmonics of an edge are contracted first, without
channels, to a small matrix `G_e[m1, m3]`. Messages are then `sum_(e, m1) G_e[m1, m3] (w_e h_j[m1])`, a batched
matrix product over the neighbours of each atom; the derivatives are products with the same matrices.
The edges are taken in pieces whose intermediate results stay in the cache: nothing per edge and channel is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.nn.edge_weights import FormedWeights, GivenWeights
from eqcli.nn.message_maps import MessageEdges, MessageForm
from eqcli.nn.message_pieces import Kernel


class PlainMaps:
    """:class:`~eqcli.nn.message_maps.MessageMaps` in plain torch."""

    def __init__(self, form: MessageForm) -> None:
        self.kernel = Kernel(form)

    def forward(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        return self.kernel.messages(h, GivenWeights(w), harmonics, edges)

    def backward(
        self, g: Tensor, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges
    ) -> tuple[Tensor, Tensor, Tensor]:
        of_w = torch.empty_like(w)
        of_h, of_y = self.kernel.gradients(g, h, GivenWeights(w, derivative=of_w), harmonics, edges)
        return of_h, of_w, of_y

    def double_backward(
        self,
        g: Tensor,
        h: Tensor,
        w: Tensor,
        harmonics: Tensor,
        of_h: Tensor,
        of_w: Tensor,
        of_harmonics: Tensor,
        edges: MessageEdges,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        found_w = torch.empty_like(w)
        weights = GivenWeights(w, of_w, found_w)
        found_g, found_h, found_y = self.kernel.second_gradients(g, h, weights, harmonics, (of_h, of_harmonics), edges)
        return found_g, found_h, found_w, found_y


class FormedMaps:
    """The same with weights `radial @ matrix` formed piece by piece: `radial` is `[E, K]`, `matrix` `[K, P C]`.

    Without `train_matrix` the matrix counts as constant: its derivatives are None.
    """

    def __init__(self, form: MessageForm, train_matrix: bool = True) -> None:
        self.kernel = Kernel(form)
        self.train_matrix = train_matrix

    def forward(self, h: Tensor, radial: Tensor, matrix: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        return self.kernel.messages(h, FormedWeights(radial, matrix), harmonics, edges)

    def backward(
        self, g: Tensor, h: Tensor, radial: Tensor, matrix: Tensor, harmonics: Tensor, edges: MessageEdges
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        of_radial, of_matrix = self._places(radial, matrix)
        weights = FormedWeights(radial, matrix, None, of_radial, of_matrix)
        of_h, of_y = self.kernel.gradients(g, h, weights, harmonics, edges)
        return of_h, of_radial, of_matrix, of_y

    def double_backward(
        self,
        g: Tensor,
        h: Tensor,
        radial: Tensor,
        matrix: Tensor,
        harmonics: Tensor,
        of_h: Tensor,
        of_radial: Tensor,
        of_matrix: Tensor | None,
        of_harmonics: Tensor,
        edges: MessageEdges,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
        found_radial, found_matrix = self._places(radial, matrix)
        cotangents = (of_radial, of_matrix if self.train_matrix else None)
        weights = FormedWeights(radial, matrix, cotangents, found_radial, found_matrix)
        found_g, found_h, found_y = self.kernel.second_gradients(g, h, weights, harmonics, (of_h, of_harmonics), edges)
        return found_g, found_h, found_radial, found_matrix, found_y

    def _places(self, radial: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor | None]:
        return torch.empty_like(radial), torch.zeros_like(matrix) if self.train_matrix else None
