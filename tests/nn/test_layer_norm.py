from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.irreps import Irreps, blocks, join, natural
from eqcli.nn.layer_norm import EquivariantLayerNorm, NormScope


def by_loops(x: Tensor, irreps: Irreps, scope: str, centre: bool, epsilon: float) -> Tensor:
    """The definition, entry by entry; every type stands in one place."""
    parts = blocks(x, irreps)
    if centre:
        parts = [
            part - part.mean(-1, keepdim=True) if ir.l == 0 and ir.p == 1 else part
            for part, (_, ir) in zip(parts, irreps, strict=True)
        ]
    squares = [part.square().mean((-2, -1)) for part in parts]
    shared = [scope == "joint" or (scope == "separable" and ir.l > 0) for _, ir in irreps]
    members = [square for square, s in zip(squares, shared, strict=True) if s]
    together = torch.stack(members).mean(0) if members else x.new_zeros(())
    found = []
    for part, square, s in zip(parts, squares, shared, strict=True):
        found.append(part / ((together if s else square) + epsilon).sqrt()[..., None, None])
    return join(found)


@pytest.mark.parametrize("scope", list(NormScope))
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("irreps", [natural(3, 4), Irreps("3x0e+2x0o+4x1o+1x1e+2x3e")])
def test_agrees_with_the_definition(irreps: Irreps, centre: bool, scope: str) -> None:
    layer = EquivariantLayerNorm(irreps, scope, centre=centre, epsilon=1e-3).double()
    x = torch.randn(5, irreps.dim, dtype=torch.float64)
    torch.testing.assert_close(layer(x), by_loops(x, irreps, scope, centre, 1e-3), rtol=0, atol=1e-13)


def test_learned_factors_belong_to_channels_and_shifts_to_true_scalars() -> None:
    irreps = Irreps("2x0e+1x0o+2x1o")
    layer = EquivariantLayerNorm(irreps, "joint").double()
    x = torch.randn(3, irreps.dim, dtype=torch.float64)
    plain = layer(x)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
        layer.bias.copy_(torch.tensor([10.0, 20.0]))
    factors = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 4.0, 5.0, 4.0, 5.0])
    shifts = torch.tensor([10.0, 20.0, 0, 0, 0, 0, 0, 0, 0])
    torch.testing.assert_close(layer(x), plain * factors + shifts, rtol=0, atol=1e-13)


def test_one_type_in_two_places_is_one_type() -> None:
    split, whole = (EquivariantLayerNorm(irreps, "degree").double() for irreps in ("2x1o+3x1o", "5x1o"))
    x = torch.randn(4, 15, dtype=torch.float64)
    first, second = blocks(x, Irreps("2x1o+3x1o"))
    expected = whole(torch.cat([first, second], -1).flatten(-2)).unflatten(-1, (3, 5))
    torch.testing.assert_close(split(x), join(list(expected.split([2, 3], -1))), rtol=0, atol=1e-13)


def test_scale_of_the_input_does_not_matter() -> None:
    layer = EquivariantLayerNorm(natural(2, 8), "separable", epsilon=1e-12).double()
    x = torch.randn(4, 72, dtype=torch.float64)
    torch.testing.assert_close(layer(1e3 * x), layer(x), rtol=1e-9, atol=0)
