"""Matches of descriptors against all distances."""

from __future__ import annotations

import pytest
import torch

from eqcli.errors import InputError
from eqcli.models.pointcloud import matching
from eqcli.models.pointcloud.matching import candidates, mutual_matches
from tests.graph.points.clouds import permutation


def features(n, seed, width=16):
    return torch.rand(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(x):
    return x / x.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("measure", ["euclidean", "cosine", "hellinger"])
def test_candidates_are_those_of_all_distances(measure, monkeypatch):
    monkeypatch.setattr(matching, "BLOCK", 500)
    a, b = features(60, 1), features(80, 2)
    distance, index = candidates(a, b, 5, measure=measure)
    change = {"euclidean": torch.clone, "cosine": unit, "hellinger": torch.sqrt}[measure]
    expected = torch.cdist(change(a), change(b)).sort(1)
    assert torch.equal(index, expected.indices[:, :5])
    assert torch.allclose(distance, expected.values[:, :5], atol=1e-12)


def test_mutual_pairs_are_nearest_both_ways():
    a, b = features(60, 1), features(80, 2)
    index, distance = mutual_matches(a, b)
    d = torch.cdist(a, b)
    expected = {(i, int(d[i].argmin())) for i in range(60) if int(d[:, d[i].argmin()].argmin()) == i}
    assert {tuple(pair) for pair in index.tolist()} == expected
    assert torch.allclose(distance, d[index[:, 0], index[:, 1]], atol=1e-12)
    assert (distance.diff() >= 0).all()


def test_swapped_clouds_give_the_same_mutual_pairs():
    a, b = features(60, 1), features(80, 2)
    for k in (1, 3):
        there = {tuple(pair) for pair in mutual_matches(a, b, k=k)[0].tolist()}
        back = {tuple(pair) for pair in mutual_matches(b, a, k=k)[0].flip(1).tolist()}
        assert there == back


def test_several_candidates_hold_the_single_ones():
    a, b = features(60, 1), features(80, 2)
    one = {tuple(pair) for pair in mutual_matches(a, b)[0].tolist()}
    three = {tuple(pair) for pair in mutual_matches(a, b, k=3)[0].tolist()}
    assert one < three
    assert len(mutual_matches(a, b, k=3, mutual=False)[0]) == 180


def test_the_ratio_drops_pairs_with_a_rival():
    a, b = features(60, 1), features(80, 2)
    index, distance = mutual_matches(a, b, mutual=False, ratio=0.9)
    two = torch.cdist(a, b).sort(1).values[:, :2]
    assert sorted(index[:, 0].tolist()) == torch.nonzero(two[:, 0] < 0.9 * two[:, 1]).flatten().tolist()
    assert 0 < len(distance) < 60


def test_the_best_are_kept():
    a, b = features(60, 1), features(80, 2)
    index, distance = mutual_matches(a, b)
    best, short = mutual_matches(a, b, count=5)
    assert torch.equal(best, index[:5])
    assert torch.equal(short, distance[:5])


def test_order_does_not_matter():
    a, b, order = features(60, 1), features(80, 2), permutation(80)
    index, _ = mutual_matches(a, b[order])
    assert torch.equal(torch.stack([index[:, 0], order[index[:, 1]]], 1), mutual_matches(a, b)[0])


def test_equal_descriptors_match_at_zero_even_in_single_precision():
    a = 1000 + features(50, 1).float()
    index, distance = mutual_matches(a, a)
    assert torch.equal(index[:, 0], index[:, 1])
    assert (distance == 0).all()


def test_empty_descriptors_match_nothing():
    a, b = features(10, 1), features(12, 2)
    a[3], b[4] = 0, 0
    index, _ = mutual_matches(a, b, mutual=False, k=12)
    assert 3 not in index[:, 0]
    assert 4 not in index[:, 1]
    assert len(index) == 9 * 11
    assert len(mutual_matches(a * 0, b)[0]) == 0


def test_what_cannot_be_matched():
    a = features(10, 1)
    with pytest.raises(InputError, match="source has no descriptors"):
        mutual_matches(a[:0], a)
    with pytest.raises(InputError, match="not finite"):
        mutual_matches(a, a * torch.nan)
    with pytest.raises(InputError, match="cannot be compared"):
        mutual_matches(a, features(10, 1, width=8))
    with pytest.raises(InputError, match="no measure"):
        mutual_matches(a, a, measure="manhattan")
    with pytest.raises(InputError, match="no histograms"):
        mutual_matches(a, a - 1, measure="hellinger")
    with pytest.raises(InputError, match="ratio"):
        mutual_matches(a, a, ratio=1.5)
    with pytest.raises(InputError, match="at least 1"):
        mutual_matches(a, a, count=0)
