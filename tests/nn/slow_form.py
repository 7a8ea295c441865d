"""The multilinear form of message passing, the slow way, with its derivatives by autograd."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.nn.message_maps import MessageEdges, MessageForm, MessageMaps
from tests.nn.message_reference import random_edges, slow_messages

CPU = torch.device("cpu")


def symmetric_edges(degrees: list[int]) -> MessageEdges:
    """Random edges with the reverse of each among them."""
    half = random_edges(degrees)
    sender, receiver = torch.cat([half.sender, half.receiver]), torch.cat([half.receiver, half.sender])
    order = torch.argsort(receiver, stable=True)
    return MessageEdges(sender[order], receiver[order], half.n_atoms)


@dataclass
class Case:
    """Random arguments of the maps of one form on one graph."""

    form: MessageForm
    edges: MessageEdges
    channels: int
    dtype: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        n, e, c = self.edges.n_atoms, len(self.edges.sender), self.channels
        shapes = [(n, self.form.rows_out, c)]
        shapes += 2 * [(n, self.form.rows_in, c), (e, len(self.form.paths) * c), (e, self.form.rows_edge)]
        drawn = [torch.randn(shape, generator=generator, dtype=torch.float64).to(self.dtype) for shape in shapes]
        self.point, self.along = drawn[:4], drawn[4:]

    def form_value(self, g: Tensor, h: Tensor, w: Tensor, y: Tensor) -> Tensor:
        """T(g, h, w, Y)."""
        nothing = 0.0 * g.sum() * h.sum() * w.sum() * y.sum()  # so that it depends on all where there are no edges
        return (g * slow_messages(self.form, h, w, y, self.edges)).sum() + nothing

    def expected(self) -> tuple[list[Tensor], list[Tensor]]:
        """Derivatives of the form by g, h, w, Y, and those of their product with the directions, in float64."""
        point = [x.double().requires_grad_(True) for x in self.point]
        first = torch.autograd.grad(self.form_value(*point), point, create_graph=True)
        product = sum((a.double() * f).sum() for a, f in zip(self.along, first[1:], strict=True))
        assert isinstance(product, Tensor)
        return [f.detach() for f in first], list(torch.autograd.grad(product, point))

    def found(self, maps: MessageMaps, device: torch.device = CPU) -> tuple[list[Tensor], list[Tensor]]:
        """The same from the maps of a backend, carried out on `device`."""
        g, h, w, y, *along = (x.to(device) for x in (*self.point, *self.along))
        edges = MessageEdges(self.edges.sender.to(device), self.edges.receiver.to(device), self.edges.n_atoms)
        first = [maps.forward(h, w, y, edges), *maps.backward(g, h, w, y, edges)]
        second = maps.double_backward(g, h, w, y, along[0], along[1], along[2], edges)
        return [x.cpu() for x in first], [x.cpu() for x in second]


def assert_equal_maps(case: Case, maps: MessageMaps, tolerance: float, device: torch.device = CPU) -> None:
    """All derivatives within `tolerance` of the largest number of each."""
    for found, expected in zip(case.found(maps, device), case.expected(), strict=True):
        for x, y in zip(found, expected, strict=True):
            assert x.shape == y.shape
            assert x.dtype == case.dtype
            if y.numel():
                assert float((x.double() - y).abs().max()) <= tolerance * float(y.abs().max())
