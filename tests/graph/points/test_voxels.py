"""Voxel grids against a dictionary of cells, and what must not change them."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
import torch

from eqcli.errors import InputError
from eqcli.graph.points.principal import principal_frame
from eqcli.graph.points.voxels import SHIFT, voxel_means
from tests.graph.points.clouds import blob, permutation, rotation


def by_dictionary(points, size):
    cells = defaultdict(list)
    for row in points.tolist():
        cells[tuple(math.floor(c / size + SHIFT) for c in row)].append(row)
    means = [[sum(column) / len(rows) for column in zip(*rows, strict=True)] for _, rows in sorted(cells.items())]
    return torch.tensor(means, dtype=torch.float64), [len(rows) for _, rows in sorted(cells.items())]


def test_means_and_counts_are_those_of_a_dictionary():
    x = blob(700)
    means, counts = by_dictionary(x, 0.8)
    thinned = voxel_means(x, 0.8)
    assert torch.allclose(thinned.points, means, atol=1e-11, rtol=0)
    assert thinned.counts.tolist() == counts
    assert torch.equal(torch.bincount(thinned.member), thinned.counts)
    assert (x - thinned.points[thinned.member]).abs().max() < 0.8


def test_same_bits_for_any_order_of_points():
    x, order = blob(900), permutation(900)
    one, other = voxel_means(x, 0.7), voxel_means(x[order], 0.7)
    assert torch.equal(one.points, other.points)
    assert torch.equal(one.member[order], other.member)


def test_in_its_principal_frame_a_turned_cloud_gives_turned_voxels():
    x, r = blob(900), rotation()
    turned = x @ r.T + torch.tensor([3.0, -7.0, 11.0], dtype=torch.float64)
    one = voxel_means(x, 0.7, frame=principal_frame(x))
    other = voxel_means(turned, 0.7, frame=principal_frame(turned))
    assert torch.equal(one.counts, other.counts)
    assert torch.allclose(one.points @ r.T + turned.mean(0) - (x @ r.T).mean(0), other.points, atol=1e-9)


@pytest.mark.parametrize("framed", [False, True])
def test_a_batch_is_its_members(framed):
    clouds = [blob(300, 1), blob(80, 2), blob(1, 3), blob(400, 4)]
    frames = [principal_frame(x) for x in clouds] if framed else None
    batch = torch.repeat_interleave(torch.arange(4), torch.tensor([len(x) for x in clouds]))
    together = voxel_means(torch.cat(clouds), 0.9, frame=frames, batch=batch)
    assert together.batch is not None
    start = 0
    for i, x in enumerate(clouds):
        alone = voxel_means(x, 0.9, frame=frames[i] if frames else None)
        mine = together.batch == i
        assert torch.allclose(together.points[mine], alone.points, atol=1e-12)
        assert torch.equal(together.member[batch == i] - start, alone.member)
        start += int(mine.sum())


def test_far_outliers_do_not_overflow_the_numbers_of_cells():
    x = torch.cat([blob(50), torch.tensor([[1e11, 0, 0], [0, -1e11, 0], [0, 0, 1e11]], dtype=torch.float64)])
    batch = torch.arange(53) // 20
    plain = voxel_means(x, 1.0)
    assert len(plain.points) == len(by_dictionary(x, 1.0)[0])
    assert torch.allclose(plain.points[plain.counts == 1].sum(0), x[plain.counts[plain.member] == 1].sum(0))
    assert voxel_means(x, 1.0, batch=batch).counts.sum() == 53


def test_planes_on_walls_are_not_split_by_rounding():
    g = torch.Generator().manual_seed(0)
    x = torch.rand(500, 3, generator=g, dtype=torch.float64)
    x[:, 2] = 1e-16 * torch.randn(500, generator=g, dtype=torch.float64)
    assert voxel_means(x, 0.25).points[:, 2].abs().max() < 1e-12
    assert len(voxel_means(x, 0.25).points) <= 25


def test_single_precision_stays_so():
    thinned = voxel_means(blob(100, dtype=torch.float32), 0.5)
    assert thinned.points.dtype == torch.float32
    assert torch.allclose(thinned.points.double(), voxel_means(blob(100, dtype=torch.float32).double(), 0.5).points)


@pytest.mark.parametrize(
    ("points", "size", "message"),
    [
        (torch.zeros(0, 3), 1.0, "no points"),
        (torch.zeros(4, 2), 1.0, "shape"),
        (torch.zeros(4, 3, dtype=torch.int64), 1.0, "float32"),
        (torch.tensor([[0.0, float("nan"), 0.0]]), 1.0, "not finite"),
        (torch.zeros(4, 3), 0.0, "positive"),
        (torch.zeros(4, 3), float("nan"), "positive"),
        (torch.tensor([[0.0, 0.0, 1e20]]), 1.0, "too small"),
    ],
)
def test_what_cannot_be_thinned(points, size, message):
    with pytest.raises(InputError, match=message):
        voxel_means(points, size)
