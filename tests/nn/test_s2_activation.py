from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from eqcli.nn.activation import activation
from eqcli.nn.s2_activation import S2Activation, SeparableS2Activation
from tests.rotations import full_representation, random_rotation


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def symmetry_error(layer: S2Activation, lmax: int) -> float:
    x = numbers(8, (lmax + 1) ** 2, 4)
    worst = 0.0
    for seed in (1, 2, 3):
        d = full_representation(random_rotation(seed), lmax)
        plain, turned = d @ layer(x), layer(d @ x)
        worst = max(worst, float((plain - turned).norm() / plain.norm()))
    return worst


@pytest.mark.parametrize("lmax", [2, 4, 6])
def test_symmetry_error_falls_with_the_resolution(lmax: int) -> None:
    resolutions = [factor * (lmax + 2) for factor in (1, 2, 4)]
    errors = [symmetry_error(S2Activation(lmax, resolution).double(), lmax) for resolution in resolutions]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_a_linear_function_is_exact() -> None:
    layer = S2Activation(4, 6, "identity").double()
    x = numbers(3, 25, 2)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=1e-13)
    assert symmetry_error(layer, 4) < 1e-13


@pytest.mark.parametrize("lmax", [2, 6])
@pytest.mark.parametrize("name", ["silu", "tanh", "abs"])
def test_every_degree_keeps_unit_variance(name: str, lmax: int) -> None:
    layer = S2Activation(lmax, name=name).double()
    out = layer(numbers(1000, (lmax + 1) ** 2, 4))
    for degree in range(lmax + 1):
        part = out[:, degree**2 : (degree + 1) ** 2]
        assert float(part.square().mean()) == pytest.approx(1.0, abs=0.1)


def test_separable_activation_takes_scalars_from_their_branch_and_the_rest_from_the_sphere() -> None:
    layer, sphere = SeparableS2Activation(3).double(), S2Activation(3).double()
    scalars, x = numbers(5, 2), numbers(5, 16, 2)
    out = layer(scalars, x)
    torch.testing.assert_close(out[:, 0], activation("silu")(scalars))
    torch.testing.assert_close(out[:, 1:], sphere(x)[:, 1:])


def test_gradients_to_second_order_and_one_graph() -> None:
    layer = SeparableS2Activation(2, 6).double()
    inputs = tuple(t.requires_grad_() for t in (numbers(2, 2), numbers(2, 9, 2)))
    assert torch.autograd.gradcheck(layer, inputs)
    assert torch.autograd.gradgradcheck(layer, inputs)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*inputs), layer(*inputs), rtol=0, atol=1e-13)


def test_is_made_in_milliseconds() -> None:
    S2Activation(6)
    begun = time.perf_counter()
    S2Activation(6)
    assert time.perf_counter() - begun < 0.1, "constants are computed anew every time"
