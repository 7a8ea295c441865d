"""Messages by pairs, and sums of outer products, against sums edge by edge."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.nn import pair_messages as module
from eqcli.nn.cartesian_tensors import scale_parts
from eqcli.nn.message_maps import MessageEdges
from eqcli.nn.outer_sum import outer_sum
from eqcli.nn.pair_messages import PairedEdges, pair_messages

PAIRS = [(0, 1), (0, 2), (1, 2), (2, 3), (0, 3), (2, 5), (0, 1)]
"""Some atoms have more neighbours than others, atom 4 has none, and 0 and 1 are neighbours twice."""
N, C = 6, 2


def directed() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sender, receiver and pair of the edges, sorted by receiver, and an edge of each pair."""
    edges = sorted((i, j, p) for p, (a, b) in enumerate(PAIRS) for i, j in ((a, b), (b, a)))
    receiver, sender, pair = (torch.tensor(column) for column in zip(*edges, strict=True))
    first = torch.tensor([pair.tolist().index(p) for p in range(len(PAIRS))])
    return sender, receiver, pair, first


def make() -> tuple[Tensor, Tensor, PairedEdges]:
    torch.manual_seed(0)
    sender, receiver, pair, first = directed()
    edges = PairedEdges(MessageEdges(sender, receiver, N), pair, first)
    kind = {"dtype": torch.float64, "requires_grad": True}
    return torch.randn(N, 9, C, **kind), torch.randn(len(PAIRS), 3 * C, **kind), edges


@pytest.mark.parametrize("numbers", [module.numbers_at_once(torch.device("cpu")), 1])
def test_messages_are_sums_over_neighbours(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    """In one piece and in as many as there can be."""
    for name in ("eqcli.nn.pair_messages.numbers_at_once", "eqcli.nn.edge_pieces.numbers_at_once"):
        monkeypatch.setattr(name, lambda device: numbers)
    features, weights, edges = make()
    sender, receiver, pair, _ = directed()
    expected = torch.zeros_like(features).index_add(0, receiver, scale_parts(features[sender], weights[pair]))
    found = pair_messages(features, weights, edges)
    assert torch.allclose(found, expected, rtol=1e-13, atol=1e-14)
    g = torch.randn_like(found)
    for ours, slow in zip(*(torch.autograd.grad(m, (features, weights), g) for m in (found, expected)), strict=True):
        assert torch.allclose(ours, slow, rtol=1e-12, atol=1e-13)


def test_messages_have_derivatives_of_any_order() -> None:
    features, weights, edges = make()
    assert torch.autograd.gradcheck(lambda h, f: pair_messages(h, f, edges), (features, weights))
    assert torch.autograd.gradgradcheck(lambda h, f: pair_messages(h, f, edges), (features, weights))


@pytest.mark.parametrize("numbers", [2**16, 1])
def test_outer_products_are_summed_by_segment(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    monkeypatch.setattr("eqcli.nn.outer_sum.numbers_at_once", lambda device: numbers)
    torch.manual_seed(0)
    segment = torch.tensor([3, 0, 1, 1, 3, 0])
    a, b = (torch.randn(6, k, dtype=torch.float64, requires_grad=True) for k in (3, 4))
    expected = torch.zeros(5, 3, 4, dtype=torch.float64)
    for e, s in enumerate(segment.tolist()):
        expected[s] += torch.outer(a[e], b[e])
    assert torch.allclose(outer_sum(a, b, segment, 5), expected, rtol=1e-13)
    assert torch.autograd.gradcheck(lambda a, b: outer_sum(a, b, segment, 5), (a, b))
    assert torch.autograd.gradgradcheck(lambda a, b: outer_sum(a, b, segment, 5), (a, b))
