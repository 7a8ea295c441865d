"""Layers of vectors turn with them; what they make invariant stays."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from eqcli.geometry.rotations import random_rotations
from eqcli.nn.vector_neurons import InvariantHead, VectorLeakyReLU, VectorLinear, VectorNorm, orthonormal, unit


@pytest.fixture
def vectors() -> Tensor:
    return torch.randn(20, 3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def turn() -> Tensor:
    return random_rotations(1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)[0]


@pytest.mark.parametrize("layer", [VectorLinear(6, 4), VectorLeakyReLU(6), VectorNorm(6)])
def test_layers_commute_with_rotations(layer: nn.Module, vectors: Tensor, turn: Tensor) -> None:
    layer = layer.double()
    assert torch.allclose(layer(turn @ vectors), turn @ layer(vectors), atol=1e-12)


def test_the_activation_cuts_against_its_direction_alone(vectors: Tensor) -> None:
    layer = VectorLeakyReLU(6, slope=0.0).double()
    direction = layer.direction(vectors)
    along = (layer(vectors) * direction).sum(-2)
    assert (along > -1e-6).all()
    kept = (vectors * direction).sum(-2) >= 0
    assert torch.equal(layer(vectors).transpose(1, 2)[kept], vectors.transpose(1, 2)[kept])


def test_the_head_is_invariant_and_sees_mirrors(vectors: Tensor, turn: Tensor) -> None:
    torch.manual_seed(0)
    head = InvariantHead(6).double()
    here = head(vectors)
    assert here.shape == (20, InvariantHead.size(6))
    assert torch.allclose(head(turn @ vectors), here, atol=1e-11)
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    assert (head(mirror @ vectors) - here).abs().max() > 0.1


def test_frames_are_right_handed(vectors: Tensor) -> None:
    frame = orthonormal(vectors[..., :2])
    assert torch.allclose(frame.transpose(1, 2) @ frame, torch.eye(3, dtype=torch.float64).expand(20, 3, 3))
    assert torch.allclose(torch.linalg.det(frame), torch.ones(20, dtype=torch.float64))


def test_vectors_of_no_length_stay_so() -> None:
    zero = torch.zeros(4, 3, 2, dtype=torch.float64, requires_grad=True)
    made = unit(zero, dim=-2)
    made.sum().backward()
    assert torch.equal(made, torch.zeros_like(made))
    assert zero.grad is not None
    assert zero.grad.isfinite().all()
