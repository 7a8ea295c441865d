"""One contract for every solver."""

from __future__ import annotations

import math

import pytest
import torch

from eqcli.errors import InputError
from eqcli.geometry.motions import Motion, random_rotation
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.solving import SOLVERS, Solved, make_solver
from tests.models.pointcloud.solver_case import THRESHOLD, Case, assert_same, case, errors, seeded

ALL = sorted(SOLVERS)
ROBUST = [name for name in ALL if name != "procrustes"]


def solve(name: str, matches: Matches, *, threshold: float = THRESHOLD, seed: int = 0) -> Solved:
    return make_solver(name).solve(matches, threshold, seeded(seed))


def hard(name: str) -> Case:
    """A case each solver solves: with outliers where it bears them."""
    return case(outliers=0.0 if name == "procrustes" else 0.6, noise=0.01, seed=5)


@pytest.mark.parametrize("name", ALL)
def test_exact_matches_give_the_exact_motion(name: str) -> None:
    given = case()
    found = solve(name, given.matches)
    assert_same(found.motion, given.truth, atol=1e-12)
    assert bool(found.inliers.all())
    assert found.rmse < 1e-12
    assert found.hypotheses >= 1
    assert found.motion.rotation.dtype == torch.float64


@pytest.mark.parametrize("name", ALL)
def test_float32_matches_are_solved_in_float64(name: str) -> None:
    given = case()
    m = given.matches
    assert m.rotations is not None
    narrow = Matches.of(m.source.float(), m.target.float(), rotations=m.rotations.float())
    found = solve(name, narrow)
    assert found.motion.rotation.dtype == torch.float64
    assert_same(found.motion, given.truth, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_turning_either_cloud_composes(name: str) -> None:
    given = hard(name)
    extra = Motion(random_rotation(seeded(9)), torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64))
    plain = solve(name, given.matches)
    m = given.matches
    assert m.rotations is not None
    turned = Matches.of(extra.apply(m.source), m.target, rotations=m.rotations @ extra.rotation.T)
    found = solve(name, turned)
    assert_same(extra.then(found.motion), plain.motion)
    assert torch.equal(found.inliers, plain.inliers)
    found = solve(name, m.moved(extra))
    assert_same(found.motion, plain.motion.then(extra))
    # The covariance stands in the target frame and turns with it.
    turn = extra.adjoint()
    torch.testing.assert_close(found.covariance, turn @ plain.covariance @ turn.T, atol=1e-12, rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_change_of_unit_scales_the_translation_alone(name: str) -> None:
    given = hard(name)
    m = given.matches
    plain = solve(name, m)
    large = solve(name, Matches.of(1000 * m.source, 1000 * m.target, rotations=m.rotations), threshold=100.0)
    torch.testing.assert_close(large.motion.rotation, plain.motion.rotation, atol=1e-9, rtol=0)
    torch.testing.assert_close(large.motion.translation, 1000 * plain.motion.translation, atol=1e-6, rtol=0)
    assert large.hypotheses == plain.hypotheses
    assert large.rmse == pytest.approx(1000 * plain.rmse)
    assert large.runner_up == pytest.approx(plain.runner_up)
    unit = torch.tensor([1000.0] * 3 + [1.0] * 3, dtype=torch.float64)
    torch.testing.assert_close(large.covariance, plain.covariance * unit * unit[:, None], rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_matches_does_not_matter(name: str) -> None:
    given = hard(name)
    order = torch.randperm(len(given.matches), generator=seeded(2))
    plain, shuffled = solve(name, given.matches), solve(name, given.matches.taken(order))
    assert_same(shuffled.motion, plain.motion)
    assert torch.equal(shuffled.inliers, plain.inliers[order])


@pytest.mark.parametrize("name", ROBUST)
@pytest.mark.parametrize("outliers", [0.3, 0.6, 0.9])
def test_outliers_are_left_out(name: str, outliers: float) -> None:
    given = case(400, outliers=outliers, noise=0.01, seed=3, turn=0.02)
    found = solve(name, given.matches)
    angle, shift = errors(found, given.truth)
    assert angle < 0.5
    assert shift < 0.03
    assert bool(found.inliers[given.good].all())
    assert int(found.inliers[~given.good].sum()) <= 4
    assert found.runner_up < 0.5


@pytest.mark.parametrize("name", ROBUST)
def test_without_a_common_motion_few_matches_are_inliers(name: str) -> None:
    found = solve(name, case(300, outliers=1.0, seed=4).matches)
    assert int(found.inliers.sum()) <= 8
    assert found.motion.matrix().isfinite().all()


@pytest.mark.parametrize("name", ROBUST)
def test_two_motions_that_fit_alike_show_in_the_runner_up(name: str) -> None:
    one, two = case(110, noise=0.005, seed=6), case(100, noise=0.005, seed=7)
    a, b = one.matches, two.matches
    assert a.rotations is not None
    assert b.rotations is not None
    turns = torch.cat([a.rotations, b.rotations])
    both = Matches.of(torch.cat([a.source, b.source]), torch.cat([a.target, b.target]), rotations=turns)
    found = solve(name, both)
    assert_same(found.motion, one.truth, atol=0.01)
    assert found.runner_up == pytest.approx(100 / 110, abs=0.06)


@pytest.mark.parametrize("name", ALL)
def test_too_few_matches_are_an_error(name: str) -> None:
    least = 1 if name == "one-match" else 3
    with pytest.raises(InputError, match="at least"):
        solve(name, case(least - 1).matches)
    given = case(least)
    assert_same(solve(name, given.matches).motion, given.truth)
    unweighted = given.matches.taken(torch.arange(least))
    none = torch.zeros(least, dtype=torch.float64)
    weightless = Matches.of(unweighted.source, unweighted.target, weights=none, rotations=unweighted.rotations)
    with pytest.raises(InputError, match="at least"):
        solve(name, weightless)


@pytest.mark.parametrize("name", [name for name in ALL if name != "one-match"])
def test_matches_on_one_line_are_an_error(name: str) -> None:
    given = case(20)
    line = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 3.0]).double()
    with pytest.raises(InputError, match="one line"):
        solve(name, Matches.of(line, given.truth.apply(line)))


def test_one_match_bears_a_line_because_every_match_has_its_rotation() -> None:
    given = case(20)
    line = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 3.0]).double()
    turns = given.truth.rotation.expand(20, 3, 3)
    found = solve("one-match", Matches.of(line, given.truth.apply(line), rotations=turns))
    assert_same(found.motion, given.truth)
    assert bool(found.inliers.all())
    assert bool(found.covariance.diagonal().isinf().all())


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("threshold", [0.0, -1.0, math.inf, math.nan])
def test_a_threshold_must_be_a_positive_length(name: str, threshold: float) -> None:
    with pytest.raises(InputError, match="threshold"):
        solve(name, case(20).matches, threshold=threshold)


@pytest.mark.parametrize("name", ALL)
def test_values_that_are_not_finite_and_negative_weights_are_errors(name: str) -> None:
    m = case(20).matches
    broken = m.source.clone()
    broken[3, 1] = math.nan
    with pytest.raises(InputError, match="finite"):
        solve(name, Matches.of(broken, m.target, rotations=m.rotations))
    weights = m.weights.clone()
    weights[0] = -1
    with pytest.raises(InputError, match="negative"):
        solve(name, Matches.of(m.source, m.target, weights=weights, rotations=m.rotations))


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_gives_the_same_bits(name: str) -> None:
    given = case(300, outliers=0.0 if name == "procrustes" else 0.8, noise=0.01, seed=8)
    first, second = solve(name, given.matches, seed=1), solve(name, given.matches, seed=1)
    assert torch.equal(first.motion.matrix(), second.motion.matrix())
    assert torch.equal(first.covariance, second.covariance)
    assert (first.hypotheses, first.rmse, first.runner_up) == (second.hypotheses, second.rmse, second.runner_up)


@pytest.mark.parametrize("name", ALL)
def test_matches_of_no_weight_have_no_say(name: str) -> None:
    good, bad = case(100, noise=0.01, seed=1), case(100, seed=2)
    a, b = good.matches, bad.matches
    assert a.rotations is not None
    assert b.rotations is not None
    weights = torch.cat([torch.ones(100), torch.zeros(100)]).double()
    source, target = torch.cat([a.source, b.source]), torch.cat([a.target, b.target])
    both = Matches.of(source, target, weights=weights, rotations=torch.cat([a.rotations, b.rotations]))
    assert_same(solve(name, both).motion, good.truth, atol=0.02)


@pytest.mark.parametrize("name", ALL)
def test_the_covariance_tells_the_errors_of_noisy_matches(name: str) -> None:
    """Mahalanobis distances of the errors follow chi^2 of six degrees of freedom."""
    squares = []
    for trial in range(120):
        given = case(60, noise=0.01, seed=100 + trial)
        settings = {"limit": 40} if name in ("ransac", "one-match") else {}
        found = make_solver(name, **settings).solve(given.matches, THRESHOLD, seeded())
        error = given.truth.inverse().then(found.motion).log()
        squares.append(float(error @ torch.linalg.solve(found.covariance, error)))
    values = torch.tensor(squares)
    assert float(values.mean()) == pytest.approx(6.0, rel=0.2)
    # Quantiles of chi^2(6): a half below 5.35, nine tenths below 10.64.
    assert float((values < 5.35).float().mean()) == pytest.approx(0.5, abs=0.12)
    assert float((values < 10.64).float().mean()) == pytest.approx(0.9, abs=0.08)


def test_an_unknown_solver_or_setting_is_an_error() -> None:
    with pytest.raises(InputError, match="no solver is called"):
        make_solver("magic")
    with pytest.raises(InputError, match="setting"):
        make_solver("ransac", rolls=3)
