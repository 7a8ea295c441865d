"""Histograms against loops over pairs, and what must not change them."""

from __future__ import annotations

from math import atan2, floor, pi

import pytest
import torch

from eqcli.errors import InputError
from eqcli.geometry.rotations import random_rotations
from eqcli.graph.points.normals import normals
from eqcli.models.pointcloud import fpfh as module
from eqcli.models.pointcloud.fpfh import fpfh
from tests.graph.points.clouds import bumpy, permutation, rotation


def pair_angles(p, n, q, m):
    d = (q - p) / (q - p).norm()
    if abs(float(d @ m)) > abs(float(d @ n)):
        n, m, d = m, n, -d
    v = torch.linalg.cross(d, n)
    v = v / v.norm()
    w = torch.linalg.cross(n, v)
    return (float(v @ m) + 1) / 2, (float(n @ d) + 1) / 2, (atan2(float(w @ m), float(n @ m)) + pi) / (2 * pi)


def shares(part, value, soft):
    """Which bins an angle counts in, and with which weight."""
    if not soft:
        return [(min(int(value * 11), 10), 1.0)]
    lower = floor(value * 11 - 0.5)
    share = value * 11 - 0.5 - lower
    bins = [(lower + k) % 11 if part == 2 else min(max(lower + k, 0), 10) for k in (0, 1)]
    return [(bins[0], 1 - share), (bins[1], share)]


def by_loops(points, normals, radius, soft):
    n = len(points)
    distance = torch.cdist(points, points)
    near = [[j for j in range(n) if j != i and distance[i, j] <= radius] for i in range(n)]
    simple = torch.zeros(n, 3, 11, dtype=torch.float64)
    for i in range(n):
        for j in near[i]:
            for part, value in enumerate(pair_angles(points[i], normals[i], points[j], normals[j])):
                for bin_, share in shares(part, value, soft):
                    simple[i, part, bin_] += share / len(near[i])
    full = simple.clone()
    for i in range(n):
        for j in near[i]:
            full[i] += radius / distance[i, j] / len(near[i]) * simple[j]
    total = full.sum(2, keepdim=True)
    return (100 * full / torch.where(total > 0, total, 1.0)).flatten(1)


@pytest.mark.parametrize("soft", [False, True])
def test_the_same_as_loops_over_pairs(soft):
    x, n = bumpy(150)
    assert torch.allclose(fpfh(x, n, 0.5, soft=soft), by_loops(x, n, 0.5, soft), atol=1e-9)


def test_blocks_of_rows_do_not_show(monkeypatch):
    x, n = bumpy(150)
    whole = fpfh(x, n, 0.5)
    monkeypatch.setattr(module, "ROWS", 32)
    assert torch.allclose(fpfh(x, n, 0.5), whole, atol=1e-12)


def test_turned_moved_and_scaled_clouds_have_the_same_histograms():
    x, n = bumpy(2000)
    r = rotation()
    plain = fpfh(x, n, 0.3)
    assert torch.allclose(fpfh(x @ r.T + 7, n @ r.T, 0.3), plain, atol=1e-10)
    assert torch.allclose(fpfh(1000 * x, n, 300.0), plain, atol=1e-9)


def test_order_does_not_matter():
    x, n = bumpy(500)
    order = permutation(500)
    assert torch.allclose(fpfh(x[order], n[order], 0.3), fpfh(x, n, 0.3)[order], atol=1e-10)


def test_opposite_normals_mirror_the_second_and_third_block():
    x, n = bumpy(500)
    parts = fpfh(x, n, 0.3).unflatten(1, (3, 11))
    mirrored = torch.stack([parts[:, 0], parts[:, 1].flip(1), parts[:, 2].flip(1)], dim=1).flatten(1)
    assert torch.allclose(fpfh(x, -n, 0.3), mirrored, atol=1e-9)


def test_a_plane_fills_the_middle_bins():
    g = torch.Generator().manual_seed(0)
    x = torch.rand(200, 3, generator=g) * torch.tensor([1.0, 1.0, 0.0])
    histogram = fpfh(x, torch.tensor([0.0, 0.0, 1.0]).expand(200, 3), 0.3)
    expected = torch.zeros(3, 11)
    expected[:, 5] = 100
    assert torch.allclose(histogram, expected.flatten().expand(200, 33), atol=1e-4)


def test_blocks_sum_to_a_hundred_or_are_empty():
    x, n = bumpy(200)
    x = torch.cat([x, torch.full((1, 3), 50.0, dtype=x.dtype), x[:1]])
    n = torch.cat([n, n[:2]])
    n[3] = 0
    sums = fpfh(x, n, 0.8).unflatten(1, (3, 11)).sum(2)
    assert torch.allclose(sums[3], torch.zeros(3, dtype=x.dtype))
    assert torch.allclose(sums[200], torch.zeros(3, dtype=x.dtype))
    rest = torch.tensor([i for i in range(202) if i not in (3, 200)])
    assert torch.allclose(sums[rest], torch.full((200, 3), 100.0, dtype=x.dtype))


def test_one_point_and_duplicates_have_nothing():
    n = torch.tensor([[0.0, 0.0, 1.0]])
    assert not fpfh(torch.zeros(1, 3), n, 1.0).any()
    assert not fpfh(torch.zeros(5, 3), n.expand(5, 3), 1.0).any()


def test_what_cannot_be_described():
    x, n = bumpy(20)
    with pytest.raises(InputError, match="no points"):
        fpfh(x[:0], n[:0], 1.0)
    with pytest.raises(InputError, match="as many finite normals"):
        fpfh(x, n[:5], 1.0)
    with pytest.raises(InputError, match="as many finite normals"):
        fpfh(x, n * torch.nan, 1.0)
    with pytest.raises(InputError, match="radius"):
        fpfh(x, n, 0.0)


def test_points_with_one_normal_do_not_hang_on_rounding() -> None:
    """Neighbours of the same points have the same normal to the bit; which of them begins must not change in a turn."""
    random = torch.Generator().manual_seed(1)
    points = torch.randn(15, 3, dtype=torch.float64, generator=random)
    vectors = normals(points, k=15, orientation="none").vectors
    assert (vectors - vectors[0]).abs().max() < 1e-12
    turn = random_rotations(1, generator=random, dtype=torch.float64)[0]
    here, there = fpfh(points, vectors, 5.0), fpfh(points @ turn.T, vectors @ turn.T, 5.0)
    assert (here - there).abs().max() < 1e-9
