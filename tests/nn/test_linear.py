from __future__ import annotations

import pytest
import torch
from e3nn import o3

from eqcli.geometry.irreps import Irreps, blocks, from_e3nn, natural, to_e3nn
from eqcli.nn.element_linear import DegreeLinear, mix_channels
from eqcli.nn.linear import EquivariantLinear

PAIRS = [
    ("4x0e+4x1o+4x2e", "3x0e+3x1o+3x2e"),
    ("2x0e+3x0o+1x1o+2x0e+5x2e", "1x2e+2x0e+3x1o+2x0o+4x0e"),
    ("2x0e+2x1o", "3x1e+2x1o+2x3o"),
    ("2x0e+3x1o", "3x0e+1x1o"),
    ("2x0e", "2x1o"),
]


def as_e3nn(layer: EquivariantLinear) -> o3.Linear:
    """e3nn's map with the same weights, block by block."""
    other = o3.Linear(layer.irreps_in, layer.irreps_out, biases=layer.bias is not None).double()
    starts_in, starts_out = starts(layer.irreps_in), starts(layer.irreps_out)
    flat = []
    for path in (i for i in other.instructions if i.i_in >= 0):
        matrix = layer.weights[str(layer.irreps_in[path.i_in].ir)]
        rows, columns = path.path_shape
        first, left = starts_in[path.i_in], starts_out[path.i_out]
        flat.append(matrix[first : first + rows, left : left + columns].flatten())
    with torch.no_grad():
        if flat:
            other.weight.copy_(torch.cat(flat))
        if layer.bias is not None:
            other.bias.copy_(layer.bias)
    return other


def starts(irreps: Irreps) -> list[int]:
    """For each entry the channels of its type before it."""
    return [sum(mul for mul, other in irreps[:i] if other == ir) for i, (_, ir) in enumerate(irreps)]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("irreps_in", "irreps_out"), PAIRS)
def test_is_the_function_of_e3nn(irreps_in: str, irreps_out: str, bias: bool) -> None:
    torch.manual_seed(0)
    layer = EquivariantLinear(irreps_in, irreps_out, bias=bias).double()
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    x = torch.randn(5, layer.irreps_in.dim, dtype=torch.float64)
    expected = as_e3nn(layer)(to_e3nn(x, layer.irreps_in))
    torch.testing.assert_close(layer(x), from_e3nn(expected, layer.irreps_out), rtol=0, atol=1e-13)


def test_absent_types_are_zero_and_hold_no_weights() -> None:
    layer = EquivariantLinear("2x0e+2x1o", "3x1e+2x1o")
    out = layer(torch.randn(4, 8))
    assert set(layer.weights) == {"1o"}
    assert not bool(blocks(out, layer.irreps_out)[0].any())
    assert bool(blocks(out, layer.irreps_out)[1].all())


def test_takes_strided_input() -> None:
    torch.manual_seed(0)
    layer = EquivariantLinear(natural(2, 4), natural(2, 3))
    x = torch.randn(36, 5).T
    torch.testing.assert_close(layer(x), layer(x.contiguous()))


def test_mixing_is_one_matrix_for_each_degree() -> None:
    torch.manual_seed(0)
    layer = DegreeLinear(6, 5, 3).double()
    x = torch.randn(7, 16, 6, dtype=torch.float64)
    weight = layer.weight * 6**-0.5
    expected = [x[:, degree**2 : (degree + 1) ** 2] @ weight[degree] for degree in range(4)]
    torch.testing.assert_close(layer(x), torch.cat(expected, dim=1), rtol=0, atol=1e-14)
    assert mix_channels(x[:0], weight.unbind(), [1, 3, 5, 7]).shape == (0, 16, 5)
