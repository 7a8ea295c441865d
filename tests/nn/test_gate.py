from __future__ import annotations

import math

import pytest
import torch
from e3nn.nn import Gate as PeerGate

from eqcli.geometry.irreps import Irreps, blocks, from_e3nn, join, to_e3nn
from eqcli.nn.activation import ACTIVATIONS, activation
from eqcli.nn.gate import Gate, ScalarActivation
from eqcli.nn.norm_activation import SOFTENING, NormActivation


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_have_unit_second_moment_and_their_parity(name: str) -> None:
    act = activation(name)
    nodes, weights = (torch.from_numpy(a) for a in _hermite(180))
    assert float((weights * act(nodes) ** 2).sum()) == pytest.approx(1.0, abs=1e-6)
    mirrored = act.function(-nodes)
    same = torch.allclose(mirrored, act.function(nodes), rtol=0, atol=1e-14)
    opposite = torch.allclose(mirrored, -act.function(nodes), rtol=0, atol=1e-14)
    assert act.parity == (1 if same else -1 if opposite else 0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_three_derivatives_of_activations_are_finite_far_out_in_float32(name: str) -> None:
    x = torch.tensor([-1e4, -200.0, -89.0, 0.0, 89.0, 200.0, 1e4], requires_grad=True)
    value = ACTIVATIONS[name].function(x)
    for _ in range(3):
        (value,) = torch.autograd.grad((value + 0.0 * x).sum(), x, create_graph=True)
        assert bool(value.isfinite().all())


def test_an_odd_scalar_needs_a_function_with_parity() -> None:
    assert ScalarActivation("4x0o", ["tanh"]).irreps_out == Irreps("4x0o")
    assert ScalarActivation("4x0o", ["abs"]).irreps_out == Irreps("4x0e")
    with pytest.raises(ValueError, match="silu is neither even nor odd"):
        ScalarActivation("4x0e+4x0o", ["silu", "silu"])
    with pytest.raises(ValueError, match="scalars alone"):
        ScalarActivation("4x1o", ["tanh"])
    with pytest.raises(ValueError, match="1 activations for the 2 entries"):
        ScalarActivation("4x0e+1x0o", ["silu"])
    with pytest.raises(ValueError, match="no activation 'relu'"):
        ScalarActivation("4x0e", ["relu"])


def test_gate_is_the_function_of_e3nn() -> None:
    gated = "2x1o+3x2e"
    own = Gate("4x0e", ["silu"], "5x0e", ["sigmoid"], gated).double()
    peer = PeerGate("4x0e", [torch.nn.functional.silu], "5x0e", [torch.sigmoid], gated).double()
    x = torch.randn(5, own.irreps_in.dim, dtype=torch.float64)
    expected = from_e3nn(peer(to_e3nn(x, own.irreps_in)), own.irreps_out)
    # Its constants come from a random sample of a million.
    torch.testing.assert_close(own(x), expected, rtol=5e-3, atol=0)
    assert own.irreps_out == Irreps("4x0e+2x1o+3x2e")


def test_gates_must_fit_the_channels_that_they_gate() -> None:
    with pytest.raises(ValueError, match="not one gate for each channel"):
        Gate("4x0e", ["silu"], "4x0e", ["sigmoid"], "5x1o")
    with pytest.raises(ValueError, match="gates of both parities"):
        Gate("", [], "2x0e+3x0o", ["sigmoid", "tanh"], "5x1o")
    turned = Gate("", [], "2x0e+3x0o", ["sigmoid", "tanh"], "2x1o+3x1o")
    assert turned.irreps_out == Irreps("2x1o+3x1e")


def test_scalars_alone_need_no_gates() -> None:
    gate = Gate.of("8x0e")
    assert gate.irreps_in == gate.irreps_out == Irreps("8x0e")
    x = torch.randn(3, 8)
    torch.testing.assert_close(gate(x), activation("silu")(x))


def test_norm_activation_multiplies_each_channel_by_a_function_of_its_length() -> None:
    layer = NormActivation("2x0o+3x2e", "sigmoid").double()
    x = torch.randn(4, 17, dtype=torch.float64)
    expected = []
    for part, scale in zip(blocks(x, layer.irreps_in), layer.scales, strict=True):
        length = (part.square().mean(-2, keepdim=True) + SOFTENING**2).sqrt()
        expected.append(scale * part * torch.sigmoid(length))
    torch.testing.assert_close(layer(x), join(expected), rtol=0, atol=1e-14)


def _hermite(n: int):  # type: ignore[no-untyped-def]
    """Gauss-Hermite rule for the mean over a standard normal number, another than that of the code."""
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    return nodes, weights / math.sqrt(2 * math.pi)
