"""PoseBusters on docked poses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.ligand import read_ligands
from eqcli.io.structure import Structure
from eqcli.metrics.docking.validity import PosedPair, checks_of_pose, near_pose, pose_checks, receptor_molecule

pytest.importorskip("posebusters")


@pytest.fixture(scope="module")
def ligand() -> Structure:
    (found,) = read_ligands("c1ccccc1O")
    assert not isinstance(found, InputError)
    return replace(found.structure, positions=found.structure.positions - found.structure.positions.mean(axis=0))


def receptor(*places: tuple[float, float, float], spread: float = 1.5) -> Structure:
    """A three-atom residue around each place."""
    positions = np.concatenate([np.array(p) + spread * np.eye(3) for p in places])
    n = len(positions)
    arrays = {
        "atom_name": np.array(["N", "CA", "C"] * len(places)),
        "residue_name": np.array(["GLY"] * n),
        "chain": np.array(["A"] * n),
        "residue": np.repeat(np.arange(len(places)), 3),
        "residue_number": np.array([str(k // 3 + 1) for k in range(n)]),
        "hetero": np.zeros(n, dtype=bool),
    }
    return Structure(np.array([7, 6, 6] * len(places)), positions, arrays=arrays)


def test_a_pose_at_a_distance_is_valid_and_has_no_verdict_on_the_rmsd(ligand: Structure) -> None:
    checks = checks_of_pose(PosedPair(ligand, receptor((0.0, 0.0, 4.2)), ligand))
    assert checks.passes, checks.failed
    assert not any(name.startswith("rmsd") for name in checks.results)


def test_a_clash_with_the_protein_fails(ligand: Structure) -> None:
    checks = checks_of_pose(PosedPair(ligand, receptor((0.0, 0.0, 0.0)), ligand))
    assert "minimum_distance_to_protein" in checks.failed


def test_a_pose_far_from_everything_fails(ligand: Structure) -> None:
    checks = checks_of_pose(PosedPair(ligand, receptor((0.0, 0.0, 40.0)), ligand))
    assert "protein-ligand_maximum_distance" in checks.failed


def test_without_a_crystal_pose_its_chemistry_is_not_compared(ligand: Structure) -> None:
    pair = PosedPair(ligand, receptor((0.0, 0.0, 4.2)))
    assert "molecular_formula" not in checks_of_pose(pair).results
    assert checks_of_pose(replace(pair, crystal=ligand)).results["molecular_formula"] is True


def test_residues_out_of_reach_change_no_verdict(ligand: Structure) -> None:
    whole = receptor((0.0, 0.0, 4.2), (0.0, 0.0, 30.0), (2.0, 0.0, 7.0))
    cut = near_pose(whole, ligand.positions)
    assert set(cut.arrays["residue"].tolist()) == {0, 2}
    before, after = (checks_of_pose(PosedPair(ligand, one, ligand)) for one in (whole, cut))
    assert before.results == after.results


def test_the_nearest_residue_stays_where_none_is_in_reach(ligand: Structure) -> None:
    cut = near_pose(receptor((0.0, 0.0, 50.0), (0.0, 0.0, 30.0)), ligand.positions)
    assert set(cut.arrays["residue"].tolist()) == {1}


def test_hetero_groups_are_told_from_the_protein() -> None:
    made = receptor((0.0, 0.0, 0.0), (9.0, 0.0, 0.0))
    made.arrays["hetero"][3:] = True
    flags = [atom.GetPDBResidueInfo().GetIsHeteroAtom() for atom in receptor_molecule(made).GetAtoms()]
    assert flags == [False] * 3 + [True] * 3


def test_what_takes_too_long_or_has_no_bonds_has_a_reason_and_the_others_go_on(ligand: Structure) -> None:
    broken = replace(ligand, info={"bonds": [[0, 99, 1]]})
    pairs = [PosedPair(one, receptor((0.0, 0.0, 4.2)), ligand) for one in (broken, ligand)]
    first, second = pose_checks(pairs, workers=1)
    assert first.value is None
    assert "bond" in str(first.failure)
    assert second.value is not None
    assert second.value.passes
    (late,) = pose_checks(pairs[1:], workers=1, timeout=1e-3)
    assert late.value is None
    assert "longer than" in str(late.failure)
