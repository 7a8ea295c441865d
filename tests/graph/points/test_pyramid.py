"""Pyramids of clouds: what lies where, and that they turn with the cloud."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.rotations import random_rotations
from eqcli.graph.points.principal import principal_frame
from eqcli.graph.points.pyramid import joined_pyramids, pyramid
from eqcli.graph.points.voxels import voxel_means


def cloud(count: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    scale = torch.tensor([12.0, 7.0, 3.0], dtype=torch.float64)
    unit = torch.nn.functional.normalize(torch.randn(count, 3, dtype=torch.float64, generator=random), dim=1)
    return unit * scale + unit[:, [1, 2, 0]] ** 2


def test_levels_are_thinned_from_the_ones_before() -> None:
    points = cloud(1500, 1)
    made, frame = pyramid(points, levels=3, fine_level=1, neighbours=6), principal_frame(points)
    expected = voxel_means(points, 1.0, frame=frame).points
    for number, level in enumerate(made.levels):
        assert torch.equal(level.points, expected)
        distance = torch.cdist(level.points, level.points)
        assert torch.equal(level.neighbours[:, 0], torch.arange(len(level.points)))
        assert torch.equal(level.neighbours.sort(1).values, distance.topk(6, largest=False).indices.sort(1).values)
        if number == 2:
            assert level.coarser is None
            break
        wider = made.levels[number + 1]
        assert level.coarser is not None
        for voxel in range(len(wider.points)):
            members = level.points[level.coarser == voxel]
            assert torch.allclose(members.mean(0), wider.points[voxel], atol=1e-9)
        assert wider.finer is not None
        near = torch.cdist(wider.points, level.points).topk(6, largest=False).values
        found = (level.points[wider.finer] - wider.points.unsqueeze(1)).norm(dim=2)
        assert torch.allclose(found.sort(1).values, near.sort(1).values, atol=1e-6)
        expected = voxel_means(level.points, 2.0 ** (number + 1), frame=frame).points
    owner = torch.cdist(made.fine.points, made.coarse.points).argmin(1)
    assert torch.equal(made.patch, owner)


def test_a_turned_cloud_has_the_pyramid_turned() -> None:
    points = cloud(1500, 2)
    turn = random_rotations(1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)[0]
    here = pyramid(points, levels=3, fine_level=0, neighbours=8)
    there = pyramid(points @ turn.T + 100.0, levels=3, fine_level=0, neighbours=8)
    for one, other in zip(here.levels, there.levels, strict=True):
        assert torch.allclose(one.points @ turn.T + 100.0, other.points, atol=1e-9)
        assert torch.equal(one.neighbours, other.neighbours)
        if one.coarser is not None:
            assert torch.equal(one.coarser, other.coarser)


def test_few_points_come_again_in_turn() -> None:
    points = 5 * torch.eye(3, dtype=torch.float64)
    made = pyramid(points, levels=2, fine_level=0, neighbours=7)
    for row in made.levels[0].neighbours:
        assert torch.equal(row[:3], row[3:6])
        assert row[6] == row[0]
        assert set(row.tolist()) == {0, 1, 2}


def test_joined_clouds_keep_their_own_points() -> None:
    parts = [pyramid(cloud(n, n), levels=3, fine_level=1, neighbours=5) for n in (400, 30, 200)]
    joined = joined_pyramids(parts)
    assert len(joined) == 3
    for number, level in enumerate(joined.levels):
        for c, part in enumerate(parts):
            own = part.levels[number]
            rows = slice(int(level.starts[c]), int(level.starts[c] + level.counts[c]))
            assert torch.equal(level.points[level.neighbours[rows]], own.points[own.neighbours])
            if own.finer is not None:
                assert level.finer is not None
                below = joined.levels[number - 1], part.levels[number - 1]
                assert torch.equal(below[0].points[level.finer[rows]], below[1].points[own.finer])
    starts = [int(joined.fine.starts[1]), int(joined.coarse.starts[1])]
    part = joined.patch[starts[0] : starts[0] + len(parts[1].patch)]
    assert torch.equal(part - starts[1], parts[1].patch)
