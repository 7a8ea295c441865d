"""Matches of points."""

from __future__ import annotations

import torch

from eqcli.models.pointcloud.matches import Matches


def test_mutual_matches_are_the_most_trusted_of_both_points() -> None:
    random = torch.Generator().manual_seed(0)
    index = torch.stack([torch.arange(6).repeat_interleave(5), torch.arange(5).repeat(6)], dim=1)
    weights = torch.rand(30, dtype=torch.float64, generator=random)
    points = torch.randn(6, 3, dtype=torch.float64, generator=random)
    found = Matches.of(points, points[:5], weights=weights, index=index).mutual()
    table = weights.view(6, 5)
    expected = {
        (i, j) for i in range(6) for j in range(5) if table[i, j] == table[i].max() and table[i, j] == table[:, j].max()
    }
    assert {(int(i), int(j)) for i, j in zip(found.source_index, found.target_index, strict=True)} == expected
    assert len(found) < 30


def test_equal_trust_keeps_the_first_and_one_for_each_point() -> None:
    points = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    twice = torch.tensor([[0, 0], [0, 1], [1, 1], [2, 2]])
    assert Matches.of(points, points, index=twice).mutual().source_index.tolist() == [0, 2]
    single = Matches.of(points, points)
    assert torch.equal(single.mutual().source, single.source)
