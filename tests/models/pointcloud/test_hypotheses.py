"""Many motions at once are the same as one after the other."""

from __future__ import annotations

import pytest
import torch

from eqcli.geometry.kabsch import align
from eqcli.geometry.motions import Motion, rotation_error
from eqcli.geometry.rotations import random_rotations
from eqcli.models.pointcloud.hypotheses import apart_from_another, different, polished_together, scored
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.one_match import OneMatch


def case(count: int = 80, outliers: float = 0.6) -> tuple[Matches, Motion]:
    """Matches with outliers and noise, each with a rotation that is some degrees off."""
    random = torch.Generator().manual_seed(0)
    source = 20 * torch.randn(count, 3, dtype=torch.float64, generator=random)
    turns = random_rotations(count + 1, generator=random, dtype=torch.float64)
    truth = Motion(turns[0], torch.tensor([5.0, -3.0, 40.0], dtype=torch.float64))
    target = truth.apply(source) + 0.3 * torch.randn(count, 3, dtype=torch.float64, generator=random)
    wrong = torch.rand(count, generator=random) < outliers
    target[wrong] = target[wrong][torch.randperm(int(wrong.sum()), generator=random)]
    shaken = Motion.exp(0.15 * torch.randn(count, 6, dtype=torch.float64, generator=random)).rotation @ truth.rotation
    rotations = torch.where(wrong[:, None, None], turns[1:], shaken)
    weights = 0.5 + torch.rand(count, dtype=torch.float64, generator=random)
    return Matches.of(source, target, weights=weights, rotations=rotations), truth


def test_polished_together_is_weighted_least_squares_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eqcli.models.pointcloud.hypotheses.BLOCK", 500)
    matches, _ = case()
    assert matches.rotations is not None
    shift = matches.target - (matches.rotations @ matches.source.unsqueeze(2)).squeeze(2)
    motions = Motion(matches.rotations, shift)
    found = polished_together(motions, matches, [30.0, 20.0])
    for number in range(len(matches)):
        motion = motions.at(number)
        for threshold in (30.0, 20.0):
            square = (motion.apply(matches.source) - matches.target).square().sum(1)
            weights = matches.weights * (1 - square / threshold**2).clamp(min=0)
            fit = align(matches.source[None], matches.target[None], weights=weights[None])
            few = bool(fit.undetermined[0]) or int((weights > 0).sum()) < 3
            motion = motion if few else Motion(fit.rotation[0], fit.translation[0])
        assert torch.allclose(found.at(number).matrix(), motion.matrix(), atol=1e-8)


def test_hypotheses_without_inliers_stay() -> None:
    matches, _ = case()
    far = Motion(torch.eye(3, dtype=torch.float64)[None], torch.full((1, 3), 1e4, dtype=torch.float64))
    assert torch.equal(polished_together(far, matches, [1.0]).translation, far.translation)


def test_polishing_helps_rotations_that_are_off() -> None:
    matches, truth = case(outliers=0.8)
    generator = torch.Generator()
    rough = OneMatch(widths=(), rounds=0).solve(matches, 2.0, generator)
    found = OneMatch().solve(matches, 2.0, generator)
    assert float(rotation_error(found.motion.rotation, truth.rotation)) < 1.0
    assert int(found.inliers.sum()) > int(rough.inliers.sum())
    assert found.hypotheses == rough.hypotheses == len(matches)


def test_several_motions_differ_and_begin_with_the_best() -> None:
    matches, truth = case()
    several, tried = OneMatch().several(matches, 2.0, 10)
    assert tried == len(matches)
    assert 2 <= len(several) <= 10
    assert float(rotation_error(several[0][0].rotation, truth.rotation)) < 1.0
    assert several[0][1] == max(count for _, count in several)
    middle = matches.source.mean(0)
    for number, (motion, _) in enumerate(several):
        for other, _ in several[:number]:
            batch = Motion(motion.rotation[None], motion.translation[None])
            assert bool(different(batch, other, middle, 1.0)[0])


def test_places_come_in_their_order_and_no_more_than_asked_for() -> None:
    matches, _ = case()
    assert matches.rotations is not None
    motions = Motion(matches.rotations, torch.zeros_like(matches.source))
    order = scored(motions, matches, 2.0).soft.argsort(descending=True, stable=True)
    places = apart_from_another(motions, order, matches.source.mean(0), 2.0, 7)
    assert len(places) == 7
    assert places[0] == int(order[0])
    ranks = [order.tolist().index(place) for place in places]
    assert ranks == sorted(ranks)
