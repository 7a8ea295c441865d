from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from eqcli.engine import kiss_peer
from eqcli.engine.kiss_peer import KissSolver, any_solver, kiss_register, solver_names
from eqcli.errors import InputError, MissingDependency
from eqcli.geometry.motions import Motion, random_rotation
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.solving import SOLVERS
from tests.models.pointcloud.solver_case import THRESHOLD, case, errors, seeded


@pytest.fixture
def library() -> None:
    pytest.importorskip("kiss_matcher", reason="kiss-matcher is not installed")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("outliers", [0.0, 0.6, 0.9])
def test_its_solver_leaves_out_outliers(outliers: float) -> None:
    given = case(1000, outliers=outliers, noise=0.01, seed=1)
    found = KissSolver().solve(given.matches, THRESHOLD, seeded())
    angle, shift = errors(found, given.truth)
    assert angle < 0.5
    assert shift < 0.02
    assert bool(found.inliers[given.good].all())
    assert found.hypotheses == 1


@pytest.mark.usefixtures("library")
def test_neither_far_coordinates_nor_the_unit_matter() -> None:
    given = case(400, outliers=0.6, noise=0.01, seed=2)
    plain = KissSolver().solve(given.matches, THRESHOLD, seeded())
    away = torch.tensor([4e5, -5e6, 100.0], dtype=torch.float64)
    m = given.matches
    far = KissSolver().solve(Matches.of(m.source, m.target + away), THRESHOLD, seeded())
    torch.testing.assert_close(far.motion.translation - away, plain.motion.translation, atol=1e-3, rtol=0)
    large = KissSolver().solve(Matches.of(1000 * m.source, 1000 * m.target), 1000 * THRESHOLD, seeded())
    torch.testing.assert_close(large.motion.translation, 1000 * plain.motion.translation, atol=1.0, rtol=0)


@pytest.mark.usefixtures("library")
def test_without_a_common_motion_few_matches_are_inliers() -> None:
    found = KissSolver().solve(case(200, outliers=1.0, seed=4).matches, THRESHOLD, seeded())
    assert int(found.inliers.sum()) <= 10


@pytest.mark.usefixtures("library")
def test_wrong_matches_are_errors() -> None:
    with pytest.raises(InputError, match="at least 3"):
        KissSolver().solve(case(2).matches, THRESHOLD, seeded())
    with pytest.raises(InputError, match="setting"):
        any_solver("kiss", magic=1)


@pytest.mark.usefixtures("library")
def test_clouds_are_registered_by_its_own_features() -> None:
    rng = np.random.default_rng(0)
    way = rng.normal(size=(20000, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    x, y, z = way.T
    bumps = 0.3 * x * y + 0.2 * z**3 + 0.15 * np.sin(5 * x + 1) + 0.1 * np.cos(7 * y) + 0.08 * np.sin(9 * z + x)
    points = 5 * way * (1 + bumps)[:, None]
    truth = Motion(random_rotation(seeded(1)), torch.tensor([1000.0, -2.0, 1.0], dtype=torch.float64))
    target = truth.apply(torch.from_numpy(points[rng.permutation(20000)[:18000]])).numpy()
    found = kiss_register(points, target, 0.25)
    moved = found.motion.apply(torch.from_numpy(points))
    assert float((moved - truth.apply(torch.from_numpy(points))).norm(dim=1).mean()) < 0.2
    assert found.valid
    assert found.inliers >= 10
    assert len(found.matches) >= found.inliers
    near = (truth.apply(found.matches.source) - found.matches.target).norm(dim=1) < 0.5
    assert float(near.double().mean()) > 0.2
    with pytest.raises(InputError, match="voxel"):
        kiss_register(points, target, 0.0)
    with pytest.raises(InputError, match="finite"):
        kiss_register(points, np.full((10, 3), np.nan), 0.1)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kiss_peer, "find_spec", lambda _: None)
    monkeypatch.delitem(sys.modules, "kiss_matcher", raising=False)
    assert solver_names() == list(SOLVERS)
    with pytest.raises(MissingDependency, match="registration"):
        any_solver("kiss")
    with pytest.raises(MissingDependency):
        kiss_register(np.zeros((9, 3)), np.zeros((9, 3)), 1.0)
    assert any_solver("clique", cliques=3) == SOLVERS["clique"](cliques=3)
