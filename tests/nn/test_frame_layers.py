"""Layers in the frame of an edge."""

from __future__ import annotations

from itertools import pairwise
from math import cos, sin

import pytest
import torch
from torch import Tensor

from eqcli.geometry.edge_rotation import EdgeRotation
from eqcli.geometry.edge_turn import frame, into_frame, out_of_frame
from eqcli.geometry.products.so2 import SO2Product
from eqcli.geometry.wigner import WignerD
from eqcli.nn.drop import DropPath
from eqcli.nn.frame_activation import FrameGate, FrameS2Activation
from eqcli.nn.frame_linear import FrameLinear, join_orders, split_orders
from eqcli.nn.spherical_mlp import GatedMLP, GridMLP
from tests.rotations import action, random_rotation

SHAPES = [(1, 1), (2, 2), (3, 1), (6, 2)]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rolled(z: Tensor, lmax: int, mmax: int, angle: float = 0.7) -> Tensor:
    """Features in the frame after a turn about the edge."""
    turn = torch.tensor([[cos(angle / 2), 0.0, sin(angle / 2), 0.0]], dtype=torch.float64)
    whole = torch.block_diag(*(d[0] for d in WignerD(lmax).double()(turn)))
    places = [degree * (degree + 1) + m for degree, m in frame(lmax, mmax).rows]
    return torch.einsum("pq,eqc->epc", whole[places][:, places], z)


def roll_error(layer: FrameGate | FrameS2Activation, lmax: int, mmax: int) -> float:
    """Of a turn about the edge before the layer against one behind it, relative."""
    z, scalars = numbers(20, len(frame(lmax, mmax).rows), layer.channels), numbers(20, layer.scalars, seed=1)

    def act(features: Tensor) -> Tensor:
        return join_orders(layer(split_orders(features, lmax, mmax), scalars), layer.channels)

    expected = rolled(act(z), lmax, mmax)
    return float((act(rolled(z, lmax, mmax)) - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize(("lmax", "mmax"), SHAPES)
def test_splitting_by_order_is_undone_by_joining(lmax: int, mmax: int) -> None:
    z = numbers(4, len(frame(lmax, mmax).rows), 3)
    assert torch.equal(join_orders(split_orders(z, lmax, mmax), 3), z)


@torch.no_grad()
@pytest.mark.parametrize("parity", [True, False])
@pytest.mark.parametrize(("lmax", "lmax_out", "mmax"), [(2, 2, 2), (3, 1, 2), (0, 3, 0), (6, 6, 2)])
def test_linear_maps_are_the_convolution_that_is_tested_against_tensor_products(
    lmax: int, lmax_out: int, mmax: int, parity: bool
) -> None:
    torch.manual_seed(0)
    layer = FrameLinear(lmax, mmax, 3, 2, lmax_out=lmax_out, parity=parity).double()
    product = SO2Product(lmax, 3, lmax_out=lmax_out, channels_out=2, mmax=mmax, parity=parity).double()
    rotation = EdgeRotation(torch.nn.functional.normalize(numbers(5, 3), dim=1))
    x, factor = numbers(5, (lmax + 1) ** 2, 3, seed=1), numbers(5, product.factor_numel, seed=2)
    orders = split_orders(into_frame(x, rotation, lmax, mmax), lmax, mmax)[: len(layer.weights)]
    _, found = layer(orders, factor)
    turned = out_of_frame(join_orders(found, 2), rotation, lmax_out, min(mmax, lmax))
    weight = torch.cat([w.flatten() for w in layer.weights])
    expected = product.convolve(x.flatten(1), rotation, weight, factor)
    torch.testing.assert_close(turned.flatten(1), expected, atol=1e-12, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("lmax", "mmax"), SHAPES)
def test_a_gate_commutes_with_turns_about_the_edge(lmax: int, mmax: int) -> None:
    assert roll_error(FrameGate(lmax, mmax, 3), lmax, mmax) < 1e-13


@torch.no_grad()
@pytest.mark.parametrize("separable", [True, False])
def test_the_error_of_the_grid_falls_with_its_resolution(separable: bool) -> None:
    errors = [roll_error(FrameS2Activation(2, 2, 4, n, separable=separable).double(), 2, 2) for n in (4, 8, 16, 32)]
    assert all(finer < coarser / 5 for coarser, finer in pairwise(errors))
    assert errors[0] > 1e-5


@torch.no_grad()
@pytest.mark.parametrize("name", ["gate", "grid"])
def test_perceptrons_of_atoms_turn_with_them(name: str) -> None:
    torch.manual_seed(0)
    layer = (GatedMLP(3, 4, 5, 2) if name == "gate" else GridMLP(3, 4, 5, 2, 40, separable=False)).double()
    x, turn = numbers(6, 16, 4), random_rotation(2)
    plain = layer(x).flatten(1)
    for matrix in (turn, -turn):
        turned = layer((x.flatten(1) @ action(layer.up.irreps_in, matrix).T).view_as(x)).flatten(1)
        expected = plain @ action(layer.down.irreps_out, matrix).T
        assert float((turned - expected).abs().max() / expected.abs().max()) < (1e-13 if name == "gate" else 1e-8)


def test_dropped_paths_keep_the_mean_and_what_must_stay() -> None:
    torch.manual_seed(0)
    drop, batch = DropPath(0.25), torch.arange(2001)
    x = torch.ones(2001, 3, 2)
    found = drop(x, batch, 2001, kept=1)
    assert found.unique().tolist() == pytest.approx([0.0, 1.0, 1 / 0.75])
    assert torch.equal(found[-1], x[-1])
    assert float(found.mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(drop.eval()(x, batch, 2001), x)
