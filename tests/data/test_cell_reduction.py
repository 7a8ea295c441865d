from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk, make_supercell
from ase.geometry import get_distances
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eqcli.data.cell_reduction import NOTE, reduced
from eqcli.errors import InputError, Where
from eqcli.io.structure import Structure

Array = NDArray[np.float64]
seeds = st.integers(0, 2**31)


def unimodular(rng: np.random.Generator, steps: int = 5) -> Array:
    """A change of basis, of either handedness."""
    matrix = np.eye(3)
    for _ in range(steps):
        one, other = rng.permutation(3)[:2]
        matrix[one] += int(rng.integers(-2, 3)) * matrix[other]
    return matrix * rng.choice([-1.0, 1.0])


def random_crystal(seed: int) -> Structure:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    cell = np.diag(rng.uniform(2, 6, 3)) + 0.4 * rng.normal(size=(3, 3))
    return Structure(
        numbers=rng.choice([3, 8, 22], n),
        positions=rng.uniform(-1, 2, (n, 3)) @ cell,
        cell=unimodular(rng) @ cell,
        pbc=True,
        energy=-1.5 * n,
        forces=rng.normal(size=(n, 3)),
        stress=np.diag([1.0, 2.0, 3.0]),
        info={"material_id": "mp-1"},
        arrays={"site": np.arange(n)},
    )


def distances(structure: Structure, cell: Array) -> Array:
    """Distances of all pairs, found with a cell of the same lattice that is not skewed."""
    return get_distances(structure.positions, structure.positions, cell=cell, pbc=True)[1]


def is_niggli(cell: Array, eps: float = 1e-5) -> bool:
    """The conditions of Krivy and Gruber, as Grosse-Kunstleve et al. (Acta Cryst. A 60, 1, 2004) list them."""
    gram = cell @ cell.T / np.linalg.det(cell) ** (2 / 3)
    a, b, c = gram.diagonal()
    xi, eta, zeta = 2 * gram[1, 2], 2 * gram[0, 2], 2 * gram[0, 1]
    lower = a <= b + eps and b <= c + eps
    lower &= abs(xi) <= b + eps and abs(eta) <= a + eps and abs(zeta) <= a + eps
    acute = min(xi, eta, zeta) > -eps
    obtuse = max(xi, eta, zeta) < eps
    return bool(lower and (acute or obtuse) and (acute or xi + eta + zeta + a + b >= -eps))


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_the_reduced_cell_is_one_of_the_same_crystal_and_keeps_every_label(seed: int) -> None:
    crystal = random_crystal(seed)
    found = reduced(crystal)
    assert is_niggli(found.cell)
    assert np.linalg.det(found.cell) == pytest.approx(crystal.volume, rel=1e-9)
    change = found.cell @ np.linalg.inv(crystal.cell)
    np.testing.assert_allclose(change, np.rint(change), atol=1e-6)
    # Atoms, their order and their places stay, and so all that is said of them.
    assert np.array_equal(found.numbers, crystal.numbers)
    assert np.array_equal(found.positions, crystal.positions)
    assert found.energy == crystal.energy
    assert found.forces is crystal.forces
    assert found.stress is crystal.stress
    assert (found.info, found.arrays) == (crystal.info, crystal.arrays)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_reducing_twice_changes_nothing_and_any_cell_of_a_lattice_has_the_same_one(seed: int) -> None:
    crystal = random_crystal(seed)
    found = reduced(crystal)
    np.testing.assert_allclose(reduced(found).cell, found.cell, atol=1e-9)
    rng = np.random.default_rng(seed + 1)
    other = reduced(Structure(crystal.numbers, crystal.positions, unimodular(rng) @ crystal.cell, True))
    np.testing.assert_allclose(other.cell @ other.cell.T, found.cell @ found.cell.T, atol=1e-6)
    np.testing.assert_allclose(distances(other, found.cell), distances(found, found.cell), atol=1e-9)
    assert np.linalg.det(found.cell) > 0
    assert np.linalg.det(other.cell) > 0


def supercell(seed: int) -> tuple[Structure, Structure]:
    """A crystal whose cell is primitive, and a supercell of it in a skewed basis, with its atoms in any order."""
    rng = np.random.default_rng(seed)
    small = bulk("NaCl", "rocksalt", a=5.64) if seed % 2 else bulk("Mg", "hcp", a=3.2, c=5.2)
    multiple = np.diag(rng.integers(1, 4, 3)).astype(int)
    large = make_supercell(small, np.rint(unimodular(rng) @ multiple).astype(int))
    order = rng.permutation(len(large))
    n = len(large)
    return Structure(small.numbers, small.positions, small.cell.array, True), Structure(
        numbers=large.numbers[order],
        positions=large.positions[order],
        cell=large.cell.array,
        pbc=True,
        energy=-3.0 * n,
        forces=np.tile([0.1, -0.2, 0.3], (n, 1)),
        stress=np.diag([1.0, 2.0, 3.0]),
        charge=0.5 * n,
        info={"material_id": "mp-1"},
        arrays={"kind": large.numbers[order] * 2},
    )


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_the_primitive_cell_of_a_supercell_is_the_cell_that_it_was_made_of(seed: int) -> None:
    small, large = supercell(seed)
    found = reduced(large, primitive=True)
    assert found.volume == pytest.approx(small.volume, rel=1e-9)
    assert sorted(found.numbers) == sorted(small.numbers)
    assert is_niggli(found.cell)
    times = np.linalg.inv(found.cell.T) @ large.cell.T
    np.testing.assert_allclose(times, np.rint(times), atol=1e-6)
    # Every atom of the supercell lies on an image of the atom that stands for it.
    apart = get_distances(large.positions, found.positions, cell=found.cell, pbc=True)[1]
    assert float(apart.min(axis=1).max()) < 1e-6
    assert np.array_equal(found.numbers[apart.argmin(axis=1)], large.numbers)
    assert found.energy == pytest.approx(-3.0 * len(found))
    assert found.charge == pytest.approx(0.5 * len(found))
    assert found.forces is not None
    np.testing.assert_allclose(found.forces, np.tile([0.1, -0.2, 0.3], (len(found), 1)))
    assert found.stress is large.stress
    assert found.arrays["kind"].tolist() == (found.numbers * 2).tolist()
    assert found.info == large.info
    again = reduced(found, primitive=True)
    np.testing.assert_allclose(again.cell, found.cell, atol=1e-9)
    assert np.array_equal(again.positions, found.positions)


def iron(moments: list[float]) -> Structure:
    atoms = bulk("Fe", "bcc", a=2.87, cubic=True)
    return Structure(atoms.numbers, atoms.positions, atoms.cell.array, True, arrays={"magmoms": np.array(moments)})


def test_labels_that_differ_between_equivalent_atoms_are_dropped_and_named() -> None:
    kept = reduced(iron([2.2, 2.2]), primitive=True)
    assert len(kept) == 1
    assert kept.arrays["magmoms"].tolist() == [2.2]
    assert NOTE not in kept.info
    antiferromagnet = iron([2.2, -2.2])
    antiferromagnet.fixed = np.array([True, False])
    lost = reduced(antiferromagnet, primitive=True)
    assert "magmoms" not in lost.arrays
    assert lost.fixed is None
    assert "fixed" in lost.info[NOTE]
    assert "magmoms" in lost.info[NOTE]


def test_the_order_of_first_atoms_is_kept_and_the_places_of_images_are_averaged() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64).repeat((2, 1, 1))
    atoms.positions[0] += [0.004, 0, 0]
    crystal = Structure(atoms.numbers, atoms.positions, atoms.cell.array, True)
    found = reduced(crystal, primitive=True, symprec=0.05)
    assert found.numbers.tolist() == [11, 17]
    np.testing.assert_allclose(found.positions, [[0.002, 0, 0], [2.82, 0, 0]], atol=1e-9)
    assert len(reduced(crystal, primitive=True, symprec=1e-4)) == 4


def test_a_left_handed_cell_is_turned_without_mirroring_the_crystal() -> None:
    crystal = random_crystal(5)
    crystal.cell = crystal.cell[[1, 0, 2]] if np.linalg.det(crystal.cell) > 0 else crystal.cell
    found = reduced(crystal, niggli=False)
    assert np.array_equal(found.cell, -crystal.cell)
    assert np.array_equal(found.positions, crystal.positions)


def test_what_has_no_cell_to_reduce_is_refused_by_name() -> None:
    place = Where("water.xyz", frame=3)
    with pytest.raises(InputError, match=r"water\.xyz, frame 3.*three periods"):
        reduced(Structure([8], [[0, 0, 0]], where=place))
    flat = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])
    with pytest.raises(InputError, match="no volume"):
        reduced(Structure([8], [[0, 0, 0]], flat, True))
    with pytest.raises(InputError, match="not finite"):
        reduced(Structure([8], [[np.nan, 0, 0]], np.eye(3), True))
    overlapping = Structure([8, 8], np.zeros((2, 3)), 4 * np.eye(3), True)
    with pytest.raises(InputError, match="spglib"):
        reduced(overlapping, primitive=True)
