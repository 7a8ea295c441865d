"""Fingerprints do not see how a crystal is written down, and coverage counts what is near."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.elements import NUMBERS
from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.metrics.crystal_coverage import Cutoffs, Prints, calibrated, coverage, nearest, stacked
from eqcli.metrics.crystal_elements import PROPERTIES, element_table
from eqcli.metrics.crystal_fingerprints import composition_fingerprint, structure_fingerprint
from eqcli.metrics.crystal_order_parameters import order_parameter_fingerprint
from tests.rotations import random_rotation


def crystal(seed: int = 0, symbols: tuple[str, ...] = ("Ca", "Ti", "O", "O", "O")) -> Structure:
    rng = np.random.default_rng(seed)
    cell = 4.0 * np.eye(3) + rng.normal(0, 0.3, (3, 3))
    numbers = np.array([NUMBERS[symbol] for symbol in symbols])
    return Structure(numbers, rng.random((len(numbers), 3)) @ cell, cell=cell, pbc=np.ones(3, dtype=bool))


def rocksalt(symbols: tuple[str, str] = ("Na", "Cl"), edge: float = 5.64) -> Structure:
    cell = edge / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    numbers = np.array([NUMBERS[symbol] for symbol in symbols])
    return Structure(numbers, np.array([[0.0] * 3, [edge / 2, 0, 0]]), cell=cell, pbc=np.ones(3, dtype=bool))


def rewritten(structure: Structure, seed: int) -> Structure:
    """The same crystal: turned, mirrored, moved, another cell of twice the size, atoms in another order."""
    rng = np.random.default_rng(seed)
    turn = -np.asarray(random_rotation(seed))
    cell = np.array([[1, 1, 0], [0, 1, 2], [0, 0, 2]]) @ structure.cell
    positions = np.concatenate([structure.positions, structure.positions + structure.cell[2]])
    positions += rng.integers(-2, 3, (len(positions), 3)) @ cell + rng.random(3)
    order = rng.permutation(len(positions))
    numbers = np.tile(structure.numbers, 2)
    return replace(structure, numbers=numbers[order], positions=(positions @ turn.T)[order], cell=cell @ turn.T)


@pytest.mark.parametrize("structure", [crystal(1), crystal(2, ("Fe",) * 4), rocksalt()])
def test_structure_fingerprint_is_of_the_crystal(structure: Structure) -> None:
    whole = structure_fingerprint(structure)
    np.testing.assert_allclose(structure_fingerprint(rewritten(structure, 3)), whole, atol=1e-8)
    first = np.arange(len(structure)) == 0
    moved = replace(structure, positions=structure.positions + 0.2 * first[:, None] * [1, 0, 0])
    assert np.linalg.norm(structure_fingerprint(moved) - whole) > 1e-2


def test_structure_fingerprint_is_continuous_where_neighbours_are_equally_far() -> None:
    """In rock salt whole shells have one distance; no choice among them may show."""
    whole, rng = rocksalt(), np.random.default_rng(0)
    shaken = replace(whole, positions=whole.positions + rng.normal(0, 1e-5, (2, 3)))
    gap = np.linalg.norm(structure_fingerprint(shaken) - structure_fingerprint(whole))
    assert 0 < gap < 1e-3


def test_structure_fingerprint_tells_prototypes_and_volumes_apart() -> None:
    salt = structure_fingerprint(rocksalt())
    caesium = replace(rocksalt(), cell=np.eye(3) * 3.553, positions=np.array([[0.0] * 3, [1.7765] * 3]))
    assert caesium.volume == pytest.approx(rocksalt().volume, rel=1e-3)
    assert np.linalg.norm(structure_fingerprint(caesium) - salt) > 0.1
    assert np.linalg.norm(structure_fingerprint(rocksalt(edge=6.2)) - salt) > 0.3
    np.testing.assert_allclose(structure_fingerprint(rocksalt(("Cl", "Na"))), salt, atol=1e-12)


def test_no_fingerprint_without_a_crystal() -> None:
    with pytest.raises(InputError, match="volume"):
        structure_fingerprint(replace(rocksalt(), cell=np.zeros((3, 3))))
    with pytest.raises(InputError, match="without atoms"):
        composition_fingerprint(Structure(np.zeros(0), np.zeros((0, 3))))


def test_composition_fingerprint_counts_shares() -> None:
    titanate = composition_fingerprint(crystal(1)).reshape(6, len(PROPERTIES))
    np.testing.assert_allclose(composition_fingerprint(rewritten(crystal(1), 0)), titanate.ravel())
    place = PROPERTIES.index("electronegativity")
    calcium, titanium, oxygen = (element_table()[NUMBERS[s], place] for s in ("Ca", "Ti", "O"))
    mean = (calcium + titanium + 3 * oxygen) / 5
    deviation = (abs(calcium - mean) + abs(titanium - mean) + 3 * abs(oxygen - mean)) / 5
    expected = [calcium, oxygen, oxygen - calcium, mean, deviation, oxygen]
    np.testing.assert_allclose(titanate[:, place], expected)


def test_element_table_has_known_electrons() -> None:
    columns = [PROPERTIES.index(name) for name in ("s electrons", "p electrons", "d electrons", "d holes", "p holes")]
    assert element_table()[NUMBERS["Fe"], columns].tolist() == [2, 0, 6, 4, 0]
    assert element_table()[NUMBERS["O"], columns].tolist() == [2, 4, 0, 0, 2]
    assert np.isfinite(element_table()).all()


def test_order_parameters_know_the_octahedron() -> None:
    """Both atoms of rock salt have six neighbours: the likelihood of six is one, and the octahedron is perfect."""
    found = order_parameter_fingerprint(rocksalt())
    assert found.shape == (61,)
    np.testing.assert_allclose(order_parameter_fingerprint(rewritten(rocksalt(), 1)), found, atol=1e-3)
    # One entry each for the likelihoods; motifs before six neighbours: 1 + 5 + 3 + 5 + 3.
    six = 5 + 17
    assert found[six] == pytest.approx(1.0, abs=0.02)
    assert found[six + 2] == pytest.approx(1.0, abs=0.05)  # hexagonal, octahedral, pentagonal
    assert found[six + 2] > found[six + 1]


def prints(values: list[float]) -> Prints:
    rows = [np.array([value, 0.0]) for value in values]
    return stacked(rows, rows)


def test_coverage_counts_both_ways() -> None:
    reference, generated = prints([0, 1, 2, 10]), prints([0.05, 0.1, 1.9, 50])
    found = coverage(generated, reference, Cutoffs(0.2, 100.0, "given"))
    assert (found.recall, found.precision) == (0.5, 0.75)
    assert found.recalled.tolist() == [True, False, True, False]
    assert found.precise.tolist() == [True, True, True, False]


def test_without_a_fingerprint_is_not_covered() -> None:
    reference = prints([0, 1])
    row = np.array([0.0, 0.0])
    generated = stacked([row, None], [row, row])
    found = coverage(generated, reference, Cutoffs(2.0, 100.0, "given"))
    assert (found.recall, found.precision) == (1.0, 0.5)
    assert coverage(stacked([None], [row]), reference, Cutoffs(2.0, 9.0, "given")).recall == 0
    with pytest.raises(InputError, match="no structure of the reference"):
        coverage(reference, stacked([None], [None]), Cutoffs(2.0, 9.0, "given"))


def test_cutoffs_from_the_reference_cover_it() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 5))
    both = Prints(rows, rows)
    cutoffs = calibrated(both)
    gaps = np.sort([np.delete(np.linalg.norm(rows - row, axis=1), k).min() for k, row in enumerate(rows)])
    assert cutoffs.structure == pytest.approx(np.quantile(gaps, 0.95))
    assert coverage(both, both, cutoffs).recall == 1
    with pytest.raises(InputError, match="fewer than two"):
        calibrated(prints([1.0]))


def test_one_composition_is_covered_by_itself() -> None:
    same = Prints(np.random.default_rng(0).normal(size=(9, 3)), np.ones((9, 4)))
    assert calibrated(same).composition == 0
    assert coverage(same, same, calibrated(same)).precision == 1


def test_nearest_leaves_the_row_itself_out_in_every_block() -> None:
    rows = np.random.default_rng(1).normal(size=(1500, 2))
    assert nearest(rows, None)[0].min() > 0
