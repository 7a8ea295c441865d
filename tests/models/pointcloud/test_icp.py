from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion, random_rotation, rotation_error, translation_error
from eqcli.models.pointcloud.covariance import point_information
from eqcli.models.pointcloud.icp import Icp, icp
from tests.models.pointcloud.solver_case import seeded

KINDS = ("point-to-point", "point-to-plane")


def body(n: int = 1500, seed: int = 0) -> Tensor:
    """A sample of a bumpy sphere of radius about 1 without symmetry."""
    way = torch.nn.functional.normalize(torch.randn(n, 3, generator=seeded(seed), dtype=torch.float64), dim=1)
    x, y, z = way.unbind(1)
    radius = 1 + 0.3 * x * y + 0.2 * z**3 + 0.15 * torch.sin(3 * x + 1) + 0.1 * torch.cos(4 * y)
    return way * radius[:, None]


TRUTH = Motion(random_rotation(seeded(1)), torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64))
NEARBY = TRUTH.then(Motion.exp(torch.tensor([0.03, -0.02, 0.02, 0.04, -0.03, 0.03], dtype=torch.float64)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_points_come_back_exactly(kind: str) -> None:
    found = icp(body(), TRUTH.apply(body()), NEARBY, kind, distance=0.3)
    torch.testing.assert_close(found.motion.matrix(), TRUTH.matrix(), atol=1e-7, rtol=0)
    assert found.converged
    assert found.overlap == 1.0
    assert found.rmse < 1e-7


def test_planes_bring_two_samples_together_better_than_points() -> None:
    errors = []
    for kind in KINDS:
        found = icp(body(seed=1), TRUTH.apply(body(seed=2)), NEARBY, kind, distance=0.3)
        errors.append(float(rotation_error(found.motion.rotation, TRUTH.rotation)))
    assert errors[1] < 0.15
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("kind", KINDS)
def test_turning_either_cloud_composes(kind: str) -> None:
    source, target = body(seed=1), TRUTH.apply(body(seed=2))
    plain = icp(source, target, NEARBY, kind, distance=0.3)
    extra = Motion(random_rotation(seeded(4)), torch.tensor([10.0, 2.0, 3.0], dtype=torch.float64))
    turned = icp(source, extra.apply(target), NEARBY.then(extra), kind, distance=0.3)
    torch.testing.assert_close(turned.motion.matrix(), plain.motion.then(extra).matrix(), atol=1e-6, rtol=0)
    back = extra.inverse().adjoint()
    torch.testing.assert_close(turned.information, back.T @ plain.information @ back, rtol=1e-4, atol=1.0)
    turned = icp(extra.apply(source), target, extra.inverse().then(NEARBY), kind, distance=0.3)
    torch.testing.assert_close(extra.then(turned.motion).matrix(), plain.motion.matrix(), atol=1e-6, rtol=0)


def test_trimming_ignores_what_has_no_counterpart() -> None:
    """A lump on the source within the distance pulls the plain motion away, and the trimmed one less."""
    source, target = body(seed=0), TRUTH.apply(body(seed=0))
    lump = source[source[:, 2] > 0.75]
    source = torch.cat([source, lump * 1.15])
    errors = []
    for keep in (1.0, 0.9):
        found = icp(source, target, NEARBY, "point-to-plane", distance=0.4, keep=keep)
        errors.append(float(translation_error(found.motion.translation, TRUTH.translation)))
    assert errors[1] < errors[0] / 5


def test_the_information_of_points_is_that_of_their_residuals() -> None:
    target = TRUTH.apply(body()) + 0.003 * torch.randn(1500, 3, generator=seeded(3), dtype=torch.float64)
    found = icp(body(), target, TRUTH, distance=0.05)
    wanted = point_information(found.motion.apply(body()), torch.ones(1500, dtype=torch.float64)) / 0.003**2
    torch.testing.assert_close(found.information, wanted, rtol=0.15, atol=0.05 * float(wanted.diagonal().min()))


def test_a_plane_leaves_three_motions_free_and_at_rest() -> None:
    flat = torch.rand(400, 3, generator=seeded(), dtype=torch.float64)
    flat[:, 2] = 0
    start = Motion.exp(torch.tensor([0.0, 0.0, 0.05, 0.02, 0.01, 0.0], dtype=torch.float64))
    found = icp(flat, flat, start, "point-to-plane", distance=0.5)
    values = torch.linalg.eigvalsh(found.information)
    assert int((values > 1e-6 * values[-1]).sum()) == 3
    assert float(found.motion.apply(flat)[:, 2].abs().max()) < 1e-9
    assert float(found.motion.translation[:2].norm()) < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_clouds_without_overlap_leave_the_start_as_it_is(kind: str) -> None:
    start = Motion(torch.eye(3, dtype=torch.float64), torch.tensor([50.0, 0.0, 0.0], dtype=torch.float64))
    found = icp(body(), body(), start, kind, distance=0.2)
    torch.testing.assert_close(found.motion.matrix(), start.matrix())
    assert not found.converged
    assert found.overlap == 0.0
    assert math.isinf(found.rmse)
    assert not bool(found.information.any())


def test_wrong_input_is_an_error() -> None:
    with pytest.raises(InputError, match="at least 6"):
        icp(body(5), body(), TRUTH, distance=0.1)
    with pytest.raises(InputError, match="finite"):
        icp(body(), torch.full((10, 3), math.nan), TRUTH, distance=0.1)
    with pytest.raises(InputError, match="one place"):
        icp(body(), torch.ones(10, 3), TRUTH, distance=0.1)
    with pytest.raises(InputError, match="no refinement"):
        icp(body(), body(), TRUTH, "gicp", distance=0.1)
    with pytest.raises(InputError, match="share"):
        icp(body(), body(), TRUTH, distance=0.1, keep=0.0)
    with pytest.raises(InputError, match="distance"):
        Icp(body(), body()).refine(TRUTH, distance=-1.0)
