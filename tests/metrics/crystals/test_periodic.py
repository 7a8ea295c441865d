"""Distances in crystals: against a sum over many images, for cells as skewed as anyone makes them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqcli.metrics.crystals.periodic import shortest_basis, smallest_distance, sorted_distances

SEEDS = st.integers(0, 2**32 - 1)
IMAGES = np.array(list(itertools.product(range(-4, 5), repeat=3)))


def well_shaped(rng: np.random.Generator) -> np.ndarray:
    """A cell whose nearest images are within four cells."""
    while True:
        cell = rng.normal(size=(3, 3)) * rng.uniform(1, 4)
        heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        if heights.min() > 0.3 * np.linalg.norm(cell, axis=1).max():
            return cell


def skewing(rng: np.random.Generator) -> np.ndarray:
    """A whole matrix of determinant one or minus one, far from the identity."""
    matrix = np.eye(3)
    for _ in range(6):
        i, j = rng.permutation(3)[:2]
        matrix[i] += rng.integers(-3, 4) * matrix[j]
    return matrix * rng.choice([-1, 1])


def all_distances(cell: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Of each atom from all others and images, ascending, `[N, many]`."""
    fractions = positions @ np.linalg.inv(cell)
    steps = fractions[None] - fractions[:, None]
    vectors = (steps - np.round(steps))[:, :, None] @ cell + IMAGES @ cell
    distances = np.sort(np.linalg.norm(vectors, axis=-1).reshape(len(positions), -1), axis=1)
    return distances[:, 1:]  # Itself.


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.integers(1, 5))
def test_the_smallest_distance_is_right_for_any_description_of_the_lattice(seed: int, atoms: int) -> None:
    rng = np.random.default_rng(seed)
    cell = well_shaped(rng)
    positions = rng.uniform(-3, 3, (atoms, 3)) @ cell
    expected = all_distances(cell, positions).min()
    assert smallest_distance(skewing(rng) @ cell, positions) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_a_shortest_basis_spans_the_lattice_with_its_shortest_vectors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = well_shaped(rng)
    basis = shortest_basis(skewing(rng) @ cell)
    change = basis @ np.linalg.inv(cell)
    np.testing.assert_allclose(change, np.round(change), atol=1e-8)
    assert abs(np.linalg.det(change)) == pytest.approx(1)
    vectors = IMAGES[IMAGES.any(axis=1)] @ cell
    vectors = vectors[np.argsort(np.linalg.norm(vectors, axis=1))]
    rank, minima = 0, []
    for count, vector in enumerate(vectors, 1):
        if np.linalg.matrix_rank(vectors[:count], tol=1e-8) > rank:
            rank += 1
            minima.append(float(np.linalg.norm(vector)))
        if rank == 3:
            break
    np.testing.assert_allclose(np.linalg.norm(basis, axis=1), minima, rtol=1e-9)


@pytest.mark.parametrize("rows", [5, 1_000_000])
def test_sorted_distances_are_those_of_all_images(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eqcli.metrics.crystals.periodic.LARGEST_BLOCK", rows)
    rng = np.random.default_rng(1)
    cell = well_shaped(rng)
    positions = rng.uniform(0, 1, (6, 3)) @ cell
    found = sorted_distances(skewing(rng) @ cell, positions, 12)
    np.testing.assert_allclose(found, all_distances(cell, positions)[:, :12], atol=1e-8)


def test_one_atom_has_its_images_as_neighbours() -> None:
    fcc = 4.0 * (np.ones((3, 3)) - np.eye(3)) / 2
    np.testing.assert_allclose(sorted_distances(fcc, np.zeros((1, 3)), 12), np.full((1, 12), 4 / np.sqrt(2)))
    assert smallest_distance(fcc, np.zeros((1, 3))) == pytest.approx(4 / np.sqrt(2))


def test_a_needle_of_a_cell_is_judged_by_its_short_vector() -> None:
    cell = np.array([[40.0, 0, 0], [39.7, 0.1, 0], [0, 0, 30]])
    short = np.linalg.norm(cell[0] - cell[1])
    assert smallest_distance(cell, np.zeros((1, 3))) == pytest.approx(short)
