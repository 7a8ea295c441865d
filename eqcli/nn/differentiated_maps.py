"""The maps of a message pass from a differentiable function that computes the messages alone.

For libraries that bring their own derivatives to autograd. The function runs again for every derivative.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eqcli.nn.message_maps import MessageEdges


class DifferentiatedMaps(ABC):
    """:class:`~eqcli.nn.message_maps.MessageMaps` whose derivatives are those of :meth:`messages`."""

    @abstractmethod
    def messages(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        """`[N, rows_in, C]`, `[E, P C]`, `[E, rows_edge]` -> `[N, rows_out, C]`, twice differentiable."""

    def forward(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        with torch.no_grad():
            return self.messages(h, w, harmonics, edges)

    def backward(
        self, g: Tensor, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges
    ) -> tuple[Tensor, Tensor, Tensor]:
        of_h, of_w, of_harmonics = self._gradient(g, _leaves(h, w, harmonics), edges, again=False)
        return of_h, of_w, of_harmonics

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
        leaves = _leaves(g, h, w, harmonics)
        gradient = self._gradient(leaves[0], leaves[1:], edges, again=True)
        by_g, by_h, by_w, by_harmonics = torch.autograd.grad(gradient, leaves, (of_h, of_w, of_harmonics))
        return by_g, by_h, by_w, by_harmonics

    def _gradient(self, g: Tensor, leaves: list[Tensor], edges: MessageEdges, again: bool) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            messages = self.messages(*leaves, edges)
            return torch.autograd.grad(messages, leaves, g, create_graph=again)


def _leaves(*tensors: Tensor) -> list[Tensor]:
    return [t.detach().requires_grad_(True) for t in tensors]
