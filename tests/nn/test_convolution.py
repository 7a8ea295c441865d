from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from eqcli.geometry.clebsch_gordan import clebsch_gordan
from eqcli.graph.layout import make_layout
from eqcli.nn.convolution import Convolution
from eqcli.nn.plain_message import FormedMaps

C = 3
"""Channels."""


def slow_convolution(layer: Convolution, h: Tensor, radial: Tensor, harmonics: Tensor, edges: Tensor) -> Tensor:
    """The same sum edge by edge and path by path."""
    per_degree: dict[int, list[Tensor]] = {}
    for i, (l1, l2, l3, *_) in enumerate(layer.paths):
        weight = layer.radial_weight[:, i * C : (i + 1) * C] * layer.radial_weight.shape[0] ** -0.5
        out = torch.zeros(len(h), 2 * l3 + 1, C, dtype=h.dtype)
        for e in range(edges.shape[1]):
            x = h[edges[0, e], l1**2 : (l1 + 1) ** 2]
            y = harmonics[e, l2**2 : (l2 + 1) ** 2]
            product = (2 * l3 + 1) ** 0.5 * torch.einsum("ijk,ic,j->kc", clebsch_gordan(l1, l2, l3), x, y)
            out[edges[1, e]] += product * (radial[e] @ weight)
        per_degree.setdefault(l3, []).append(out)
    mixed = [torch.cat(per_degree[l3], dim=2) @ (w * len(w) ** -0.5) for l3, w in enumerate(layer.mixing)]
    return torch.cat(mixed, dim=1)


def random_edges(degrees: list[int]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    senders = [torch.randint(len(degrees), (d,), generator=generator) for d in degrees]
    receivers = [torch.full((d,), i) for i, d in enumerate(degrees)]
    return torch.stack([torch.cat(senders), torch.cat(receivers)])


@pytest.mark.parametrize("degrees", [[3, 3, 3], [5, 0, 2, 1, 0, 4], [0, 0], [1]])
@pytest.mark.parametrize("l_in", [0, 2])
def test_equals_the_sum_over_edges(degrees: list[int], l_in: int) -> None:
    torch.manual_seed(0)
    layer = Convolution(C, l_in, 2, 2, 4).double()
    edges = random_edges(degrees)
    h = torch.randn(len(degrees), (l_in + 1) ** 2, C, dtype=torch.float64)
    radial = torch.randn(edges.shape[1], 4, dtype=torch.float64)
    harmonics = torch.randn(edges.shape[1], 9, dtype=torch.float64)
    layout = make_layout(torch.zeros(len(degrees), dtype=torch.int64), edges)
    expected = slow_convolution(layer, h, radial, harmonics, edges)
    torch.testing.assert_close(layer(h, radial, harmonics, layout), expected, atol=1e-12, rtol=1e-12)


def test_blocks_of_very_different_widths_agree_with_the_sum_over_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eqcli.graph.layout.BLOCK_OVERHEAD", 2)
    degrees = [9, 1, 0, 4, 4, 1, 9, 2]
    edges = random_edges(degrees)
    layout = make_layout(torch.zeros(len(degrees), dtype=torch.int64), edges)
    assert len(layout.blocks) > 2
    torch.manual_seed(0)
    layer = Convolution(C, 1, 2, 2, 4).double()
    h = torch.randn(len(degrees), 4, C, dtype=torch.float64)
    radial = torch.randn(edges.shape[1], 4, dtype=torch.float64)
    harmonics = torch.randn(edges.shape[1], 9, dtype=torch.float64)
    expected = slow_convolution(layer, h, radial, harmonics, edges)
    torch.testing.assert_close(layer(h, radial, harmonics, layout), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("degrees", [[3] * 7, [5, 0, 2, 1, 0, 4, 4]])
def test_weights_formed_in_pieces_agree_with_weights_kept(
    monkeypatch: pytest.MonkeyPatch, degrees: list[int], train: bool
) -> None:
    """In value, and in first and second derivatives by the inputs and, when they are trained, by the weights."""
    torch.manual_seed(0)
    layer = Convolution(C, 1, 2, 2, 4).double().requires_grad_(train)
    edges = random_edges(degrees)
    layout = make_layout(torch.zeros(len(degrees), dtype=torch.int64), edges)
    inputs = [
        torch.randn(len(degrees), 4, C, dtype=torch.float64, requires_grad=True),
        torch.randn(edges.shape[1], 4, dtype=torch.float64, requires_grad=True),
        torch.randn(edges.shape[1], 9, dtype=torch.float64, requires_grad=True),
    ]

    def derivatives() -> list[Tensor]:
        out = layer(*inputs, layout)
        first = torch.autograd.grad(out.square().sum(), inputs, create_graph=True)
        by = [*inputs, *layer.parameters()] if train else inputs
        second = torch.autograd.grad(sum(g.square().sum() for g in first), by)
        return [out.detach(), *(g.detach() for g in first), *second]

    kept = derivatives()
    calls = []
    monkeypatch.setattr("eqcli.nn.convolution.KEPT_WEIGHTS", 0)
    monkeypatch.setattr("eqcli.nn.edge_pieces.NUMBERS_AT_ONCE", 6)
    monkeypatch.setattr(FormedMaps, "double_backward", counted(FormedMaps.double_backward, calls))
    for a, b in zip(derivatives(), kept, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12 * float(b.abs().max()), rtol=0)
    assert calls


def counted(function: Callable[..., Any], calls: list[int]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        calls.append(1)
        return function(*arguments)

    return call
