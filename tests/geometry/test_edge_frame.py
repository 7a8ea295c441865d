"""Frames of edges: right everywhere, and differentiable where frames are usually singular."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.geometry.edge_frame import CUT, align
from eqcli.geometry.rotations import to_matrix
from eqcli.geometry.wigner import WignerD

EXACT = 1e-12

POLE = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
AXES = torch.cat([torch.eye(3), -torch.eye(3)]).double()


def directions(n: int = 200) -> Tensor:
    """The axes, their surroundings at distances down to 1e-12, and random directions."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    near = [AXES + distance * drawn[:6] for distance in (1e-3, 1e-6, 1e-9, 1e-12)]
    return torch.nn.functional.normalize(torch.cat([AXES, *near, drawn]), dim=-1)


@pytest.mark.parametrize("rolled", [False, True])
def test_brings_every_direction_to_the_pole(rolled: bool) -> None:
    r = directions()
    q = align(r, torch.linspace(-4, 4, len(r), dtype=torch.float64) if rolled else None)
    turned = (to_matrix(q) @ r.unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(turned, POLE.expand_as(turned), rtol=0, atol=EXACT)
    assert torch.allclose(q.norm(dim=-1), torch.ones(len(r)).double(), rtol=0, atol=EXACT)


def test_the_roll_turns_about_the_pole() -> None:
    r = directions()[40:50]
    angle = torch.linspace(-1, 2, 10, dtype=torch.float64)
    turn = to_matrix(align(r, angle)) @ to_matrix(align(r)).transpose(-1, -2)
    assert torch.allclose(turn[:, 2, 2], angle.cos(), rtol=0, atol=EXACT)
    assert torch.allclose(turn[:, 0, 2], angle.sin(), rtol=0, atol=EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivatives_to_third_order_are_finite(dtype: torch.dtype) -> None:
    r = directions().to(dtype).requires_grad_()
    weights = torch.tensor([0.3, -1.1, 0.7, 1.9], dtype=dtype)
    value = (align(r) * weights).sum() ** 2
    for _ in range(3):
        (slope,) = torch.autograd.grad(value, r, create_graph=True)
        assert slope.isfinite().all()
        value = (slope * torch.arange(3)).sum()


def test_third_derivative_is_that_of_finite_differences_at_the_axes() -> None:
    """Along great circles through each axis: a frame that is singular there would fail."""
    h = 1e-3
    for axis in AXES:
        start = torch.linalg.cross(axis, torch.tensor([0.3, 0.5, 0.8], dtype=torch.float64))
        start = start / start.norm()

        def on_circle(t: Tensor, axis: Tensor = axis, start: Tensor = start) -> Tensor:
            return align(axis * torch.cos(t) + start * torch.sin(t))

        def derivative(t: Tensor, order: int) -> Tensor:
            if order == 0:
                return on_circle(t)
            return torch.autograd.functional.jacobian(lambda u: derivative(u, order - 1), t, create_graph=True)

        zero = torch.zeros((), dtype=torch.float64)
        exact = derivative(zero, 3)
        steps = [derivative(zero + k * h, 2) for k in (-2, -1, 1, 2)]
        numeric = (steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / (12 * h)
        assert torch.allclose(exact, numeric, rtol=1e-6, atol=1e-6)


def test_is_continuous_off_the_cut() -> None:
    """Around each parallel the frame jumps at the cut alone, and there by a roll alone."""
    for height in (-0.99, -0.5, 0.0, 0.5, 0.99):
        azimuth = torch.linspace(0, 2 * math.pi, 4001, dtype=torch.float64)
        radius = math.sqrt(1 - height**2)
        r = torch.stack([radius * azimuth.cos(), torch.full_like(azimuth, height), -radius * azimuth.sin()], dim=-1)
        matrices = to_matrix(align(r))
        jumps = (matrices[1:] - matrices[:-1]).norm(dim=(1, 2)) > 0.1
        places = azimuth[1:][jumps]
        assert len(places) == (2 if abs(height) < 0.9 else 0)
        distance = (places - CUT) % math.pi
        assert torch.minimum(distance, math.pi - distance).lt(0.01).all()


def test_rotated_harmonics_of_the_direction_have_the_order_zero_alone() -> None:
    from eqcli.geometry.spherical_harmonics import SphericalHarmonics

    r = directions()
    harmonics = SphericalHarmonics(6).double()(r)
    for degree, matrix in enumerate(WignerD(6).double()(align(r))):
        part = harmonics[:, degree**2 : (degree + 1) ** 2]
        turned = (matrix @ part.unsqueeze(-1)).squeeze(-1)
        expected = torch.zeros(2 * degree + 1).double()
        expected[degree] = math.sqrt(2 * degree + 1)
        assert torch.allclose(turned, expected.expand_as(turned), rtol=0, atol=1e-11)
