"""Neighbours against all distances."""

from __future__ import annotations

import pytest
import torch

from eqcli.errors import InputError
from eqcli.graph.points import search
from eqcli.graph.points.search import nearest, within
from tests.graph.points.clouds import blob, permutation, rotation


def all_distances(queries, points):
    return (queries.unsqueeze(1) - points.unsqueeze(0)).norm(dim=2)


def test_nearest_are_those_of_all_distances():
    q, x = blob(40, 1), blob(300, 2)
    distance, index = nearest(q, x, 7)
    expected = all_distances(q, x).sort(1)
    assert torch.allclose(distance, expected.values[:, :7], atol=1e-12)
    assert torch.equal(index, expected.indices[:, :7])


@pytest.mark.parametrize("limit", [None, 4])
def test_within_are_those_of_all_distances(limit, monkeypatch):
    monkeypatch.setattr(search, "QUERIES", 16)
    q, x = blob(50, 1), blob(300, 2)
    offsets, index, distance = within(q, x, 1.3, limit=limit)
    expected = all_distances(q, x).sort(1)
    for i in range(len(q)):
        number = int((expected.values[i] <= 1.3).sum())
        number = number if limit is None else min(number, limit)
        mine = slice(int(offsets[i]), int(offsets[i + 1]))
        assert torch.equal(index[mine], expected.indices[i, :number])
        assert torch.allclose(distance[mine], expected.values[i, :number], atol=1e-12)


@pytest.mark.parametrize("limit", [None, 3])
def test_a_point_at_the_radius_belongs_to_the_list(limit):
    x = torch.tensor([[0.0, 0, 0], [2.0, 0, 0], [3.0, 0, 0]])
    offsets, index, _ = within(x[:1], x, 2.0, limit=limit)
    assert offsets.tolist() == [0, 2]
    assert index.tolist() == [0, 1]


def test_the_blocks_for_cuda_find_the_same(monkeypatch):
    monkeypatch.setattr(search, "BLOCK", 1000)
    q, x = blob(40, 1), blob(300, 2)
    d, i = search._nearest_blocks(q, x, 7)
    assert torch.equal(i, nearest(q, x, 7)[1])
    assert torch.allclose(d, nearest(q, x, 7)[0], atol=1e-12)


def test_a_small_cloud_gives_what_it_has():
    x = blob(3)
    distance, index = nearest(x, x, 10)
    assert distance.shape == index.shape == (3, 3)
    assert index[:, 0].tolist() == [0, 1, 2]
    distance, index = nearest(x[:1], x[:1], 5)
    assert index.tolist() == [[0]]


def test_a_batch_is_its_members():
    queries, clouds = [blob(5, 1), blob(9, 2), blob(4, 3)], [blob(30, 4), blob(2, 5), blob(25, 6)]
    counts = {"query_counts": [5, 9, 4], "point_counts": torch.tensor([30, 2, 25])}
    distance, index = nearest(torch.cat(queries), torch.cat(clouds), 6, **counts)
    offsets, near, far = within(torch.cat(queries), torch.cat(clouds), 3.0, **counts)
    row = first = 0
    for q, x in zip(queries, clouds, strict=True):
        d, i = nearest(q, x, 6)
        rows, have = slice(row, row + len(q)), d.shape[1]
        assert torch.equal(distance[rows, :have], d)
        assert torch.equal(index[rows, :have] - first, i)
        assert (index[rows, have:] == -1).all()
        assert torch.isinf(distance[rows, have:]).all()
        o, j, r = within(q, x, 3.0)
        mine = slice(int(offsets[row]), int(offsets[row + len(q)]))
        assert torch.equal(offsets[row : row + len(q) + 1] - offsets[row], o)
        assert torch.equal(near[mine] - first, j)
        assert torch.equal(far[mine], r)
        row, first = row + len(q), first + len(x)


def test_order_and_place_of_the_points_do_not_matter():
    x, order, r = blob(200), permutation(200), rotation()
    distance, index = nearest(x, x, 5)
    assert torch.equal(order[nearest(x, x[order], 5)[1]], index)
    assert torch.allclose(nearest(x @ r.T + 5, x @ r.T + 5, 5)[0], distance, atol=1e-12)


def test_duplicates_are_all_found():
    x = torch.zeros(6, 3)
    distance, index = nearest(x[:1], x, 6)
    assert sorted(index[0].tolist()) == list(range(6))
    assert (distance == 0).all()
    assert within(x, x, 0.1)[0].tolist() == [0, 6, 12, 18, 24, 30, 36]


def test_nothing_within_is_an_empty_list():
    offsets, index, distance = within(blob(3, 1), blob(5, 2) + 100, 1.0)
    assert offsets.tolist() == [0, 0, 0, 0]
    assert len(index) == len(distance) == 0


def test_single_precision_stays_so():
    x = blob(30, dtype=torch.float32)
    assert nearest(x, x, 3)[0].dtype == torch.float32
    assert within(x, x, 1.0)[2].dtype == torch.float32


def test_what_cannot_be_searched():
    x = blob(5)
    with pytest.raises(InputError, match="no points"):
        nearest(x, x[:0], 3)
    with pytest.raises(InputError, match="queries has no points"):
        nearest(x[:0], x, 3)
    with pytest.raises(InputError, match="at least 1"):
        nearest(x, x, 0)
    with pytest.raises(InputError, match="positive"):
        within(x, x, -1.0)
    with pytest.raises(InputError, match="add up"):
        nearest(x, x, 3, query_counts=[2, 2], point_counts=[2, 3])
    with pytest.raises(InputError, match="a cloud of the batch has no points"):
        nearest(x, x, 3, query_counts=[2, 3], point_counts=[5, 0])
    with pytest.raises(InputError, match="not finite"):
        within(x, x * torch.inf, 1.0)
