from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.irreps import Irreps, blocks, join, natural
from eqcli.nn.attention import AttentionLogits, DotProductLogits, SmoothAttention
from eqcli.nn.envelope import ENVELOPES

RECEIVER = torch.tensor([0, 0, 0, 2])


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("irreps", [natural(2, 4), Irreps("2x0e+4x0o+6x1e")])
def test_is_the_weighted_sum_head_by_head(irreps: Irreps) -> None:
    attention = SmoothAttention(irreps, 2)
    values, logits = numbers(4, irreps.dim), numbers(4, 2, seed=1)
    envelope = torch.tensor([0.8, 0.3, 0.1, 0.5], dtype=torch.float64)
    found = attention(values, logits, envelope, RECEIVER, 3)
    assert not bool(found[1].any()), "a lone atom gets nothing"
    each = envelope[:, None] * torch.exp(envelope[:, None] * logits)
    for atom, edges in ((0, [0, 1, 2]), (2, [3])):
        weights = each[edges] / (1.0 + each[edges].sum(0))  # [edges, heads]
        parts = []
        for block in blocks(values[edges], irreps):
            heads = block.chunk(2, dim=-1)
            parts.append(torch.cat([(weights[:, h, None, None] * heads[h]).sum(0) for h in range(2)], dim=-1))
        torch.testing.assert_close(found[atom], join(parts), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["polynomial", "smoothstep", "bump"])
@pytest.mark.parametrize("others", [0, 2])
def test_is_smooth_where_the_last_or_one_of_many_neighbours_leaves(name: str, others: int) -> None:
    attention, envelope = SmoothAttention("2x0e+2x1o", 2).double(), ENVELOPES[name](1.0)
    values, logits = numbers(others + 1, 8), 20.0 * numbers(others + 1, 2, seed=3)
    receiver = torch.zeros(others + 1, dtype=torch.int64)
    rest = torch.full((others,), 0.4, dtype=torch.float64)

    def value(r: Tensor) -> Tensor:
        found: Tensor = attention(values, logits, envelope(torch.cat([r.view(1), rest])), receiver, 1)
        return found.sum()

    without = attention(values[1:], logits[1:], envelope(rest), receiver[1:], 1).sum()
    r = torch.tensor(1.0 - 1e-6, dtype=torch.float64, requires_grad=True)
    here = value(r)
    (first,) = torch.autograd.grad(here, r, create_graph=True)
    (second,) = torch.autograd.grad(first, r)
    assert float((here - without).detach().abs()) < 1e-12
    assert float(first.detach().abs()) < 1e-7
    assert float(second.abs()) < 1e-3
    beyond = value(torch.tensor(1.1, dtype=torch.float64))
    torch.testing.assert_close(beyond, without, rtol=0, atol=1e-15)


def test_dot_product_logits_are_invariants_of_unit_variance() -> None:
    irreps = Irreps("8x0e+4x1o+16x2e")
    layer = DotProductLogits(irreps, 4)
    query, key = numbers(2000, irreps.dim), numbers(2000, irreps.dim, seed=1)
    logits = layer(query, key)
    assert float(logits.var()) == pytest.approx(1.0, abs=0.05)
    products = blocks(query * key, irreps)
    first = [part[..., :channels].sum((-2, -1)) for part, channels in zip(products, (2, 1, 4), strict=True)]
    torch.testing.assert_close(logits[:, 0], sum(first) / (irreps.dim / 4) ** 0.5, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_logits_do_not_see_the_scale_of_their_scalars() -> None:
    torch.manual_seed(0)
    layer = AttentionLogits(2, 64).double()
    x = numbers(2000, 128)
    torch.testing.assert_close(layer(100.0 * x), layer(x), rtol=1e-3, atol=1e-4)
    assert layer(x).shape == (2000, 2)
    assert 0.5 < float(layer(x).var()) < 1.5


def test_channels_must_be_shared_out_evenly() -> None:
    with pytest.raises(ValueError, match="3x1o cannot be shared out evenly among 2 heads"):
        SmoothAttention("4x0e+3x1o", 2)
