"""Clouds for tests of registration tasks, and an engine that knows which points belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from eqcli.engine import registration
from eqcli.engine.registration import Evidence, Registered, RegistrationSettings
from eqcli.geometry.motions import Motion
from eqcli.io.point_cloud import PointCloud, write_cloud
from eqcli.models.pointcloud.matches import Matches

FloatArray = NDArray[np.float64]
VOXEL = 0.1


def drawn_motion(seed: int) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    matrix[:3, 3] = np.random.default_rng(seed).normal(size=3)
    return matrix


def cloud(seed: int = 0, count: int = 200, **columns: Any) -> PointCloud:
    generator = np.random.default_rng(seed)
    return PointCloud(generator.normal(size=(count, 3)) * [3.0, 2.0, 1.0], **columns)


class StubEngine:
    """Lays points onto the points of the same number; clouds whose points do not fit have no alignment."""

    def __init__(self) -> None:
        self.calls: list[tuple[RegistrationSettings, Any, Any]] = []
        self.ambiguities: tuple[str, ...] = ()

    def __call__(
        self,
        source: PointCloud,
        target: PointCloud,
        settings: RegistrationSettings,
        *,
        features: Any = None,
        start: Any = None,
        report: Any = None,
    ) -> Registered:
        self.calls.append((settings, features, start))
        count = min(len(source), len(target))
        a, b = source.points[:count], target.points[:count]
        turn, _ = Rotation.align_vectors(b - b.mean(0), a - a.mean(0))
        matrix = np.eye(4)
        matrix[:3, :3] = turn.as_matrix()
        matrix[:3, 3] = b.mean(0) - turn.apply(a.mean(0))
        off = np.linalg.norm(a @ matrix[:3, :3].T + matrix[:3, 3] - b, axis=1)
        inliers = torch.from_numpy(off < VOXEL)
        share = float(inliers.double().mean())
        evidence = Evidence(
            matches=count, inliers=int(inliers.sum()), expected_by_chance=1.5, places=9, support=share,
            least_support=share, overlap=share, target_overlap=share, agreement=share, spacing=0.05,
            rmse=float(np.sqrt((off**2).mean())), voxel=VOXEL, threshold=2 * VOXEL, runner_up=0.1, hypotheses=12,
            reasons=("matches agree",) if share > 0.5 else ("the surfaces cross",),
        )  # fmt: skip
        return Registered(
            motion=Motion.from_matrix(torch.from_numpy(matrix)),
            reliable=share > 0.5,
            evidence=evidence,
            covariance=torch.eye(6, dtype=torch.float64) * 1e-6,
            matches=Matches.of(torch.from_numpy(a), torch.from_numpy(b)),
            inliers=inliers,
            ambiguities=self.ambiguities,
            alternatives=(),
            seconds={"solve": 0.25},
            method="fpfh",
            solver=settings.solver or "clique",
            refinement=settings.refinement,
        )


def use_engine(monkeypatch: pytest.MonkeyPatch) -> StubEngine:
    engine = StubEngine()
    monkeypatch.setattr(registration, "register_clouds", engine)
    return engine


def write_pair(folder: Path, seed: int = 1, **columns: Any) -> tuple[Path, Path, FloatArray]:
    """A source and a target that fit exactly, and the motion between them."""
    motion, whole = drawn_motion(seed), cloud(**columns)
    source, target = folder / "source.ply", folder / "target.ply"
    write_cloud(whole, source)
    write_cloud(PointCloud(whole.points @ motion[:3, :3].T + motion[:3, 3]), target)
    return source, target, motion


def write_scans(folder: Path, count: int = 5, *, noise: float = 0.0) -> tuple[list[Path], FloatArray]:
    """Scans of one cloud from different places, and their poses in the frame of the first."""
    generator = np.random.default_rng(3)
    whole, poses = cloud().points, np.stack([np.eye(4), *(drawn_motion(10 + k) for k in range(1, count))])
    paths = []
    for k, pose in enumerate(poses):
        back = np.linalg.inv(pose)
        points = whole @ back[:3, :3].T + back[:3, 3] + noise * generator.normal(size=whole.shape)
        paths.append(folder / f"scan{k}.ply")
        write_cloud(PointCloud(points), paths[-1])
    return paths, poses
