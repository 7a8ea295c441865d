"""Point clouds on the pretended device: neighbours without trees, what is made of them, refinement and solvers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from eqcli.geometry.motions import Motion
from eqcli.graph.points.normals import local_frames, normals
from eqcli.graph.points.principal import principal_frame
from eqcli.graph.points.sampling import farthest_points
from eqcli.graph.points.search import nearest, neighbour_blocks, within
from eqcli.graph.points.voxels import voxel_means
from eqcli.models.pointcloud.fpfh import fpfh
from eqcli.models.pointcloud.icp import icp
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.matching import mutual_matches
from eqcli.models.pointcloud.solving import SOLVERS, make_solver
from tests.contracts.test_pointcloud import halves
from tests.pretended.device import pretending
from tests.pretended.tensor import OnDevice
from tests.rotations import random_rotation

SOURCE, TARGET = (cloud[:400] for cloud in halves())
OUTWARD = torch.nn.functional.normalize(TARGET, dim=1)
NEAR = 1e-12
"""Distances are added up in another order than by trees; lengths here are about 10."""


def nearly() -> Motion:
    """A small turn and shift."""
    turn = torch.linalg.matrix_exp(0.05 * torch.tensor([[0.0, -1, 2], [1, 0, -1], [-2, 1, 0]], dtype=torch.float64))
    return Motion(turn, torch.tensor([0.1, -0.05, 0.2], dtype=torch.float64))


def on(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    return SOURCE.to(device), TARGET.to(device), OUTWARD.to(device)


def refined(kind: str, device: torch.device) -> Any:
    source, target, outward = on(device)
    start = Motion(nearly().rotation.to(device), nearly().translation.to(device))
    return icp(source, target, start, kind, distance=2.0, normals=outward if kind == "point-to-plane" else None)


def solved(name: str, device: torch.device) -> Any:
    source = SOURCE.to(device)
    turn = random_rotation(3).to(device)
    rotations = turn.expand(len(source), 3, 3) if name == "one-match" else None
    matches = Matches.of(source, source @ turn.T + 0.3, rotations=rotations)
    return make_solver(name).solve(matches, 0.5, torch.Generator().manual_seed(1))


COMPUTED: dict[str, Callable[[torch.device], Any]] = {
    "nearest": lambda device: nearest(*on(device)[:2], 5),
    "within": lambda device: within(*on(device)[:2], 1.5),
    "within, limited": lambda device: within(*on(device)[:2], 1.5, limit=10),
    "blocks": lambda device: [(b.index, b.distance) for b in neighbour_blocks(on(device)[0], 6, radius=2.0, rows=100)],
    "normals": lambda device: normals(on(device)[0], k=12),
    "frames": lambda device: local_frames(on(device)[0], 3.0),
    "farthest": lambda device: farthest_points(on(device)[0], 20, start=0),
    "voxels": lambda device: voxel_means(on(device)[0], 2.0),
    "principal frame": lambda device: principal_frame(on(device)[0]),
    "histograms": lambda device: fpfh(*on(device)[1:], 3.0),
    "matches": lambda device: mutual_matches(*on(device)[:2]),
    "points to points": lambda device: refined("point-to-point", device),
    "points to planes": lambda device: refined("point-to-plane", device),
    **{name: (lambda device, name=name: solved(name, device)) for name in SOLVERS},
}


def tensors(found: Any) -> list[Tensor]:
    """All tensors in a result."""
    if isinstance(found, Tensor):
        return [found]
    if is_dataclass(found):
        return [t for field in fields(found) for t in tensors(getattr(found, field.name))]
    return [t for part in found for t in tensors(part)] if isinstance(found, list | tuple) else []


@pytest.mark.parametrize("what", COMPUTED)
def test_clouds(what: str) -> None:
    expected = tensors(COMPUTED[what](torch.device("cpu")))
    with pretending():
        found = tensors(COMPUTED[what](torch.device("cuda")))
        assert found
        assert all(isinstance(x, OnDevice) for x in found)
        found = [x.cpu() for x in found]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=NEAR, atol=10 * NEAR, equal_nan=True)
