"""The frame of a cloud turns with it."""

from __future__ import annotations

import pytest
import torch

from eqcli.errors import InputError
from eqcli.graph.points.principal import principal_frame
from tests.graph.points.clouds import blob, permutation, rotation


@pytest.mark.parametrize("seed", range(8))
def test_turns_and_moves_with_the_cloud(seed):
    x, r, t = blob(200, seed), rotation(seed + 50), torch.tensor([5.0, -2.0, 9.0], dtype=torch.float64)
    one, other = principal_frame(x), principal_frame(x @ r.T + t)
    assert one.determined
    assert torch.allclose(r @ one.axes, other.axes, atol=1e-10)
    assert torch.allclose(r @ one.centre + t, other.centre, atol=1e-12)
    assert torch.allclose(one.local(x), other.local(x @ r.T + t), atol=1e-9)


def test_axes_are_a_right_handed_basis_of_falling_variance():
    x = blob(200)
    frame = principal_frame(x)
    assert torch.allclose(frame.axes.T @ frame.axes, torch.eye(3, dtype=torch.float64), atol=1e-12)
    assert torch.linalg.det(frame.axes) > 0
    local = frame.local(x)
    assert (local.var(0).diff() < 0).all()
    skewness = local.pow(3).mean(0) / local.pow(2).mean(0).pow(1.5)
    assert skewness.abs().sort().values[1] > 0
    assert (skewness[skewness.abs().argsort()[1:]] > 0).all()


def test_order_does_not_matter():
    x = blob(200)
    assert torch.allclose(principal_frame(x).axes, principal_frame(x[permutation(200)]).axes, atol=1e-12)


def test_symmetric_clouds_are_not_determined():
    cube = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    brick = cube * torch.tensor([3.0, 2.0, 1.0])
    line = torch.linspace(0, 1, 9).unsqueeze(1) ** 2 * torch.tensor([[1.0, 2.0, 3.0]])
    for cloud in (cube, brick, line, torch.zeros(1, 3), torch.ones(5, 3)):
        frame = principal_frame(cloud)
        assert not frame.determined
        assert torch.allclose(frame.axes.T @ frame.axes, torch.eye(3, dtype=torch.float64), atol=1e-12)
        assert torch.linalg.det(frame.axes) > 0


def test_a_lopsided_plane_is_determined():
    x, r = blob(200), rotation()
    x[:, 2] = 0
    one, other = principal_frame(x), principal_frame(x @ r.T)
    assert one.determined
    assert other.determined
    assert torch.allclose(r @ one.axes, other.axes, atol=1e-9)


def test_no_points_is_an_error():
    with pytest.raises(InputError, match="no points"):
        principal_frame(torch.zeros(0, 3))
