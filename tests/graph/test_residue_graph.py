"""Residues as a graph: neighbours, frames, and features that no motion changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from eqcli.graph import residue_graph as module
from eqcli.graph.residue_graph import (
    EDGE_FEATURES,
    RADIAL,
    SCALARS,
    WIDTHS,
    backbone_frames,
    distance_features,
    nearest,
    residue_graph,
)
from tests.contracts.docking_complexes import chain
from tests.rotations import random_rotation


def moved(parts: list[Tensor], seed: int = 0) -> list[Tensor]:
    turn = random_rotation(seed)
    return [x @ turn.T + torch.tensor([30.0, -7.0, 100.0], dtype=torch.float64) for x in parts]


def slow_neighbours(points: np.ndarray, count: int, reach: float) -> set[tuple[int, int]]:
    found = set()
    for i, here in enumerate(points):
        lengths = sorted((float(np.linalg.norm(here - there)), j) for j, there in enumerate(points) if j != i)
        found |= {(j, i) for length, j in lengths[:count] if length <= reach}
    return found


@pytest.mark.parametrize(("count", "reach"), [(1, 30.0), (6, 30.0), (6, 7.0), (100, 9.0), (3, 0.1)])
@pytest.mark.parametrize("chunk", [2048, 7])
def test_neighbours(count: int, reach: float, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    points = chain(25, 3)[2]
    edges, lengths = nearest(points, count, reach)
    assert {(int(s), int(r)) for s, r in edges.T} == slow_neighbours(points.numpy(), count, reach)
    assert edges.shape[1] == len(slow_neighbours(points.numpy(), count, reach))
    assert (edges[1].diff() >= 0).all()
    assert torch.allclose(lengths, (points[edges[0]] - points[edges[1]]).norm(dim=1), atol=1e-12)


@pytest.mark.parametrize("residues", [1, 2])
def test_one_and_two_residues(residues: int) -> None:
    graph = residue_graph(*chain(residues, 0))
    assert graph.edges.shape == (2, residues * (residues - 1))
    assert torch.isfinite(graph.scalars).all()
    assert graph.edge_features.shape == (residues * (residues - 1), EDGE_FEATURES)


def test_frames_are_right_handed_and_turn_along() -> None:
    _, *backbone = chain(20, 1)
    frames = backbone_frames(*backbone)
    assert torch.allclose(frames @ frames.mT, torch.eye(3, dtype=torch.float64).expand(20, 3, 3), atol=1e-10)
    assert torch.allclose(torch.linalg.det(frames), torch.ones(20, dtype=torch.float64))
    assert torch.allclose(backbone_frames(*moved(backbone)), frames @ random_rotation(0).T, atol=1e-10)
    # The first axis points from CA to N; C lies in the plane of the first two.
    n, ca, c = backbone
    assert (torch.einsum("ri,ri->r", frames[:, 0], n - ca) > 0).all()
    assert torch.einsum("ri,ri->r", frames[:, 2], c - ca).abs().max() < 1e-10


def test_no_motion_changes_the_features() -> None:
    kinds, *backbone = chain(30, 2)
    here, there = residue_graph(kinds, *backbone), residue_graph(kinds, *moved(backbone))
    assert torch.equal(here.edges, there.edges)
    assert torch.allclose(here.scalars, there.scalars, atol=1e-9)
    assert torch.allclose(here.edge_features, there.edge_features, atol=1e-9)
    assert here.scalars.shape == (30, SCALARS)


def test_a_mirror_changes_the_features() -> None:
    kinds, *backbone = chain(30, 2)
    mirror = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    here, there = residue_graph(kinds, *backbone), residue_graph(kinds, *(x * mirror for x in backbone))
    assert (here.edge_features - there.edge_features).abs().max() > 0.1
    assert torch.allclose(here.scalars, there.scalars, atol=1e-9)


def test_features_of_one_edge() -> None:
    """Two residues with frames that can be read off."""
    zero = torch.zeros(1, 3, dtype=torch.float64)
    e = torch.eye(3, dtype=torch.float64)
    ca = torch.cat([zero, 5.0 * e[1:2]])
    n = ca + torch.stack([e[0], e[1]])
    c = ca + torch.stack([e[1], e[2]])
    graph = residue_graph(torch.tensor([3, 4]), n, ca, c)
    assert graph.edges.tolist() == [[1, 0], [0, 1]]
    radial, place, turn = graph.edge_features[0].split([RADIAL, 3, 9])
    assert torch.allclose(radial, torch.exp(-25.0 / 1.5 ** torch.arange(RADIAL, dtype=torch.float64)))
    assert torch.allclose(place, torch.tensor([0.0, 0.5, 0.0], dtype=torch.float64))
    # The axes of residue 1 (rows y, z, x) as residue 0 sees them (x, y, z).
    expected = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    assert torch.allclose(turn.reshape(3, 3), expected, atol=1e-12)
    assert torch.allclose(graph.edge_features[1, RADIAL : RADIAL + 3] * 10, torch.tensor([-5.0, 0, 0]).double())


def test_scalars_tell_the_surface_from_the_middle() -> None:
    """0 in the middle of a symmetric cloud, 1 for a point whose neighbours all lie one way."""
    grid = torch.cartesian_prod(*[torch.arange(-2.0, 3.0, dtype=torch.float64)] * 3) * 4.0
    bond = torch.tensor([[1.4, 0.0, 0.3]], dtype=torch.float64)
    graph = residue_graph(torch.zeros(125, dtype=torch.int64), grid + bond, grid, grid - bond[:, [1, 0, 2]],
                          neighbours=124, reach=100.0)  # fmt: skip
    middle, corner = graph.scalars[62], graph.scalars[0]
    assert grid[62].abs().max() == 0
    assert middle.max() < 1e-9
    assert (corner > 0.5).all()
    pair = residue_graph(torch.zeros(2, dtype=torch.int64), *(x[:2] for x in (grid + bond, grid, grid - bond)))
    assert torch.allclose(pair.scalars, torch.ones(2, len(WIDTHS), dtype=torch.float64), atol=1e-6)


def test_distance_features_fall_with_distance() -> None:
    found = distance_features(torch.linspace(0.0, 30.0, 50, dtype=torch.float64))
    assert (found[0] == 1).all()
    assert (found.diff(dim=0) <= 0).all()
    assert (found.diff(dim=1) >= 0).all()
