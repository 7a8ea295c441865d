"""Registration of clouds: the motion is found, states what is open, and is refused where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eqcli.engine.registration import Registered, RegistrationSettings, register_clouds
from eqcli.engine.registration_candidates import FALLING
from eqcli.engine.registration_view import View
from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.io.point_cloud import PointCloud, read_cloud
from eqcli.models.pointcloud.matches import Matches
from tests.engine.registration_case import box, errors, halves, moved, scene, turn

TRUTH = np.eye(4)

SETTINGS = RegistrationSettings(voxel=0.08)
"""Coarse, so that a registration takes half a second."""


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two samples of one scene that overlap by 60 %."""
    return halves(scene(3), scene(3, sample=1), 0.6, 5)


@pytest.fixture(scope="module")
def found(pair: tuple[np.ndarray, np.ndarray]) -> Registered:
    return register_clouds(*pair, SETTINGS)


def matrix(result: Registered) -> np.ndarray:
    return result.motion.matrix().numpy()


def test_the_motion_is_found_and_believed(pair: tuple[np.ndarray, np.ndarray], found: Registered) -> None:
    assert found.reliable, found.evidence.reasons
    angle, shift = errors(matrix(found), TRUTH, pair[0])
    assert angle < 0.5
    assert shift < 0.01
    assert found.evidence.inliers == int(found.inliers.sum()) > 5 * found.evidence.expected_by_chance
    assert 0.4 < found.evidence.overlap < 0.8
    assert found.method == "fpfh"
    assert found.refinement == "gicp"
    assert not found.ambiguities


def test_the_automatic_voxel_does_as_well(pair: tuple[np.ndarray, np.ndarray]) -> None:
    result = register_clouds(*pair)
    assert result.reliable, result.evidence.reasons
    assert errors(matrix(result), TRUTH, pair[0])[0] < 0.5


def test_the_covariance_is_of_the_size_of_the_error(found: Registered) -> None:
    error = found.motion.log()
    distance = float(error @ torch.linalg.solve(found.covariance, error))
    assert 0.01 < distance < 60.0


def test_a_turned_source_gives_the_composed_motion(pair: tuple[np.ndarray, np.ndarray], found: Registered) -> None:
    """Grids turn with the clouds: the start has next to no influence."""
    for seed in range(2):
        start = turn(seed)
        other = register_clouds(moved(pair[0], start), pair[1], SETTINGS)
        angle, shift = errors(matrix(other) @ start, matrix(found), pair[0])
        assert other.reliable
        assert angle < 0.02
        assert shift < 1e-3


def test_order_of_points_and_unit_of_length_do_not_matter(
    pair: tuple[np.ndarray, np.ndarray], found: Registered
) -> None:
    rng = np.random.default_rng(0)
    other = register_clouds(
        rng.permutation(pair[0]) * 1000, rng.permutation(pair[1]) * 1000, RegistrationSettings(voxel=80.0)
    )
    assert np.allclose(other.motion.rotation, found.motion.rotation, atol=1e-5)
    assert np.allclose(other.motion.translation, 1000 * found.motion.translation, atol=0.05)
    assert other.covariance[0, 0] == pytest.approx(1e6 * float(found.covariance[0, 0]), rel=0.05)


def test_unrelated_clouds_have_no_reliable_motion() -> None:
    result = register_clouds(scene(11, points=3000), scene(12, points=3000))
    assert not result.reliable
    assert result.evidence.reasons


def test_noise_has_no_reliable_motion() -> None:
    rng = np.random.default_rng(4)
    result = register_clouds(rng.normal(size=(1500, 3)), rng.normal(size=(1500, 3)))
    assert not result.reliable


def test_hopeless_motions_are_not_refined_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute of two large unrelated clouds went there."""
    asked: list[tuple[float, ...]] = []
    usual = View.refine

    def refine(view: View, start: Motion, kind: str, distances: tuple[float, ...], **more: Any) -> Any:
        asked.append(distances)
        return usual(view, start, kind, distances, **more)

    monkeypatch.setattr(View, "refine", refine)
    rng = np.random.default_rng(4)
    result = register_clouds(rng.normal(size=(1500, 3)), rng.normal(size=(1500, 3)))
    assert not result.reliable
    assert asked
    assert set(asked) == {FALLING[:1]}
    assert not bool(torch.isfinite(result.covariance.diagonal()).any())


def test_a_plane_states_what_is_free() -> None:
    rng = np.random.default_rng(2)
    flat = rng.random((2, 2500, 3)) * [4.0, 3.0, 0.001]
    result = register_clouds(moved(flat[0], turn(1)), flat[1])
    assert not result.reliable
    assert result.ambiguities == (result.evidence.reasons[-1],)
    assert "two translations and one turn are free" in result.ambiguities[0]
    assert not bool(torch.isfinite(result.covariance.diagonal()).any())


def test_a_ball_states_that_it_turns_freely() -> None:
    rng = np.random.default_rng(3)
    balls = rng.normal(size=(2, 2500, 3))
    balls /= np.linalg.norm(balls, axis=2, keepdims=True)
    result = register_clouds(balls[0] + 0.02, balls[1], RegistrationSettings(method="icp"))
    assert not result.reliable
    assert result.ambiguities == ("spherical: three turns are free",)


def test_a_brick_fits_in_four_ways() -> None:
    """Two thirds of the motions of a brick are told; none is claimed to be the only one."""
    rng = np.random.default_rng(1)
    size = np.array([3.0, 2.0, 1.2])
    clouds = [box(size, -size / 2, 120.0, rng) for _ in range(2)]
    result = register_clouds(moved(clouds[0], turn(2)), clouds[1])
    assert any("symmetric" in told for told in result.ambiguities) or not result.reliable
    motions = [result.motion, *(other.motion for other in result.alternatives)]
    assert all(errors(abs(m.matrix().numpy() @ turn(2)), TRUTH, clouds[0])[0] < 1.0 for m in motions)


def test_a_cube_that_is_not_believed_is_said_to_be_symmetric() -> None:
    """Each of its 24 motions has few of the matches: without this, the reasons speak of a misfit."""
    rng = np.random.default_rng(1)
    clouds = [box(np.ones(3), np.full(3, -0.5), 500.0, rng) for _ in range(2)]
    result = register_clouds(moved(clouds[0], turn(2)), clouds[1], RegistrationSettings(voxel=0.06))
    assert not result.reliable
    assert result.evidence.overlap > 0.9
    (told,) = result.ambiguities
    assert "symmetric" in told


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (np.zeros((0, 3)), "0 distinct"),
        (np.full((50, 3), np.nan), "0 distinct"),
        (np.ones((500, 3)), "1 distinct"),
        (np.linspace(0, 1, 500)[:, None] * [1.0, 2.0, 3.0], "on one line"),
        (np.ones((5, 2)), "shape"),
    ],
)
def test_clouds_without_a_motion_are_errors(points: np.ndarray, told: str) -> None:
    with pytest.raises(InputError, match=told):
        register_clouds(points, scene(1, points=500))
    with pytest.raises(InputError, match=told):
        register_clouds(scene(1, points=500), points)


def test_the_file_of_a_cloud_without_a_motion_is_named() -> None:
    line = PointCloud(np.linspace(0, 1, 500)[:, None] * [1.0, 2.0, 3.0], path=Path("line.ply"))
    with pytest.raises(InputError, match=r"^line\.ply: all points of the source"):
        register_clouds(line, scene(1, points=500))


@pytest.mark.parametrize("method", ["auto", "icp"])
def test_a_voxel_as_large_as_a_cloud_is_told(method: Any) -> None:
    cloud = scene(1, points=500)
    with pytest.raises(InputError, match=r"a voxel of 1e.09 leaves 1 points of the source") as caught:
        register_clouds(cloud, cloud, RegistrationSettings(method=method, voxel=1e9))
    assert "smaller voxel" in caught.value.hint


def test_points_that_are_not_finite_and_duplicates_change_nothing(
    pair: tuple[np.ndarray, np.ndarray], found: Registered
) -> None:
    source = np.concatenate([pair[0], np.full((10, 3), np.nan)])
    other = register_clouds(PointCloud(points=source), pair[1], SETTINGS)
    assert np.allclose(matrix(other), matrix(found), atol=1e-9)


def test_icp_refines_the_start_and_nothing_else(pair: tuple[np.ndarray, np.ndarray]) -> None:
    near = torch.eye(4, dtype=torch.float64)
    near[0, 3] = 0.05
    settings = RegistrationSettings(method="icp")
    result = register_clouds(*pair, settings, start=Motion.from_matrix(near))
    assert result.reliable
    assert result.method == "icp"
    assert len(result.matches) == 0
    assert errors(matrix(result), TRUTH, pair[0])[0] < 0.5
    far = register_clouds(moved(pair[0], turn(7, shift=0.5)), pair[1], settings)
    assert not far.reliable


class Stub:
    """Features that know the truth of every point, or nothing at all."""

    def __init__(self, right: bool) -> None:
        self.right, self.asked = right, 0

    def matches(
        self, source: np.ndarray, target: np.ndarray, voxel: float, generator: torch.Generator
    ) -> tuple[Matches, dict[str, Any]]:
        self.asked += 1
        x = torch.from_numpy(source[:400])
        noise = 0.01 if self.right else 3.0
        y = x + noise * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        turns = torch.eye(3, dtype=x.dtype).expand(len(x), 3, 3).clone()
        return Matches.of(x, y, rotations=turns), {}


def test_given_features_are_taken_and_the_better_evidence_wins(pair: tuple[np.ndarray, np.ndarray]) -> None:
    good, bad = Stub(True), Stub(False)
    result = register_clouds(*pair, replace(SETTINGS, method="pare-net"), features=good)
    assert result.reliable
    assert result.method == "pare-net"
    assert result.solver == "one-match"
    assert good.asked == 1
    both = register_clouds(*pair, SETTINGS, features=bad)
    assert both.reliable
    assert both.method == "fpfh"
    assert bad.asked == 1
    alone = register_clouds(*pair, replace(SETTINGS, solver="one-match"), features=good)
    assert alone.reliable
    assert alone.method == "pare-net"
    with pytest.raises(InputError, match="needs features"):
        register_clouds(*pair, RegistrationSettings(method="pare-net"))


def test_settings_are_checked() -> None:
    for wrong in ({"method": "magic"}, {"voxel": -1.0}, {"threads": 0}, {"refinement": "hard"}):
        with pytest.raises(InputError):
            RegistrationSettings(**wrong)
    with pytest.raises(InputError, match="solver"):
        register_clouds(scene(1), scene(1, sample=1), replace(RegistrationSettings(), solver="magic"))


@pytest.mark.shared
@pytest.mark.parametrize("seed", [1])
def test_fragments_of_a_kitchen(shared: Path, seed: int) -> None:
    folder = shared / "registration" / "fragments"
    lines = (folder / "benchmark_gt" / "3DMatch" / "7-scenes-redkitchen" / "gt.log").read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if line.split()[:2] == ["0", "4"])
    truth = np.array([[float(value) for value in line.split()] for line in lines[place + 1 : place + 5]])
    source, target = (read_cloud(folder / f"redkitchen_cloud_bin_{i}.ply").points for i in (4, 0))
    start = turn(seed)
    result = register_clouds(moved(source, start), target)
    assert result.reliable, result.evidence.reasons
    angle, shift = errors(matrix(result) @ start, truth, source)
    assert angle < 5.0
    assert shift < 0.2


@pytest.mark.shared
def test_lidar_scans_of_a_street(shared: Path) -> None:
    """Two scans of a car that drives straight on: 0.69 m, hardly any turn."""
    folder = shared / "registration" / "lidar" / "kitti_00"
    scans = [np.fromfile(folder / f"00000{i}.bin", np.float32).reshape(-1, 3).astype(np.float64) for i in (1, 0)]
    start = turn(3, shift=20.0)
    result = register_clouds(moved(scans[0], start), scans[1])
    assert result.reliable, result.evidence.reasons
    motion = matrix(result) @ start
    assert np.linalg.norm(motion[:3, 3] - [0.694, 0.006, 0.007]) < 0.05
    assert errors(motion, TRUTH, np.zeros((1, 3)))[0] < 0.5
