"""Poses of many clouds from motions between pairs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.stats import chi2

from eqcli.models.pointcloud.pose_graph import REJECTED, Edge, fit_poses
from eqcli.models.pointcloud.pose_tree import components
from eqcli.models.pointcloud.rigid_algebra import about, adjoint, bracket, exponential, inverse, logarithm

FloatArray = NDArray[np.float64]
TRANSLATION, TURN = 0.02, 0.01
COVARIANCE = np.diag([TRANSLATION**2] * 3 + [TURN**2] * 3)


def drawn_poses(count: int, generator: np.random.Generator, spread: float = 3.0) -> FloatArray:
    poses = exponential(np.concatenate([generator.normal(size=(count, 3)), generator.normal(size=(count, 3))], axis=1))
    poses[:, :3, 3] = spread * generator.normal(size=(count, 3))
    poses[0] = np.eye(4)
    return poses


def edge_between(
    poses: FloatArray, source: int, target: int, noise: FloatArray | None = None, weight: float = 1.0
) -> Edge:
    motion = inverse(poses[target]) @ poses[source]
    if noise is not None:
        motion = exponential(-noise[None])[0] @ motion
    return Edge(source, target, motion, COVARIANCE, weight)


def noise(generator: np.random.Generator) -> FloatArray:
    return generator.multivariate_normal(np.zeros(6), COVARIANCE)


def ring(count: int, steps: tuple[int, ...] = (1, 2)) -> list[tuple[int, int]]:
    return [(i, (i + step) % count) if i % 2 else ((i + step) % count, i) for step in steps for i in range(count)]


def worst(poses: FloatArray, truth: FloatArray) -> tuple[float, float]:
    """Largest error of translations and of rotations (radians)."""
    off = logarithm(inverse(truth) @ poses)
    return float(np.abs(poses[:, :3, 3] - truth[:, :3, 3]).max()), float(np.linalg.norm(off[:, 3:], axis=1).max())


def test_the_bracket_generates_the_adjoint() -> None:
    twists = np.random.default_rng(0).normal(size=(5, 6))
    np.testing.assert_allclose(expm(bracket(twists)), adjoint(exponential(twists)), atol=1e-12)


def test_a_covariance_about_a_point_is_carried_to_the_origin() -> None:
    generator = np.random.default_rng(1)
    point, square = np.array([2.0, -1.0, 0.5]), 1e-4 * generator.normal(size=(6, 6))
    turns = exponential(generator.multivariate_normal(np.zeros(6), square @ square.T, size=4000))
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = point, -point
    measured = np.cov(logarithm(there @ turns @ back).T)
    expected = about(square @ square.T, point)
    np.testing.assert_allclose(measured, expected, atol=0.1 * np.abs(expected).max())


def test_consistent_edges_give_the_exact_poses_in_the_frame_of_the_reference() -> None:
    truth = drawn_poses(9, np.random.default_rng(2))
    found = fit_poses(9, [edge_between(truth, *ends) for ends in ring(9)])
    assert found.fits.all()
    assert found.reached.all()
    np.testing.assert_allclose(found.poses, truth, atol=1e-10)
    np.testing.assert_array_equal(found.poses[0], np.eye(4))
    np.testing.assert_allclose(found.squared, 0, atol=1e-10)


@pytest.mark.parametrize("reference", [0, 4])
def test_the_reference_stays_and_the_choice_of_it_moves_all_alike(reference: int) -> None:
    generator = np.random.default_rng(3)
    truth = drawn_poses(7, generator)
    edges = [edge_between(truth, *ends, noise(generator)) for ends in ring(7)]
    found, other = fit_poses(7, edges, reference), fit_poses(7, edges, 2)
    np.testing.assert_array_equal(found.poses[reference], np.eye(4))
    np.testing.assert_array_equal(found.deviations[reference], 0)
    np.testing.assert_allclose(found.poses, inverse(other.poses[reference]) @ other.poses, atol=1e-8)


def test_noisy_edges_fit_better_than_the_tree_and_errors_are_as_large_as_stated() -> None:
    generator = np.random.default_rng(4)
    pairs = ring(8, (1, 2, 3))
    graph, tree, squares = [], [], []
    for _ in range(25):
        truth = drawn_poses(8, generator)
        edges = [edge_between(truth, *ends, noise(generator)) for ends in pairs]
        along = [edge for edge in edges if {edge.source, edge.target} in [{k, k + 1} for k in range(7)]]
        found = fit_poses(8, edges)
        graph.append(worst(found.poses, truth))
        tree.append(worst(fit_poses(8, along).poses, truth))
        off = logarithm(truth[1:] @ inverse(found.poses[1:]))
        squares.append((off / found.deviations[1:]) ** 2)
        assert found.fits.mean() > 0.95
    assert (np.mean(graph, axis=0) < 0.6 * np.mean(tree, axis=0)).all()
    assert np.mean(squares) == pytest.approx(1.0, abs=0.15)


def test_the_minimum_is_that_of_all_perturbations() -> None:
    generator = np.random.default_rng(5)
    truth = drawn_poses(5, generator)
    edges = [edge_between(truth, *ends, noise(generator)) for ends in ring(5)]
    found = fit_poses(5, edges)
    assert found.fits.all()

    def total(poses: FloatArray) -> float:
        return sum(
            float(off @ np.linalg.solve(edge.covariance, off))
            for edge in edges
            for off in logarithm((inverse(poses[edge.target]) @ poses[edge.source] @ inverse(edge.motion))[None])
        )

    least = total(found.poses)
    assert least == pytest.approx(found.squared.sum(), rel=1e-9)
    for _ in range(50):
        step = np.zeros((5, 6))
        step[1:] = 1e-4 * generator.normal(size=(4, 6))
        assert total(exponential(step) @ found.poses) > least


@pytest.mark.parametrize("weight", [0.1, 1.0, 100.0])
def test_one_wrong_edge_is_rejected_however_far_it_is_trusted(weight: float) -> None:
    generator = np.random.default_rng(6)
    truth = drawn_poses(6, generator)
    edges = [edge_between(truth, *ends, noise(generator)) for ends in ring(6)]
    clean = fit_poses(6, edges)
    wrong = Edge(1, 4, drawn_poses(2, generator)[1], COVARIANCE, weight)
    found = fit_poses(6, [*edges, wrong])
    assert found.fits.tolist() == [True] * len(edges) + [False]
    assert found.squared[-1] > REJECTED
    np.testing.assert_allclose(found.poses, clean.poses, atol=1e-8)


def test_many_wrong_edges_are_told_from_right_ones() -> None:
    generator = np.random.default_rng(7)
    truth = drawn_poses(20, generator)
    edges = [edge_between(truth, *ends, noise(generator)) for ends in ring(20, (1, 2, 3))]
    wrong = generator.permutation(len(edges))[: len(edges) // 4]
    for k in wrong:
        edges[k] = Edge(edges[k].source, edges[k].target, drawn_poses(2, generator)[1], COVARIANCE, 3.0)
    found = fit_poses(20, edges)
    assert found.reached.all()
    assert set(np.flatnonzero(~found.fits)) == set(wrong)
    assert worst(found.poses, truth)[0] < 5 * TRANSLATION * 3


def test_clouds_without_a_way_to_the_reference_are_not_reached() -> None:
    truth = drawn_poses(7, np.random.default_rng(8))
    found = fit_poses(7, [edge_between(truth, *ends) for ends in [(0, 1), (1, 2), (3, 4), (4, 5)]], reference=1)
    assert found.reached.tolist() == [True, True, True, False, False, False, False]
    assert found.fits.tolist() == [True, True, False, False]
    assert np.isnan(found.squared[2:]).all()
    np.testing.assert_allclose(found.poses[2], inverse(truth[1]) @ truth[2], atol=1e-12)


def test_a_graph_without_edges_is_its_reference() -> None:
    found = fit_poses(3, [], reference=2)
    assert found.reached.tolist() == [False, False, True]


def test_two_motions_of_one_pair_that_contradict_each_other_do_not_both_fit() -> None:
    generator = np.random.default_rng(9)
    truth = drawn_poses(2, generator)
    right = [edge_between(truth, 1, 0), edge_between(truth, 0, 1)]
    found = fit_poses(2, [*right, Edge(0, 1, np.eye(4), COVARIANCE, 5.0)])
    assert found.fits.tolist() == [True, True, False]
    np.testing.assert_allclose(found.poses, truth, atol=1e-9)


def test_large_coordinates_lose_no_digits_that_matter() -> None:
    generator = np.random.default_rng(10)
    truth = drawn_poses(6, generator, spread=1e5)
    found = fit_poses(6, [edge_between(truth, *ends) for ends in ring(6)])
    assert found.fits.all()
    np.testing.assert_allclose(found.poses[:, :3, 3], truth[:, :3, 3], atol=1e-5)


@pytest.mark.parametrize("ends", [(1, 1), (0, 5), (-1, 0)])
def test_edges_join_two_known_clouds(ends: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="joins two different clouds"):
        fit_poses(3, [Edge(*ends, np.eye(4), COVARIANCE)])


def test_components_are_numbered() -> None:
    edges = [Edge(0, 2, np.eye(4), COVARIANCE), Edge(3, 4, np.eye(4), COVARIANCE)]
    part = components(5, edges)
    assert part[0] == part[2]
    assert part[3] == part[4]
    assert len(set(part)) == 3


def test_the_limit_of_rejection_is_that_of_the_distribution() -> None:
    assert chi2.sf(REJECTED, 6) == pytest.approx(1e-4)
