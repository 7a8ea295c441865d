"""Key points: weighted means of positions whose weights look at the other side."""

from __future__ import annotations

import torch

from eqcli.models.docking.graph_matching import Known, Padding
from eqcli.models.docking.key_points import KeyPoints
from tests.models.docking.test_graph_matching import CHANNELS, states, two_sides
from tests.rotations import random_rotation

COUNT = 5


def the_points() -> KeyPoints:
    torch.manual_seed(1)
    return KeyPoints(CHANNELS, COUNT).double()


def test_they_are_weighted_means_by_loops() -> None:
    points, (here, there) = the_points(), two_sides()
    h, x = states((here, there))
    found = points(here, h[0], x[0], there, h[1])
    assert found.shape == (3, COUNT, 3)
    for member in range(3):
        own, other = here.side.batch == member, there.side.batch == member
        query = points.query(points.summary(h[1][other]).mean(0)).reshape(COUNT, CHANNELS)
        weights = (points.key(h[0][own]) @ query.T / CHANNELS**0.5).softmax(0)
        assert torch.allclose(found[member], weights.T @ x[0][own], atol=1e-12)


def test_they_move_with_their_side_alone() -> None:
    points, (here, there) = the_points(), two_sides()
    h, x = states((here, there))
    turn = -random_rotation(4)
    found = points(here, h[0], x[0], there, h[1])
    assert torch.allclose(points(here, h[0], x[0] @ turn.T + 9.0, there, h[1]), found @ turn.T + 9.0, atol=1e-10)


def test_they_look_at_the_other_side_of_their_own_complex() -> None:
    points, (here, there) = the_points(), two_sides()
    h, x = states((here, there))
    found = points(here, h[0], x[0], there, h[1])
    changed = h[1].clone()
    changed[there.side.batch == 2] += 2.0
    after = points(here, h[0], x[0], there, changed)
    assert torch.equal(after[:2], found[:2])
    assert (after[2] - found[2]).abs().max() > 1e-3


def test_order_does_not_matter() -> None:
    points, (here, there) = the_points(), two_sides()
    h, x = states((here, there))
    order = torch.tensor([3, 0, 4, 1, 2, 5, 9, 13, 6, 12, 7, 10, 8, 11])
    known = Known(here.side, Padding.of(here.side), here.features, here.positions)
    assert torch.allclose(
        points(known, h[0][order], x[0][order], there, h[1]), points(here, h[0], x[0], there, h[1]), atol=1e-12
    )
