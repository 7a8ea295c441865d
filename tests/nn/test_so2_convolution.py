from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.products.so2 import SO2Product
from eqcli.nn.radial import SmoothBasis
from eqcli.nn.so2_convolution import SO2Convolution
from tests.rotations import action, random_rotation

EXACT = 1e-12


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(lmax: int, channels: int, mmax: int) -> SO2Convolution:
    torch.manual_seed(0)
    return SO2Convolution(SO2Product(lmax, channels, mmax=mmax), 6, (16,)).double()


def message(layer: SO2Convolution, x: Tensor, vectors: Tensor) -> Tensor:
    r = vectors.norm(dim=1)
    basis = SmoothBasis("bessel", 5.0, 6).double()
    found: Tensor = layer(x, layer.rotation(vectors / r.unsqueeze(1)), basis(r))
    return found


@torch.no_grad()
@pytest.mark.parametrize(("lmax", "mmax"), [(1, 1), (3, 2), (8, 2)])
def test_is_equivariant_at_the_poles_too(lmax: int, mmax: int) -> None:
    layer = make(lmax, 2, mmax)
    x, vectors = numbers(5, layer.irreps_in.dim), numbers(5, 3, seed=1)
    vectors[0] = torch.tensor([0.0, 2.0, 0.0])
    vectors[1] = torch.tensor([0.0, -2.0, 0.0])
    plain, turn = message(layer, x, vectors), random_rotation(1)
    for matrix in (turn, -turn):
        turned = message(layer, x @ action(layer.irreps_in, matrix).T, vectors @ matrix.T)
        expected = plain @ action(layer.irreps_out, matrix).T
        assert float((turned - expected).abs().max() / expected.abs().max()) < EXACT


@torch.no_grad()
def test_messages_vanish_at_the_cutoff() -> None:
    layer = make(2, 2, 2)
    vectors = torch.tensor([[5.0, 0.0, 0.0], [0.0, 0.0, 6.0], [0.0, 3.0, 0.0]], dtype=torch.float64)
    found = message(layer, numbers(3, layer.irreps_in.dim), vectors)
    assert not bool(found[:2].any())
    assert bool(found[2].any())


def test_has_gradients_to_second_order() -> None:
    layer = make(1, 1, 1)
    x, vectors = numbers(2, 4).requires_grad_(), numbers(2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: message(layer, a, b), (x, vectors), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda a, b: message(layer, a, b), (x, vectors), fast_mode=True)
