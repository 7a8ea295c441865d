"""Attention that knows distances and angles does not know where things are."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from eqcli.geometry.rotations import random_rotations
from eqcli.nn.geometric_attention import GeometricAttention, GeometricTransformer, PairGeometry, waves


def points(count: int, seed: int) -> Tensor:
    return 10 * torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def features(count: int, seed: int, channels: int = 8) -> Tensor:
    return torch.randn(count, channels, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def awake(layer: nn.Module) -> nn.Module:
    """In float64, with weights where a fresh layer has zeros."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    return layer.double()


def test_pairs_are_embedded_as_their_definition_says() -> None:
    torch.manual_seed(0)
    layer, x = PairGeometry(8, distance=2.0, angle=15.0, triplets=2).double(), points(7, 1)
    found = layer(x)
    for i in range(7):
        order = (x - x[i]).norm(dim=1).argsort()[1:3]
        for j in range(7):
            if i == j:
                continue
            length = (x[j] - x[i]).norm()
            seen = []
            for k in order:
                a, b = x[k] - x[i], x[j] - x[i]
                angle = math.degrees(math.acos(max(-1.0, min(1.0, float(a @ b / a.norm() / b.norm())))))
                seen.append(layer.of_angle(waves(torch.tensor(angle / 15.0, dtype=torch.float64), 8)))
            expected = layer.of_distance(waves(length / 2.0, 8)) + torch.stack(seen).amax(0)
            assert torch.allclose(found[i, j], expected, atol=1e-5)


def test_attention_with_pairs_equals_its_definition() -> None:
    torch.manual_seed(0)
    layer, x, pairs = awake(GeometricAttention(8, 2, geometry=True)), features(5, 1), features(25, 2).view(5, 5, 8)
    y = layer.first_norm(x)
    q, k, v = layer.query(y).view(5, 2, 4), layer.key(y).view(5, 2, 4), layer.value(y).view(5, 2, 4)
    assert layer.pair is not None
    r = layer.pair(pairs).view(5, 5, 2, 4)
    heard = torch.zeros(5, 2, 4, dtype=torch.float64)
    for h in range(2):
        for i in range(5):
            logits = torch.stack([q[i, h] @ (k[j, h] + r[i, j, h]) for j in range(5)]) / 2.0
            heard[i, h] = logits.softmax(0) @ v[:, h]
    hidden = x + layer.join(heard.flatten(1))
    expected = hidden + layer.forward_net(layer.second_norm(hidden))
    assert torch.allclose(layer(x, x, pairs), expected, atol=1e-12)


def test_a_fresh_layer_changes_nothing() -> None:
    layer = GeometricAttention(8, 2, geometry=False).double()
    assert torch.equal(layer(features(5, 1), features(4, 2)), features(5, 1))


def test_the_transformer_does_not_see_motions_and_order() -> None:
    torch.manual_seed(0)
    layer = awake(GeometricTransformer(8, 16, 4, 2, 4.0, 15.0, 3))
    a, b, x, y = features(9, 1), features(6, 2), points(9, 3), points(6, 4)
    first, second = layer(a, b, x, y)
    turn = random_rotations(2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    again = layer(a, b, x @ turn[0].T + 5, y @ turn[1].T - 70)
    assert torch.allclose(again[0], first, atol=1e-9)
    assert torch.allclose(again[1], second, atol=1e-9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(6))
    shuffled = layer(a[order], b, x[order], y)
    assert torch.allclose(shuffled[0], first[order], atol=1e-9)
    assert torch.allclose(shuffled[1], second, atol=1e-9)


def test_one_and_two_points_pass() -> None:
    layer = GeometricTransformer(8, 16, 4, 1, 4.0, 15.0, 3).double()
    for count in (1, 2):
        first, second = layer(features(count, 1), features(1, 2), points(count, 3), points(1, 4))
        assert first.isfinite().all()
        assert second.isfinite().all()
