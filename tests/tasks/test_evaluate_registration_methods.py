"""The methods themselves on small clouds: matches are shared, answers are motions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.errors import InputError, MissingDependency
from eqcli.geometry.motions import Motion
from eqcli.metrics.registration.errors import FloatArray, mean_displacement
from eqcli.models.pointcloud.matches import Matches
from eqcli.tasks.evaluate_registration_hypotheses import MatchesOf
from eqcli.tasks.evaluate_registration_input import PairRules, RegistrationCase, read_case
from eqcli.tasks.evaluate_registration_methods import NAMES, OF_NETWORKS, refinement_of, registration_methods, solved_by
from eqcli.tasks.evaluate_registration_run import register_case
from tests.tasks.evaluate_registration_case import bean, off_by, rigid, write_pair

Matched = Callable[[RegistrationCase], tuple[Matches, float]]


def _case(tmp_path: Path) -> RegistrationCase:
    """Two samples of one surface, many enough for descriptors."""
    pair = write_pair(tmp_path, "p", 1)
    motion = rigid(1)
    back = np.linalg.inv(motion)
    for path, seed, moved in ((pair.source, 2, True), (pair.target, 3, False)):
        points = bean(4000, seed=seed)
        np.save(path, points @ back[:3, :3].T + back[:3, 3] if moved else points)
    return read_case(pair, PairRules(voxel=0.12))


def _matches(case: RegistrationCase, share: float) -> Matches:
    """100 matches of which so large a share is right."""
    assert case.pair.truth is not None
    source = torch.from_numpy(case.source.points[:100])
    target = Motion.from_matrix(torch.from_numpy(case.pair.truth)).apply(source)
    wrong = torch.arange(100) >= round(100 * share)
    target[wrong] = target[wrong].roll(7, 0) + 9.0
    return Matches.of(source, target)


def _apart(case: RegistrationCase, motion: FloatArray) -> float:
    assert case.pair.truth is not None
    return mean_displacement(motion, case.pair.truth, case.source.points)


def test_a_solver_on_matches_finds_the_motion_and_is_charged_for_them(tmp_path: Path) -> None:
    case = _case(tmp_path)
    answer = solved_by(MatchesOf("", lambda one: (_matches(one, 0.4), 100.0), 1.5), "ransac")(case)
    assert answer.motion == pytest.approx(case.pair.truth, abs=1e-6)
    assert answer.inliers is not None
    assert answer.inliers[:40].all()
    assert answer.hypotheses is not None
    assert answer.hypotheses > 0
    assert answer.seconds is not None
    assert answer.seconds > 100


def test_the_classical_methods_register_a_whole_surface(tmp_path: Path) -> None:
    case = _case(tmp_path)
    (method,) = registration_methods(None, ["fpfh-ransac"], [])
    found = register_case(case, [method], refinement_of("gicp"), "gicp")
    assert [one.refinement for one in found] == ["none", "gicp"]
    assert not any(one.failure for one in found)
    coarse, fine = found
    assert coarse.errors is not None
    assert fine.errors is not None
    assert fine.errors.rotation < max(2.0, coarse.errors.rotation)
    assert fine.seconds >= coarse.seconds
    assert 0 < coarse.inlier_ratio <= 1


def test_methods_of_the_same_features_share_their_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eqcli.engine.registration_features import FpfhFeatures

    case, other = _case(tmp_path), _case(tmp_path)
    calls: list[Any] = []

    def matches(self: FpfhFeatures, source: Any, target: Any, *rest: Any) -> tuple[Matches, dict[str, object]]:
        calls.append(source)
        return _matches(case, 0.5), {}

    monkeypatch.setattr(FpfhFeatures, "matches", matches)
    methods = registration_methods(None, ["fpfh-ransac", "fpfh-clique"], [])
    first = [method.solve(case).seconds for method in methods]
    assert len(calls) == 1
    assert all(seconds is not None for seconds in first)
    methods[1].solve(other)
    assert len(calls) == 2


def test_refinement_brings_a_motion_nearer(tmp_path: Path) -> None:
    case = _case(tmp_path)
    for name in ("gicp", "point-to-plane", "point-to-point"):
        refine = refinement_of(name)
        assert refine is not None
        start = off_by(8.0, 0.1)(case).motion
        before, after = (_apart(case, motion) for motion in (start, refine(case, start)))
        assert after < 0.5 * before
    assert refinement_of("none") is None
    with pytest.raises(InputError, match="unknown refinement"):
        refinement_of("best")


def test_without_a_model_the_classical_methods_are_taken() -> None:
    names = [method.name for method in registration_methods(None, None, [])]
    assert set(names) <= {NAMES[name] for name in NAMES if name not in OF_NETWORKS}
    assert NAMES["fpfh-ransac"] in names


def test_a_package_that_is_absent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eqcli.engine.kiss_peer.kiss_available", lambda: False)
    warnings: list[str] = []
    names = [method.name for method in registration_methods(None, None, warnings)]
    assert NAMES["kiss"] not in names
    assert "KISS-Matcher was left out" in warnings[0]
    assert "pip install 'eqcli[registration]'" in warnings[0]
    with pytest.raises(MissingDependency):
        registration_methods(None, ["kiss"], [])
