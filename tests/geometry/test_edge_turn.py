from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from eqcli.geometry.edge_frame import align
from eqcli.geometry.edge_rotation import EdgeRotation
from eqcli.geometry.edge_turn import frame, into_frame, out_of_frame
from eqcli.geometry.wigner import WignerD

SHAPES = [(1, 1), (2, 0), (3, 2), (6, 2), (7, 7)]


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def directions(n: int) -> Tensor:
    found = torch.nn.functional.normalize(numbers(n, 3, seed=1), dim=1)
    # The poles, and the equator where the roll jumps.
    found[:3] = torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.6, 0.0, 0.8]], dtype=torch.float64)
    return found


def nonlinear(z: Tensor, lmax: int, mmax: int) -> Tensor:
    """Something that commutes with turns about the pole: products of scalars, and of orders m with their length."""
    rows, scalars = frame(lmax, mmax).rows, frame(lmax, mmax).count(0)
    strength = 1.0 + torch.sin(z[:, :scalars].sum(1))
    squares = z.square()
    found = []
    for degree, m in rows:
        length = squares[:, rows.index((degree, m))] + squares[:, rows.index((degree, -m))]
        found.append(z[:, rows.index((degree, m))] * strength * torch.cos(length))
    return torch.stack(found, dim=1)


def by_frame(x: Tensor, n: Tensor, lmax: int, mmax: int) -> Tensor:
    n = torch.nn.functional.normalize(n, dim=1)
    rotation = EdgeRotation(n)
    return out_of_frame(nonlinear(into_frame(x, rotation, lmax, mmax), lmax, mmax), rotation, lmax, mmax)


def by_angles(x: Tensor, n: Tensor, lmax: int, mmax: int) -> Tensor:
    """The same with Wigner matrices that are differentiated as they stand."""
    wigner = WignerD(lmax).double()(align(torch.nn.functional.normalize(n, dim=1)))
    blocks = torch.stack([torch.block_diag(*each) for each in zip(*wigner, strict=True)])
    d = blocks[:, [degree * (degree + 1) + m for degree, m in frame(lmax, mmax).rows]]
    return torch.bmm(d.transpose(1, 2), nonlinear(torch.bmm(d, x), lmax, mmax))


@pytest.mark.parametrize(("lmax", "mmax"), SHAPES)
def test_turning_there_and_back_keeps_the_orders(lmax: int, mmax: int) -> None:
    z, rotation = numbers(5, len(frame(lmax, mmax).rows), 3), EdgeRotation(directions(5))
    back = into_frame(out_of_frame(z, rotation, lmax, mmax), rotation, lmax, mmax)
    torch.testing.assert_close(back, z, atol=1e-12, rtol=0)


def test_the_direction_itself_becomes_the_pole() -> None:
    n = directions(6)
    x = torch.cat([torch.zeros(6, 1, 1, dtype=torch.float64), n.unsqueeze(2)], dim=1)
    inside = into_frame(x, EdgeRotation(n), 1, 1)
    expected = torch.zeros(6, 4, 1, dtype=torch.float64)
    expected[:, frame(1, 1).rows.index((1, 0))] = 1.0
    torch.testing.assert_close(inside, expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize(("lmax", "mmax"), SHAPES)
def test_three_orders_of_derivatives_are_those_of_wigner_matrices(lmax: int, mmax: int) -> None:
    probe = numbers(6, (lmax + 1) ** 2, 2, seed=2)

    def derivatives(function: Callable[..., Tensor]) -> list[Tensor]:
        x, n = numbers(6, (lmax + 1) ** 2, 2).requires_grad_(), directions(6).requires_grad_()
        found = [function(x, n, lmax, mmax)]
        energy = (found[0] * probe).sum()
        for _ in range(3):
            gradients = torch.autograd.grad(energy, (x, n), create_graph=True)
            found += gradients
            energy = sum((g * torch.linspace(-1, 2, g.numel()).view_as(g)).sum() for g in gradients)
        return found

    for found, expected in zip(derivatives(by_frame), derivatives(by_angles), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10 * float(expected.detach().abs().max()))


def test_lower_orders_are_rows_of_the_higher() -> None:
    shared, fresh = EdgeRotation(directions(4), 6, 3), EdgeRotation(directions(4))
    for found, expected in zip(shared.matrices(6, 1), fresh.matrices(6, 1), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)
