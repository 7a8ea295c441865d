"""Neighbour lists against two other libraries, and their properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list as ase_neighbour_list
from hypothesis import given, settings
from hypothesis import strategies as st
from matscipy.neighbours import neighbour_list as matscipy_neighbour_list

from eqcli.errors import InputError
from eqcli.graph.neighbours import complete_cell, neighbour_list

SKEWED = np.array([[2.0, 0.0, 0.0], [15.9, 3.0, 0.0], [-1.8, 12.9, 4.0]])
FCC = 2.0 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])


def pairs(positions, cell, pbc, cutoff) -> list[tuple[int, ...]]:
    (neighbour, centre), shift = neighbour_list(np.array(positions), np.array(cell), np.array(pbc), cutoff)
    return [(int(i), int(j), *map(int, s)) for i, j, s in zip(centre, neighbour, shift, strict=True)]


def reference_pairs(listing, positions, cell, pbc, cutoff) -> list[tuple[int, ...]]:
    atoms = Atoms(f"H{len(positions)}", positions=positions, cell=cell, pbc=pbc)
    i, j, shift = listing("ijS", atoms, cutoff)
    return sorted((int(a), int(b), *map(int, s)) for a, b, s in zip(i, j, shift, strict=True))


def scattered(n: int, width: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3)) * width


CASES = {
    "one atom, cutoff of many cells": ([[0.1, 0.2, 0.3]], np.eye(3) * 2.0, (1, 1, 1), 9.1),
    "one atom, skewed": ([[0.0, 0.0, 0.0]], SKEWED, (1, 1, 1), 7.3),
    "one atom, primitive fcc": ([[0.3, 0.0, 0.0]], FCC, (1, 1, 1), 8.1),
    "skewed": (scattered(5, 3.0), SKEWED, (1, 1, 1), 5.3),
    "far outside the cell": (scattered(5, 300.0), SKEWED, (1, 1, 1), 5.3),
    "left-handed": (scattered(4, 2.0), np.diag([2.0, 3.1, -4.2]), (1, 1, 1), 5.3),
    "left-handed, exchanged vectors": (scattered(4, 2.0), SKEWED[[1, 0, 2]], (1, 1, 1), 5.3),
    "slab": (scattered(6, 3.0), SKEWED, (1, 1, 0), 5.3),
    "slab in the first directions' place": (scattered(6, 3.0), SKEWED, (0, 1, 1), 5.3),
    "slab without a third vector": (scattered(6, 2.0), np.diag([3.0, 4.0, 0.0]), (1, 1, 0), 5.3),
    "wire": (scattered(6, 3.0), SKEWED, (0, 1, 0), 6.3),
    "wire without other vectors": (scattered(6, 2.0), np.diag([0.0, 0.0, 3.0]), (0, 0, 1), 6.3),
    "molecule": (scattered(9, 1.5), np.zeros((3, 3)), (0, 0, 0), 4.0),
    "molecule in a small box that does not count": (scattered(9, 1.5), np.eye(3), (0, 0, 0), 4.0),
    "molecule far from the origin": (200.0 + scattered(9, 1.5), np.zeros((3, 3)), (0, 0, 0), 4.0),
    "no pairs": (scattered(3, 500.0), np.zeros((3, 3)), (0, 0, 0), 4.0),
    "no pairs, periodic": ([[0.0, 0.0, 0.0]], np.eye(3) * 20.0, (1, 1, 1), 4.0),
    "many atoms": (scattered(150, 8.0), np.eye(3) * 14.0, (1, 1, 1), 4.0),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_same_pairs_as_ase(case):
    found = pairs(*case)
    assert len(found) == len(set(found))
    assert sorted(found) == reference_pairs(ase_neighbour_list, *case)


@pytest.mark.parametrize("name", [name for name in CASES if "without" not in name])
def test_same_pairs_as_matscipy(name):
    positions, cell, pbc, cutoff = CASES[name]
    if not any(pbc):
        # matscipy needs a box to bin the molecule.
        cell = np.eye(3) * 40.0
    found = pairs(positions, cell, pbc, cutoff)
    assert sorted(found) == reference_pairs(matscipy_neighbour_list, positions, cell, pbc, cutoff)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_sorted_by_centre_then_neighbour_then_shift(case):
    found = pairs(*case)
    assert found == sorted(found)


@pytest.mark.parametrize("cutoff", [3.0, 6.0, 12.0])
def test_tiny_cells_of_the_shared_data(shared: Path, cutoff):
    from ase.io import iread

    cells = list(iread(shared / "pet_methane" / "bulk_small_unit_cell.xyz", index=":"))
    assert len(cells) == 9
    for atoms in cells:
        case = (atoms.positions, atoms.cell.array, (True, True, True), cutoff)
        assert sorted(pairs(*case)) == reference_pairs(ase_neighbour_list, *case)


def test_no_atoms():
    edge_index, shift = neighbour_list(np.zeros((0, 3)), np.eye(3), np.ones(3, bool), 5.0)
    assert edge_index.shape == (2, 0)
    assert shift.shape == (0, 3)


def test_a_pair_at_the_cutoff_is_left_out():
    positions = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    assert pairs(positions, np.zeros((3, 3)), (0, 0, 0), 2.0) == []
    assert len(pairs(positions, np.zeros((3, 3)), (0, 0, 0), np.nextafter(2.0, 3.0))) == 2


def test_the_caller_keeps_its_arrays():
    positions, cell, pbc = scattered(4, 2.0), np.diag([3.0, 3.0, 0.0]), np.array([True, True, False])
    copies = positions.copy(), cell.copy(), pbc.copy()
    neighbour_list(positions, cell, pbc, 4.0)
    for now, before in zip((positions, cell, pbc), copies, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize(
    ("positions", "cell", "pbc", "said"),
    [
        ([[np.nan, 0, 0]], np.eye(3), (0, 0, 0), "position"),
        ([[0, np.inf, 0]], np.eye(3), (1, 1, 1), "position"),
        ([[1e300, 0, 0], [0, 0, 0]], np.eye(3), (0, 0, 0), "position"),
        ([[0, 0, 0]], np.zeros((3, 3)), (1, 1, 1), "along a, b, c"),
        ([[0, 0, 0]], np.diag([3.0, 0.0, 0.0]), (1, 1, 0), "along a, b"),
        ([[0, 0, 0]], np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]]), (1, 1, 1), "dependent"),
        ([[0, 0, 0]], np.diag([np.nan, 1.0, 1.0]), (1, 1, 1), "not finite"),
        ([[0, 0, 0]], np.diag([np.nan, 1.0, 1.0]), (1, 1, 0), "not finite"),
        ([[0, 0, 0], [0, 0, 1e7]], np.eye(3) * 5, (1, 1, 0), "apart"),
        ([[0, 0, 0]], np.eye(3) * 1e-3, (1, 1, 1), "pairs"),
    ],
)
def test_unusable_input_is_refused(positions, cell, pbc, said):
    with pytest.raises(InputError, match=said):
        neighbour_list(np.array(positions, dtype=float), cell, np.array(pbc, dtype=bool), 4.0)


def test_a_broken_box_around_a_molecule_does_not_matter():
    assert len(pairs([[0.0, 0, 0], [1.0, 0, 0]], np.full((3, 3), np.nan), (0, 0, 0), 2.0)) == 2


@pytest.mark.parametrize("pbc", [(1, 1, 0), (0, 1, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)])
def test_completed_cell_spans_space_with_unit_normals(pbc):
    pbc = np.array(pbc, dtype=bool)
    box = complete_cell(SKEWED, pbc)
    np.testing.assert_array_equal(box[pbc], SKEWED[pbc])
    free = box[~pbc]
    np.testing.assert_allclose(free @ free.T, np.eye(len(free)), atol=1e-12)
    np.testing.assert_allclose(free @ box[pbc].T, 0.0, atol=1e-12)


finite = st.floats(-6.0, 6.0, allow_nan=False).map(lambda x: round(x, 3))


@st.composite
def structures(draw):
    """Positions, a well-conditioned cell of either hand, any periodicity, and a cutoff."""
    n = draw(st.integers(1, 5))
    positions = np.array(draw(st.lists(finite, min_size=3 * n, max_size=3 * n))).reshape(n, 3)
    cell = np.diag([draw(st.floats(1.5, 6.0)) for _ in range(3)])
    for row, column in ((1, 0), (2, 0), (2, 1)):
        cell[row, column] = draw(finite)
    if draw(st.booleans()):
        cell = cell[[1, 0, 2]]
    return positions, cell, np.array([draw(st.booleans()) for _ in range(3)]), draw(st.floats(1.0, 5.0))


@settings(max_examples=60, deadline=None)
@given(structures())
def test_every_pair_is_within_the_cutoff_and_has_its_reverse(case):
    positions, cell, pbc, cutoff = case
    (neighbour, centre), shift = neighbour_list(positions, cell, pbc, cutoff)
    distance = np.linalg.norm(positions[neighbour] - positions[centre] + shift @ cell, axis=1)
    assert (distance < cutoff * (1 + 1e-12)).all()
    assert not shift[:, ~pbc].any()
    assert not ((neighbour == centre) & ~shift.any(axis=1)).any()
    forward = {(i, j, *s) for i, j, s in zip(centre.tolist(), neighbour.tolist(), shift.tolist(), strict=True)}
    assert forward == {(j, i, *(-a for a in s)) for i, j, *s in forward}


@settings(max_examples=60, deadline=None)
@given(structures(), st.lists(st.integers(-3, 3), min_size=15, max_size=15))
def test_moving_atoms_by_lattice_vectors_changes_shifts_alone(case, moves):
    positions, cell, pbc, cutoff = case
    shifts = np.array(moves).reshape(5, 3)[: len(positions)] * pbc
    moved = positions + shifts @ cell
    # Rounding may carry a pair over a cutoff that it touches: such draws say nothing.
    (neighbour, centre), images = neighbour_list(positions, cell, pbc, cutoff + 1e-6)
    distance = np.linalg.norm(positions[neighbour] - positions[centre] + images @ cell, axis=1)
    if (np.abs(distance - cutoff) < 1e-6).any():
        return
    (j, i), before = neighbour_list(positions, cell, pbc, cutoff)
    expected = {(a, b, *s) for a, b, s in zip(i, j, (before - shifts[j] + shifts[i]).tolist(), strict=True)}
    (j, i), after = neighbour_list(moved, cell, pbc, cutoff)
    assert {(a, b, *s) for a, b, s in zip(i, j, after.tolist(), strict=True)} == expected
