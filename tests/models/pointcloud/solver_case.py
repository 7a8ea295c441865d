"""Matches with a known motion, as the tests of solvers use them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.geometry.motions import Motion, random_rotation, rotation_error, translation_error
from eqcli.geometry.rotations import random_rotations
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.solving import Solved

THRESHOLD = 0.1


@dataclass(frozen=True)
class Case:
    matches: Matches
    truth: Motion
    good: Tensor


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def case(
    n: int = 200, *, outliers: float = 0.0, noise: float = 0.0, seed: int = 0, extent: float = 3.0, turn: float = 0.0
) -> Case:
    """`n` matches in a cube of the extent; the outliers' targets are random places of the moved cube.

    Rotations of inliers are the truth, turned by up to `turn` radians; those of outliers are random.
    """
    g = seeded(seed)
    truth = Motion(random_rotation(g), torch.randn(3, generator=g, dtype=torch.float64))
    source = extent * torch.rand(n, 3, generator=g, dtype=torch.float64)
    false = truth.apply(extent * torch.rand(n, 3, generator=g, dtype=torch.float64))
    good = torch.rand(n, generator=g).argsort() >= round(outliers * n)
    target = truth.apply(source) + noise * torch.randn(n, 3, generator=g, dtype=torch.float64)
    target = torch.where(good[:, None], target, false)
    small = Motion.exp(turn * torch.cat([torch.zeros(n, 3), torch.rand(n, 3, generator=g) - 0.5], dim=1).double())
    right = small.rotation @ truth.rotation
    rotations = torch.where(good[:, None, None], right, random_rotations(n, generator=g))
    return Case(Matches.of(source, target, rotations=rotations), truth, good)


def errors(found: Solved, truth: Motion) -> tuple[float, float]:
    """Degrees and length."""
    angle = float(rotation_error(found.motion.rotation, truth.rotation))
    return angle, float(translation_error(found.motion.translation, truth.translation))


def assert_same(found: Motion, wanted: Motion, atol: float = 1e-9) -> None:
    torch.testing.assert_close(found.matrix(), wanted.matrix(), atol=atol, rtol=0)
