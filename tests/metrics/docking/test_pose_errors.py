"""Errors to the nearest copy of a ligand in the crystal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.ligand import read_ligands
from eqcli.io.structure import Structure
from eqcli.metrics.docking.pose_errors import pose_errors, references


@pytest.fixture(scope="module")
def ligand() -> Structure:
    """Toluene-4-ol: its ring can be turned over."""
    (found,) = read_ligands("Cc1ccc(O)cc1")
    assert not isinstance(found, InputError)
    return found.structure


def _shuffled(structure: Structure, seed: int, shift: float) -> Structure:
    """The molecule elsewhere, its atoms in another order."""
    order = np.random.default_rng(seed).permutation(len(structure))
    place = np.argsort(order)
    bonds = [[int(place[int(i)]), int(place[int(j)]), k] for i, j, k in structure.info["bonds"]]
    return replace(
        structure,
        numbers=structure.numbers[order],
        positions=structure.positions[order] + shift,
        info={**structure.info, "bonds": bonds},
        arrays={},
    )


def test_the_pose_at_a_copy_has_no_error_whatever_the_order_of_its_atoms(ligand: Structure) -> None:
    found = references(ligand, [_shuffled(ligand, 1, 20.0), _shuffled(ligand, 2, -30.0)])
    poses = np.stack([ligand.positions, ligand.positions + 20.0, ligand.positions - 30.0])
    errors = pose_errors(found, poses)
    np.testing.assert_allclose(errors.rmsd, 0, atol=1e-6)
    np.testing.assert_allclose(errors.centroid, 0, atol=1e-6)
    assert errors.copy.tolist() == [0, 1, 2]


def test_a_shifted_pose_is_off_by_its_shift_from_the_nearest_copy(ligand: Structure) -> None:
    errors = pose_errors(references(ligand, [_shuffled(ligand, 3, 20.0)]), ligand.positions[None] + [20.0, 20.0, 23.0])
    assert errors.rmsd[0] == pytest.approx(3.0)
    assert errors.centroid[0] == pytest.approx(3.0)
    assert errors.kabsch[0] == pytest.approx(0.0, abs=1e-6)


def test_a_copy_in_the_same_place_is_not_another_one(ligand: Structure) -> None:
    found = references(ligand, [_shuffled(ligand, 4, 0.0), _shuffled(ligand, 5, 20.0), _shuffled(ligand, 6, 20.0)])
    assert len(found.copies) == 2
    assert any("2 places" in note for note in found.notes)


def test_a_copy_that_is_another_molecule_is_left_out_and_said(ligand: Structure) -> None:
    (other,) = read_ligands("c1ccccc1")
    assert not isinstance(other, InputError)
    found = references(ligand, [other.structure])
    assert len(found.copies) == 1
    assert any("left out: 1" in note for note in found.notes)
