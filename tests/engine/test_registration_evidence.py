"""What speaks for a motion: counts, bounds and rules against slow obvious ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from eqcli.engine.registration_evidence import (
    Evidence,
    doubts,
    gathered,
    grounds,
    hopeless,
    lower_bound,
    paired_at_random,
    separate,
)
from eqcli.engine.registration_view import View
from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.matches import Matches
from tests.engine.registration_case import scene

GOOD = Evidence(
    matches=500,
    inliers=100,
    expected_by_chance=4.0,
    places=20,
    support=0.4,
    least_support=0.3,
    overlap=0.5,
    target_overlap=0.5,
    agreement=0.7,
    rmse=0.01,
    spacing=0.01,
    voxel=0.05,
    threshold=0.1,
)


def test_a_good_motion_is_not_doubted() -> None:
    assert doubts(GOOD) == ()
    assert grounds(GOOD)


@pytest.mark.parametrize(
    "change",
    [
        {"inliers": 13},
        {"places": 3},
        {"least_support": 0.05},
        {"overlap": 0.01},
        {"target_overlap": 0.01},
        {"agreement": 0.2},
        {"runner_up": 0.95},
    ],
)
def test_each_rule_alone_raises_one_doubt(change: dict[str, float]) -> None:
    assert len(doubts(replace(GOOD, **change))) == 1


def test_without_matches_the_surfaces_speak_alone() -> None:
    bare = replace(GOOD, matches=0, inliers=0, places=0, support=0.0, least_support=0.0)
    assert doubts(bare, by_matches=False) == ()
    assert doubts(replace(bare, agreement=0.1), by_matches=False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"agreement": 0.1}, False),
        ({"places": 2, "least_support": 0.0}, False),
        ({"agreement": 0.1, "places": 3}, True),
        ({"agreement": 0.1, "least_support": 0.02}, True),
    ],
)
def test_only_crossing_surfaces_without_witnesses_are_hopeless(change: dict[str, float], told: bool) -> None:
    evidence = replace(GOOD, **change)
    assert hopeless(evidence) is told
    assert hopeless(evidence, by_matches=False) is ("agreement" in change)


def test_chance_is_the_mean_over_random_pairings() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 300, 3, generator=generator, dtype=torch.float64)
    matches = Matches.of(x, y)
    counts = [int(((x - y[torch.randperm(300, generator=generator)]).norm(dim=1) <= 0.2).sum()) for _ in range(400)]
    assert paired_at_random(Motion.identity(), matches, 0.2) == pytest.approx(np.mean(counts), rel=0.05)


def test_separate_places_are_far_apart_and_none_is_left_out() -> None:
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert separate(points, 0.01) > 190
    assert separate(points, 10.0) == 1
    assert separate(points[:0], 1.0) == 0
    grid = torch.cartesian_prod(*[torch.arange(3.0)] * 3)
    assert separate(torch.cat([grid, grid + 0.01]), 0.5) == 27


def test_the_lower_bound_is_below_the_share_and_rises_with_trials() -> None:
    assert lower_bound(0, 0) == 0.0
    assert lower_bound(0, 50) == pytest.approx(0.0)
    bounds = [lower_bound(n // 4, n) for n in (8, 40, 400, 40000)]
    assert bounds == sorted(bounds)
    assert 0 < bounds[0] < bounds[-1] < 0.25
    rng = np.random.default_rng(0)
    above = np.mean([lower_bound(int(hits), 60) > 0.3 for hits in rng.binomial(60, 0.3, 4000)])
    assert above < 0.05


def test_evidence_of_the_true_motion_against_a_wrong_one() -> None:
    clouds = [torch.from_numpy(scene(5, points=3000, sample=s)) for s in (0, 1)]
    view = View(*clouds, 0.1)
    index = torch.arange(0, len(view.source.points), 7)
    _, nearest = view.target.tree.query(view.source.points[index].numpy())
    matches = Matches.of(
        view.source.points, view.target.points, index=torch.stack([index, torch.from_numpy(nearest)], 1)
    )
    wrong = Motion(torch.eye(3, dtype=torch.float64), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64))
    true, false = (gathered(m, view.contact(m), matches, view, 0.05) for m in (Motion.identity(), wrong))
    assert true.inliers > 0.95 * len(matches)
    assert true.support > 0.95
    assert true.agreement > 0.8
    assert true.overlap > 0.8
    assert false.inliers < 0.1 * len(matches)
    assert false.agreement < 0.6
    assert false.score < 0.1 * true.score
    assert not doubts(true)
    assert doubts(false)
