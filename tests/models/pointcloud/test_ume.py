from __future__ import annotations

import pytest
import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion, random_rotation, rotation_error
from eqcli.models.pointcloud.solving import make_solver
from eqcli.models.pointcloud.ume import (
    column_spaces,
    subspace_distances,
    ume_matches,
    ume_matrices,
    ume_matrix,
    ume_motion,
)
from tests.models.pointcloud.solver_case import seeded

MOTION = Motion(random_rotation(seeded(3)), torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64))


def cloud(n: int = 300, channels: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points in a cube and positive features that belong to them."""
    g = seeded(seed)
    points = torch.rand(n, 3, generator=g, dtype=torch.float64)
    waves = torch.randn(3, channels, generator=g, dtype=torch.float64) * 4
    return points, 1 + torch.sin(points @ waves)


def test_the_matrix_is_the_sum_over_points() -> None:
    points, colours = cloud(20)
    wanted = torch.zeros(8, 4, dtype=torch.float64)
    for x, f in zip(points, colours, strict=True):
        wanted += f[:, None] * torch.cat([torch.ones(1, dtype=torch.float64), x])
    torch.testing.assert_close(ume_matrix(points, colours), wanted / colours.sum())


def test_matrices_of_balls_are_those_of_the_points_within() -> None:
    points, colours = cloud()
    centres = points[:5] + 0.01
    found = ume_matrices(points, colours, centres, 0.3)
    for centre, matrix in zip(centres, found, strict=True):
        near = (points - centre).norm(dim=1) <= 0.3
        torch.testing.assert_close(matrix, ume_matrix(points[near] - centre, colours[near]))


def test_a_motion_leaves_the_column_space_and_is_found_from_the_moments() -> None:
    points, colours = cloud()
    a, b = ume_matrix(points, colours), ume_matrix(MOTION.apply(points), colours)
    distance = subspace_distances(column_spaces(a[None]), column_spaces(b[None]))
    assert float(distance) < 1e-6
    found, determined = ume_motion(a, b)
    assert bool(determined)
    torch.testing.assert_close(found.matrix(), MOTION.matrix(), atol=1e-10, rtol=0)


def test_another_density_leaves_the_motion_nearly_as_it_is() -> None:
    points, colours = cloud(4000)
    half = torch.rand(4000, generator=seeded(1)) < 0.5
    found, _ = ume_motion(ume_matrix(points[half], colours[half]), ume_matrix(MOTION.apply(points), colours))
    assert float(rotation_error(found.rotation, MOTION.rotation)) < 2
    assert float((found.translation - MOTION.translation).norm()) < 0.05


def test_distances_are_those_of_the_projections() -> None:
    g = seeded()
    a, b = (column_spaces(torch.randn(n, 9, 4, generator=g, dtype=torch.float64)) for n in (3, 5))
    found = subspace_distances(a, b)
    for i in range(3):
        for j in range(5):
            gap = a[i] @ a[i].T - b[j] @ b[j].T
            assert float(found[i, j]) == pytest.approx(float(gap.norm()) / 2**0.5)
    apart = torch.eye(9, dtype=torch.float64)
    assert float(subspace_distances(apart[None, :, :4], apart[None, :, 4:8])) == pytest.approx(2.0)


def test_a_flat_ball_has_a_smaller_space_and_still_no_distance_from_itself() -> None:
    points, colours = cloud()
    flat = points * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    basis = column_spaces(ume_matrix(flat, colours)[None])
    assert float(basis.square().sum()) == pytest.approx(3.0)
    assert float(subspace_distances(basis, basis)) < 1e-6


def test_one_colour_alone_determines_no_rotation() -> None:
    points, _ = cloud()
    plain = torch.ones(300, 8, dtype=torch.float64)
    a = ume_matrix(points, plain)
    _, determined = ume_motion(a, a)
    assert not bool(determined)


def test_matches_of_a_moved_cloud_carry_its_rotation() -> None:
    points, colours = cloud(2000)
    keys = points[(points - 0.5).abs().amax(1) < 0.3][:60]
    order = torch.randperm(60, generator=seeded(5))
    target = (MOTION.apply(points), colours, MOTION.apply(keys[order]))
    found = ume_matches((points, colours, keys), target, 0.2)
    assert len(found) == 60
    assert torch.equal(order[found.target_index], found.source_index)
    assert found.rotations is not None
    torch.testing.assert_close(found.rotations, MOTION.rotation.expand(60, 3, 3), atol=1e-8, rtol=0)
    torch.testing.assert_close(found.target, MOTION.apply(found.source), atol=1e-9, rtol=0)
    solved = make_solver("one-match").solve(found, 0.02, seeded())
    torch.testing.assert_close(solved.motion.matrix(), MOTION.matrix(), atol=1e-8, rtol=0)
    assert len(ume_matches((points, colours, keys), target, 0.2, count=7)) == 7


def test_matches_bear_noise_and_thinning() -> None:
    points, colours = cloud(4000)
    keys = points[(points - 0.5).abs().amax(1) < 0.3][:80]
    g = seeded(2)
    kept = torch.rand(4000, generator=g) < 0.7
    noisy = MOTION.apply(points[kept]) + 0.003 * torch.randn(int(kept.sum()), 3, generator=g, dtype=torch.float64)
    found = ume_matches((points, colours, keys), (noisy, colours[kept], MOTION.apply(keys)), 0.25)
    right = found.source_index == found.target_index
    assert float(right.double().mean()) > 0.8
    assert found.rotations is not None
    turn = rotation_error(found.rotations[right], MOTION.rotation.expand(int(right.sum()), 3, 3))
    assert float(turn.median()) < 6


def test_wrong_input_is_an_error() -> None:
    points, colours = cloud(20)
    with pytest.raises(InputError, match="at least 4"):
        ume_matrix(points, colours[:, :3])
    with pytest.raises(InputError, match="no point"):
        ume_matrices(points, colours, points[:1] + 10, 0.1)
    with pytest.raises(InputError, match="positive sum"):
        ume_matrix(points, -colours)
