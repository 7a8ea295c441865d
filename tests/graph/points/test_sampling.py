"""Farthest points."""

from __future__ import annotations

import pytest
import torch

from eqcli.errors import InputError
from eqcli.graph.points.sampling import farthest_points
from tests.graph.points.clouds import blob, permutation, rotation


def by_definition(x, count):
    chosen = [int((x - x.mean(0)).norm(dim=1).argmax())]
    while len(chosen) < count:
        chosen.append(int(torch.cdist(x, x[chosen]).min(1).values.argmax()))
    return chosen


def test_each_is_the_farthest_from_those_before():
    x = blob(150)
    assert farthest_points(x, 30).tolist() == by_definition(x, 30)


def test_turned_and_reordered_clouds_give_the_same_points():
    x, r, order = blob(150), rotation(), permutation(150)
    chosen = farthest_points(x, 40)
    assert torch.equal(farthest_points(x @ r.T + 3, 40), chosen)
    assert torch.equal(order[farthest_points(x[order], 40)], chosen)


def test_start_and_counts():
    x = blob(20)
    assert farthest_points(x, 3, start=7)[0] == 7
    assert sorted(farthest_points(x, 99).tolist()) == list(range(20))
    assert farthest_points(x[:1], 2).tolist() == [0]


def test_duplicates_are_each_chosen_once_and_last():
    x = torch.cat([blob(5), blob(5)])
    chosen = farthest_points(x, 10).tolist()
    assert sorted(chosen) == list(range(10))
    assert sorted(i % 5 for i in chosen[:5]) == list(range(5))


def test_what_cannot_be_sampled():
    with pytest.raises(InputError, match="no points"):
        farthest_points(torch.zeros(0, 3), 2)
    with pytest.raises(InputError, match="at least 1"):
        farthest_points(blob(5), 0)
    with pytest.raises(InputError, match="point 5 cannot be the first"):
        farthest_points(blob(5), 2, start=5)
