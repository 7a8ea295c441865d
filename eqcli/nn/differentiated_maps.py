"""The maps of a message pass from a differentiable function that computes the messages alone.

For libraries that bring their own derivatives to autograd. The function runs again for every derivative.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from eqcli.nn.message_maps import MessageEdges, MessageForm


class DifferentiatedMaps(ABC):
    """:class:`~eqcli.nn.message_maps.MessageMaps` whose derivatives are those of :meth:`messages`."""

    form: MessageForm

    @abstractmethod
    def messages(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        """`[N, rows_in, C]`, `[E, P C]`, `[E, rows_edge]` -> `[N, rows_out, C]`, twice differentiable.

        Never called without edges or channels.
        """

    def forward(self, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges) -> Tensor:
        if not (len(edges.sender) and h.shape[-1]):
            return h.new_zeros(edges.n_atoms, self.form.rows_out, h.shape[-1])
        with torch.no_grad():
            return self.messages(h, w, harmonics, edges)

    def backward(
        self, g: Tensor, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges
    ) -> tuple[Tensor, Tensor, Tensor]:
        if not (len(edges.sender) and h.shape[-1]):
            return torch.zeros_like(h), torch.zeros_like(w), torch.zeros_like(harmonics)
        h, w, harmonics = _leaf(h), _leaf(w), _leaf(harmonics)
        return self._gradient(g, h, w, harmonics, edges, again=False)

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
        if not (len(edges.sender) and h.shape[-1]):
            return torch.zeros_like(g), torch.zeros_like(h), torch.zeros_like(w), torch.zeros_like(harmonics)
        leaves = (_leaf(g), _leaf(h), _leaf(w), _leaf(harmonics))
        gradient = self._gradient(*leaves, edges, again=True)
        by_g, by_h, by_w, by_harmonics = torch.autograd.grad(gradient, leaves, (of_h, of_w, of_harmonics))
        return by_g, by_h, by_w, by_harmonics

    def _gradient(
        self, g: Tensor, h: Tensor, w: Tensor, harmonics: Tensor, edges: MessageEdges, again: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        with torch.enable_grad():
            messages = self.messages(h, w, harmonics, edges)
            of_h, of_w, of_harmonics = torch.autograd.grad(messages, (h, w, harmonics), g, create_graph=again)
        return of_h, of_w, of_harmonics


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_(True)
