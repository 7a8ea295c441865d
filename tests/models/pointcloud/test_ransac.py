from __future__ import annotations

import math

import pytest
import torch

from eqcli.geometry.kabsch import align
from eqcli.geometry.motions import Motion
from eqcli.geometry.rotations import random_rotations
from eqcli.models.pointcloud.hypotheses import BLOCK, different, polished, scored, squared_residuals
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.one_match import OneMatch
from eqcli.models.pointcloud.ransac import Ransac, drawn_triples, draws_needed, triangle_motions
from tests.models.pointcloud.solver_case import THRESHOLD, assert_same, case, seeded


def motions(n: int, seed: int = 0) -> Motion:
    g = seeded(seed)
    return Motion(random_rotations(n, generator=g), torch.randn(n, 3, dtype=torch.float64, generator=g))


def test_triangles_are_laid_on_one_another_as_kabsch_does() -> None:
    g = seeded()
    source = torch.randn(200, 3, 3, dtype=torch.float64, generator=g)
    target = source @ random_rotations(200, generator=g).mT + 0.1 * torch.randn(200, 3, 3, generator=g).double() + 5
    found, wanted = triangle_motions(source, target), align(source, target)
    sharp = ~wanted.undetermined & (wanted.rmsd < 0.1)
    assert int(sharp.sum()) > 100
    torch.testing.assert_close(found.rotation[sharp], wanted.rotation[sharp], atol=1e-9, rtol=0)
    torch.testing.assert_close(found.translation[sharp], wanted.translation[sharp], atol=1e-9, rtol=0)
    torch.testing.assert_close(torch.linalg.det(found.rotation), torch.ones(200, dtype=torch.float64))


def test_triples_are_of_different_numbers_and_all_equally_probable() -> None:
    triples = drawn_triples(4, 48_000, seeded())
    assert int(triples.min()) == 0
    assert int(triples.max()) == 3
    codes, counts = (triples @ torch.tensor([16, 4, 1])).unique(return_counts=True)
    assert len(codes) == 4 * 3 * 2
    assert len(triples.sort(dim=1).values.unique(dim=0)) == 4
    # 2000 each, with a standard deviation of 44.
    assert float((counts - 2000).abs().max()) < 200


def test_the_number_of_draws_is_that_of_the_binomial() -> None:
    assert draws_needed(0.5, 0.99) == pytest.approx(math.log(0.01) / math.log(0.875))
    assert draws_needed(1.0, 0.99) == 1
    assert math.isinf(draws_needed(0.0, 0.99))
    assert math.isinf(draws_needed(0.5, 1.0))


def test_ransac_stops_early_where_it_may_and_keeps_its_limit() -> None:
    easy = case(300, outliers=0.3, noise=0.01).matches
    assert Ransac().solve(easy, THRESHOLD, seeded()).hypotheses < 1000
    assert Ransac(confidence=1.0, limit=3000).solve(easy, THRESHOLD, seeded()).hypotheses == 3000
    assert Ransac(limit=7).solve(easy, THRESHOLD, seeded()).hypotheses == 7


def test_triangles_that_differ_are_never_scored() -> None:
    given = case(300, outliers=0.9, noise=0.005, seed=2)
    strict = Ransac(confidence=1.0, draws=20_000).solve(given.matches, THRESHOLD, seeded())
    # A triple of 27 000 is true; chance lets some more pass, far from all.
    assert strict.hypotheses < 4000
    loose = Ransac(confidence=1.0, draws=20_000, edge_ratio=0.0).solve(given.matches, THRESHOLD, seeded())
    assert loose.hypotheses > 15_000


def test_all_residuals_are_those_of_one_motion_after_the_other() -> None:
    given, trial = case(50, extent=100.0).matches, motions(20)
    away = torch.tensor([1e5, -1e6, 10.0], dtype=torch.float64)
    far = Matches.of(given.source, given.target + away)
    found = squared_residuals(Motion(trial.rotation, trial.translation + away), far)
    for h in range(20):
        wanted = (trial.at(h).apply(given.source) - given.target).square().sum(1)
        torch.testing.assert_close(found[h], wanted, atol=1e-5, rtol=1e-9)


def test_scores_are_the_sums_over_inliers_in_any_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = case(60, outliers=0.3, noise=0.02)
    weights = torch.rand(60, generator=seeded(1), dtype=torch.float64)
    weighted = Matches.of(given.matches.source, given.matches.target, weights=weights)
    near = given.truth.then(Motion.exp(0.02 * torch.randn(30, 6, generator=seeded(2), dtype=torch.float64)))
    whole = scored(near, weighted, THRESHOLD)
    for h in range(30):
        r = (near.at(h).apply(weighted.source) - weighted.target).norm(dim=1)
        inside = r <= THRESHOLD
        assert int(whole.count[h]) == int(inside.sum())
        assert float(whole.weight[h]) == pytest.approx(float(weights[inside].sum()))
        soft = (weights * (1 - (r / THRESHOLD) ** 2))[inside].sum()
        assert float(whole.soft[h]) == pytest.approx(float(soft))
    assert BLOCK > 1000
    monkeypatch.setattr("eqcli.models.pointcloud.hypotheses.BLOCK", 150)
    blocks = scored(near, weighted, THRESHOLD)
    torch.testing.assert_close(blocks.soft, whole.soft)
    assert torch.equal(blocks.count, whole.count)


def test_polishing_never_gives_a_worse_motion() -> None:
    given = case(200, outliers=0.7, noise=0.03, seed=3).matches
    starts = motions(40)
    before = scored(starts, given, THRESHOLD).soft
    for h in range(40):
        after = polished(starts.at(h), given, THRESHOLD)
        batch = Motion(after.rotation[None], after.translation[None])
        assert float(scored(batch, given, THRESHOLD).soft[0]) >= float(before[h]) - 1e-12


def test_motions_differ_by_their_angle_or_by_where_the_middle_goes() -> None:
    centre = torch.tensor([1000.0, 0.0, 0.0], dtype=torch.float64)
    best = Motion.identity()
    twists = torch.zeros(4, 6, dtype=torch.float64)
    twists[0, 5] = math.radians(14)
    twists[1, 5] = math.radians(16)
    twists[2, 0], twists[3, 0] = 0.9, 1.1
    trial = Motion.exp(twists)
    # Turns about the middle leave it where it is, however far it lies from the origin.
    about = trial.translation + centre - (trial.rotation @ centre)
    about[2:] = trial.translation[2:]
    assert different(Motion(trial.rotation, about), best, centre, 0.1).tolist() == [False, True, False, True]


def test_one_match_takes_the_most_trusted_first() -> None:
    given = case(100, outliers=0.9, seed=4)
    m = given.matches
    weights = torch.where(given.good, 2.0, 1.0).double()
    trusted = Matches.of(m.source, m.target, weights=weights, rotations=m.rotations)
    found = OneMatch(limit=1).solve(trusted, THRESHOLD, seeded())
    assert found.hypotheses == 1
    assert_same(found.motion, given.truth)
    assert OneMatch(limit=30).solve(m, THRESHOLD, seeded()).hypotheses == 30
    # One hypothesis leaves nothing that could be a runner-up.
    assert found.runner_up == 0.0


def test_weights_count_as_inverse_variances() -> None:
    given = case(400, noise=0.0, seed=5)
    g = seeded(6)
    sigma = torch.where(torch.rand(400, generator=g) < 0.5, 0.002, 0.03).double()
    noisy = given.matches.target + sigma[:, None] * torch.randn(400, 3, generator=g, dtype=torch.float64)
    errors = []
    for weights in (sigma**-2, torch.ones(400, dtype=torch.float64)):
        found = Ransac().solve(Matches.of(given.matches.source, noisy, weights=weights), 0.3, seeded())
        errors.append(float((found.motion.matrix() - given.truth.matrix()).norm()))
        step = given.truth.inverse().then(found.motion).log()
        assert float(step @ torch.linalg.solve(found.covariance, step)) < 20
    assert errors[0] < errors[1]
