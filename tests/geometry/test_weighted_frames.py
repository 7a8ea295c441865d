from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.frames import FrameGroup
from eqcli.geometry.weighted_frames import FIXED, OPEN, WeightedFrames, weighted_frames
from tests.geometry.test_frames import degenerate_positions, symmetries
from tests.rotations import random_rotation

ONE = torch.zeros(6, dtype=torch.long)


def polynomial(x: Tensor, degree: int) -> Tensor:
    """A polynomial of the given degree in the coordinates of points, without symmetry, `[K, N, 3] -> [K]`."""
    directions = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(degree))
    directions = torch.nn.functional.normalize(directions, dim=1)
    projected = x @ directions.T
    mixed = projected[..., 0].pow(degree // 2) * projected[..., 1].pow(degree - degree // 2)
    return projected.pow(degree).sum((1, 2)) + mixed.sum(1)


def averaged(x: Tensor, degree: int, resolution: int = 8, group: str = "O(3)") -> Tensor:
    frames = weighted_frames(x, ONE[: len(x)], 1, group=group, resolution=resolution)
    return (frames.weight * polynomial(x @ frames.axes, degree)).sum()


def stretched(a: float, b: float) -> Tensor:
    """An octahedron whose squares are 1, 1 + a, 1 + a + b, turned."""
    sizes = torch.tensor([1.0, 1.0 + a, 1.0 + a + b], dtype=torch.float64).sqrt()
    return torch.cat([torch.eye(3), -torch.eye(3)]).double() * sizes @ random_rotation(5).T


def test_weights_are_one_in_sum_and_frames_orthogonal() -> None:
    for name, x in degenerate_positions().items():
        for group in FrameGroup:
            frames = weighted_frames(x, ONE, 1, group=group)
            identity = torch.eye(3, dtype=torch.float64).expand_as(frames.axes)
            torch.testing.assert_close(frames.axes.transpose(1, 2) @ frames.axes, identity, atol=1e-13, rtol=0)
            assert float(frames.weight.sum()) == pytest.approx(1.0, abs=1e-14), name
            if group.proper:
                assert float(torch.linalg.det(frames.axes).min()) > 0.99


@pytest.mark.parametrize(
    ("a", "b", "frames"),
    [(0.4, 0.5, 8), (0.0, 0.5, 32), (0.5, 0.0, 32), (0.0, 0.0, 512), (0.0, 0.035, 512 + 32)],
)
@pytest.mark.parametrize("group", ["O(3)", "SO(3)"])
def test_degrees_below_the_resolution_are_averaged_exactly(a: float, b: float, frames: int, group: str) -> None:
    x = stretched(a, b)
    found = weighted_frames(x, ONE, 1, group=group)
    assert len(found.weight) == (frames if group == "O(3)" else frames // 2)
    scale = float(polynomial(x[None], 6).abs())
    for matrix in symmetries(FrameGroup(group)):
        for degree in (1, 2, 6):
            before, after = averaged(x, degree, group=group), averaged(x @ matrix.T, degree, group=group)
            assert abs(float(after - before)) < 1e-13 * scale
    if (a, b) == (0.0, 0.0):
        # The quadrature is no better than it says.
        assert abs(float(averaged(x, 12) - averaged(x @ random_rotation(4).T, 12))) > 1e-6
        assert abs(float(averaged(x, 10, 12) - averaged(x @ random_rotation(4).T, 10, 12))) < 1e-12


@pytest.mark.parametrize(("group", "frames"), [("O(2)", 16), ("SO(2)", 8)])
def test_rings_in_the_plane(group: str, frames: int) -> None:
    x = degenerate_positions()["benzene ring"]
    assert len(weighted_frames(x, ONE, 1, group=group).weight) == frames
    for matrix in symmetries(FrameGroup(group)):
        assert float(averaged(x @ matrix.T, 6, group=group)) == pytest.approx(float(averaged(x, 6, group=group)))


@pytest.mark.parametrize("gap", [0.0, 0.5 * OPEN, OPEN, 0.5 * (OPEN + FIXED), FIXED, 2 * FIXED])
@pytest.mark.parametrize("place", ["upper", "lower", "both"])
def test_averages_are_differentiable_through_equal_moments(gap: float, place: str) -> None:
    a, b = {"upper": (0.5, gap), "lower": (gap, 0.5), "both": (gap, gap)}[place]
    x = stretched(a, b) + 0.01 * torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda y: averaged(y, 5), x, eps=1e-7, atol=1e-5)
    (first,) = torch.autograd.grad(averaged(x, 5), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    assert bool(second.isfinite().all())


def test_averages_are_continuous_where_principal_axes_jump() -> None:
    def both(step: float) -> tuple[float, float]:
        x = degenerate_positions()["octahedron"].clone()
        x[0, 1], x[1, 0] = step, step
        return float(averaged(x, 5)), float(averaged(x, 4, resolution=0))

    (smooth_left, jump_left), (smooth_right, jump_right) = both(-1e-7), both(1e-7)
    assert abs(smooth_right - smooth_left) < 1e-6
    x = degenerate_positions()["octahedron"]
    turned = x @ random_rotation(2).T
    assert abs(float(averaged(x, 4, 0) - averaged(turned, 4, 0))) > 1e-3 or abs(jump_right - jump_left) > 1e-3


def test_a_structure_without_vectors_has_principal_frames() -> None:
    frames = weighted_frames(torch.zeros(0, 3, dtype=torch.float64), ONE[:0], 2)
    assert frames.axes.shape == (16, 3, 3)
    assert frames.structure.tolist() == [0] * 8 + [1] * 8


def test_random_frames_are_unbiased() -> None:
    x = torch.cat([stretched(0.4, 0.5), stretched(0.0, 0.035)])
    batch = torch.cat([ONE, ONE + 1])
    every = weighted_frames(x, batch, 2)
    exact = torch.zeros(2, dtype=torch.float64).index_add(0, every.structure, every.weight * first_axis(every))
    torch.manual_seed(0)
    draws = []
    for _ in range(4000):
        drawn = weighted_frames(x, batch, 2, choice="random")
        assert len(drawn.weight) == 3  # one of its own kind, and one of each of two kinds that share
        draws.append(
            torch.zeros(2, dtype=torch.float64).index_add(0, drawn.structure, drawn.weight * first_axis(drawn))
        )
    values = torch.stack(draws)
    error = values.std(0) / len(values) ** 0.5
    assert bool(((values.mean(0) - exact).abs() < 4 * error).all())


def first_axis(frames: WeightedFrames) -> Tensor:
    direction = torch.tensor([0.2, 0.5, -0.9], dtype=torch.float64)
    return (direction @ frames.axes)[:, 0].exp()


def test_the_first_frame_is_always_the_same() -> None:
    x = stretched(0.4, 0.5)
    one, two = (weighted_frames(x, ONE, 1, choice="first") for _ in range(2))
    assert torch.equal(one.axes, two.axes)
    assert one.weight.tolist() == [1.0]
