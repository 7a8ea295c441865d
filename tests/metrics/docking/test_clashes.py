"""Clashes of a pose with a receptor made in the test, and with itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eqcli.io.ligand import Ligand, read_ligands
from eqcli.io.structure import Structure
from eqcli.metrics.docking.clashes import NEAREST, receptor_clashes, self_clashes


def ligand(smiles: str) -> Ligand:
    (found,) = read_ligands(smiles)
    assert isinstance(found, Ligand), found
    return found


def receptor(numbers: list[int], positions: list[list[float]]) -> Any:
    structure = Structure(np.array(numbers), np.array(positions))
    return SimpleNamespace(structure=structure, heavy=structure.numbers > 1)


@pytest.mark.parametrize(("distance", "count"), [(2.54, 1), (2.56, 0)])
def test_two_carbons_clash_below_three_quarters_of_their_radii(distance: float, count: int) -> None:
    made = ligand("CC")
    axis = made.structure.positions[1] - made.structure.positions[0]
    far = made.structure.positions[1] + distance * axis / np.linalg.norm(axis)
    assert pytest.approx(2.55) == NEAREST * 2 * 1.7
    assert receptor_clashes(made, made.structure.positions[None], receptor([6], [far.tolist()])) == [count]


def test_hydrogens_do_not_count_and_metals_may_be_bonded() -> None:
    made = ligand("CO")
    oxygen = made.structure.positions[1]
    away = oxygen + (oxygen - made.structure.positions[0]) / np.linalg.norm(oxygen - made.structure.positions[0]) * 2.0
    poses = made.structure.positions[None]
    assert receptor_clashes(made, poses, receptor([1], [away.tolist()])) == [0]
    assert receptor_clashes(made, poses, receptor([30], [away.tolist()])) == [0]
    assert receptor_clashes(made, poses, receptor([6], [away.tolist()])) == [1]


def test_each_pose_is_counted_for_itself() -> None:
    made = ligand("c1ccccc1")
    box = receptor([6, 6], [[0.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    poses = made.structure.positions + np.array([[[0.0, 0, 0]], [[20.0, 0, 0]], [[50.0, 0, 0]]])
    first, second, third = receptor_clashes(made, poses, box)
    assert first > 0
    assert second == 0
    assert third == first


def test_a_folded_chain_clashes_with_itself() -> None:
    made = ligand("CCCCCCCC")
    folded = made.structure.positions.copy()
    folded[7] = folded[0] + np.array([0.5, 0, 0])
    assert self_clashes(made, np.stack([made.structure.positions, folded]))[0] == 0
    assert self_clashes(made, folded[None])[0] > 0
