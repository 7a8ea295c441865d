from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.geometry.frames import DEGENERATE, FrameGroup, gram_schmidt_frames, principal_frames, smooth_eigh
from tests.rotations import random_rotation

BATCH = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 1])


def positions(seed: int = 0) -> Tensor:
    return torch.randn(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def energies(x: Tensor) -> Tensor:
    """A function without any symmetry, `[F, N, 3] -> [F, 2]`."""
    weight = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
    atomic = torch.sin(x @ weight) + x[..., 0] ** 3 * x[..., 1] + torch.cosh(0.3 * x[..., 2])
    return atomic.new_zeros(len(x), 2).index_add(1, BATCH, atomic)


def symmetries(group: FrameGroup) -> list[Tensor]:
    turn = random_rotation(4)
    if group in (FrameGroup.O2, FrameGroup.SO2):
        c, s = torch.tensor([0.6, 0.8], dtype=torch.float64)
        turn = torch.eye(3, dtype=torch.float64)
        turn[:2, :2] = torch.stack([torch.stack([c, -s]), torch.stack([s, c])])
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    return [turn, turn @ mirror] if group in (FrameGroup.O3, FrameGroup.O2) else [turn]


@pytest.mark.parametrize(("group", "count"), [("O(3)", 8), ("SO(3)", 4), ("O(2)", 4), ("SO(2)", 2)])
def test_averages_are_invariant_and_equivariant(group: str, count: int) -> None:
    x = positions()
    for matrix in symmetries(FrameGroup(group)):
        results = []
        for moved in (x, x @ matrix.T + torch.tensor([1.0, -2.0, 0.5])):
            frames = principal_frames(moved, BATCH, 2, group=group)
            assert frames.axes.shape == (count, 2, 3, 3)
            local = frames.coordinates(moved, BATCH)
            vectors = torch.stack([local[..., 0] ** 2, local[..., 1], local[..., 2] + 1], dim=-1)
            results.append(
                (
                    frames.average_scalars(energies(local)),
                    frames.average_vectors(vectors, BATCH),
                    frames.average_tensors(vectors.unsqueeze(-1) * local.unsqueeze(-2), BATCH),
                )
            )
        (scalar, vector, tensor), (scalar2, vector2, tensor2) = results
        torch.testing.assert_close(scalar2, scalar, atol=1e-12, rtol=0)
        torch.testing.assert_close(vector2, vector @ matrix.T, atol=1e-12, rtol=0)
        torch.testing.assert_close(tensor2, matrix @ tensor @ matrix.T, atol=1e-12, rtol=0)


def test_the_smaller_group_sees_handedness() -> None:
    x = positions()
    mirrored = x * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    frames = [principal_frames(p, BATCH, 2, group="SO(3)") for p in (x, mirrored)]
    determinants = torch.linalg.det(frames[0].axes)
    torch.testing.assert_close(determinants, torch.ones_like(determinants))
    values = [f.average_scalars(energies(f.coordinates(p, BATCH))) for f, p in zip(frames, (x, mirrored), strict=True)]
    assert float((values[0] - values[1]).abs().max()) > 1e-3


def test_crystals_turn_with_their_cell() -> None:
    x, cell = positions(), torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    rotation = random_rotation(1)
    shapes = [principal_frames(p, BATCH, 2).cells(c) for p, c in ((x, cell), (x @ rotation.T, cell @ rotation.T))]
    # The frames are the same set; their order may differ.
    for b in range(2):
        distance = torch.cdist(shapes[0][:, b].flatten(1), shapes[1][:, b].flatten(1))
        assert float(distance.amin(1).max()) < 1e-12


def test_a_drawn_frame_is_one_of_the_frames() -> None:
    frames = principal_frames(positions(), BATCH, 2)
    drawn = frames.draw(torch.Generator().manual_seed(0))
    assert drawn.axes.shape == (1, 2, 3, 3)
    for b in range(2):
        assert float((frames.axes[:, b] - drawn.axes[0, b]).abs().amax((1, 2)).min()) == 0
    seen = {tuple(frames.draw(torch.Generator().manual_seed(s)).axes[0, 0].flatten().tolist()) for s in range(80)}
    assert len(seen) == 8


def test_forces_through_the_frames_are_right() -> None:
    def energy(x: Tensor) -> Tensor:
        frames = principal_frames(x, BATCH, 2)
        return frames.average_scalars(energies(frames.coordinates(x, BATCH)))

    x = positions().requires_grad_(True)
    assert torch.autograd.gradcheck(energy, x)
    assert torch.autograd.gradgradcheck(energy, x)


def degenerate_positions() -> dict[str, Tensor]:
    cube = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    line = torch.linspace(-1, 1, 6, dtype=torch.float64)[:, None] * torch.tensor([0.0, 1.0, 1.0])
    ring = torch.arange(6, dtype=torch.float64) * torch.pi / 3
    return {
        "octahedron": cube,
        "line": line,
        "benzene ring": torch.stack([ring.cos(), ring.sin(), 0 * ring], 1),
        "coincident": torch.zeros(6, 3, dtype=torch.float64),
    }


@pytest.mark.parametrize("group", list(FrameGroup))
@pytest.mark.parametrize("name", list(degenerate_positions()))
def test_degenerate_structures_are_reported_and_have_finite_gradients(name: str, group: FrameGroup) -> None:
    x = degenerate_positions()[name].requires_grad_(True)
    batch = torch.zeros(6, dtype=torch.long)
    frames = principal_frames(x, batch, 1, group=group)
    if not (name == "line" and group in (FrameGroup.O2, FrameGroup.SO2)):
        assert bool(frames.degenerate)
    loss = frames.coordinates(x, batch).pow(3).sum() + frames.axes.sum()
    (first,) = torch.autograd.grad(loss, x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    assert bool(first.isfinite().all())
    assert bool(second.isfinite().all())
    identity = torch.eye(3, dtype=torch.float64).expand_as(frames.axes)
    torch.testing.assert_close(frames.axes.transpose(-1, -2) @ frames.axes, identity, atol=1e-12, rtol=0)


def test_near_degeneracy_is_reported_from_its_tolerance_on() -> None:
    base = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    batch = torch.zeros(6, dtype=torch.long)
    for stretch, expected in ((0.2 * DEGENERATE, True), (2 * DEGENERATE, False)):
        sizes = torch.tensor([1 + 2 * stretch, 1 + stretch, 1.0], dtype=torch.float64)
        assert bool(principal_frames(base * sizes, batch, 1).degenerate) is expected


def test_eigenvalues_that_are_apart_have_exact_gradients() -> None:
    a = torch.randn(2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_(True)

    def projectors(matrix: Tensor) -> Tensor:
        values, vectors = smooth_eigh(matrix)
        return torch.cat([(vectors[..., :1] @ vectors[..., :1].transpose(-1, -2)).flatten(), values.flatten()])

    assert torch.autograd.gradcheck(projectors, a)
    assert torch.autograd.gradgradcheck(projectors, a)


def test_frames_of_two_vectors() -> None:
    a, b = positions(1), positions(2)
    axes, unclear = gram_schmidt_frames(a, b)
    assert not bool(unclear.any())
    identity = torch.eye(3, dtype=torch.float64).expand(9, 3, 3)
    torch.testing.assert_close(axes.transpose(1, 2) @ axes, identity, atol=1e-14, rtol=0)
    torch.testing.assert_close(torch.linalg.det(axes), torch.ones(9, dtype=torch.float64), atol=1e-14, rtol=0)
    torch.testing.assert_close(axes[..., 0], torch.nn.functional.normalize(a, dim=1), atol=1e-14, rtol=0)
    assert bool(((axes[..., 1] * b).sum(1) > 0).all())
    rotation = random_rotation(6)
    turned, _ = gram_schmidt_frames(a @ rotation.T, b @ rotation.T)
    torch.testing.assert_close(turned, rotation @ axes, atol=1e-13, rtol=0)
    pair = (a[:2].clone().requires_grad_(True), b[:2].clone().requires_grad_(True))
    assert torch.autograd.gradcheck(lambda p, q: gram_schmidt_frames(p, q)[0], pair)
    assert torch.autograd.gradgradcheck(lambda p, q: gram_schmidt_frames(p, q)[0], pair)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("a", "b", "unclear"),
    [
        ([0.0, 0, 0], [1.0, 0, 0], True),
        ([1.0, 2, 3], [0.0, 0, 0], True),
        ([0.0, 0, 0], [0.0, 0, 0], True),
        ([1.0, 2, 3], [2.0, 4, 6], True),
        ([1.0, 2, 3], [-1.0, -2, -3], True),
        ([1.0, 2, 3], [1.0, 2, 3.01], False),
        ([1e-12, 0, 0], [0.0, 1e-12, 0], False),
    ],
)
def test_collinear_and_vanishing_vectors(a: list[float], b: list[float], unclear: bool, dtype: torch.dtype) -> None:
    pair = [torch.tensor(v, dtype=dtype, requires_grad=True) for v in (a, b)]
    axes, found = gram_schmidt_frames(*pair)
    assert bool(found) is unclear
    precision = 1e-14 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(axes.T @ axes, torch.eye(3, dtype=dtype), atol=precision, rtol=0)
    first = torch.autograd.grad(axes.sum(), pair, create_graph=True, allow_unused=True)
    assert all(g is None or bool(g.isfinite().all()) for g in first)
