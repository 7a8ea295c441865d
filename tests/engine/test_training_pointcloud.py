"""Figures of matches: what share is right, and whether one of them tells the motion."""

from __future__ import annotations

import pytest
import torch

from eqcli.engine.training_pointcloud import match_figures
from eqcli.geometry.motions import random_rotation
from eqcli.models.pointcloud.base import Described, MatchedPoints


def matched(wrong: int, turns: torch.Tensor | None = None) -> tuple[MatchedPoints, torch.Tensor, torch.Tensor]:
    """Twenty matches, the first `wrong` of which are not, with the true rotation or those given."""
    generator = torch.Generator().manual_seed(0)
    rotation, shift = random_rotation(generator), torch.tensor([3.0, -2.0, 9.0], dtype=torch.float64)
    source = 30 * torch.rand(20, 3, generator=generator, dtype=torch.float64)
    target = source @ rotation.T + shift
    sides = [
        Described(points, *(torch.zeros(20, 1) for _ in range(len(Described.__dataclass_fields__) - 1)))
        for points in (source, target)
    ]
    index = torch.arange(20).repeat(2, 1).T.clone()
    index[:wrong, 1] = torch.arange(wrong).roll(1)
    rotations = rotation.expand(20, 3, 3) if turns is None else turns
    found = MatchedPoints(sides[0], sides[1], index, torch.ones(20), rotations, torch.zeros(1, 2))
    return found, rotation, shift


def test_right_matches_that_know_the_rotation() -> None:
    figures = match_figures(*matched(0), 1.0)
    assert figures == {"matches": 20.0, "inlier_ratio": 1.0, "solved": 1.0}


def test_one_right_match_is_enough_to_know_the_motion() -> None:
    figures = match_figures(*matched(12), 1.0)
    assert figures["inlier_ratio"] == pytest.approx(0.4)
    assert figures["solved"] == 1.0


def test_wrong_rotations_solve_nothing() -> None:
    found, rotation, shift = matched(0)
    away = torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]], dtype=torch.float64)
    found, rotation, shift = matched(0, (away @ rotation).expand(20, 3, 3))
    figures = match_figures(found, rotation, shift, 1.0)
    assert (figures["inlier_ratio"], figures["solved"]) == (1.0, 0.0)


def test_no_matches() -> None:
    found, rotation, shift = matched(0)
    none = MatchedPoints(found.source, found.target, found.index[:0], found.confidence[:0], found.rotations[:0],
                         found.superpoints)  # fmt: skip
    assert match_figures(none, rotation, shift, 1.0) == {"matches": 0.0, "inlier_ratio": 0.0, "solved": 0.0}
