"""RMSD with symmetry: RDKit's and Open Babel's numbers, bounds where there is too much of it, and invariance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolAlign
from scipy.spatial.transform import Rotation

from eqcli.errors import InputError
from eqcli.io.ligand import Ligand, conformers, read_ligands
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.metrics.docking.symmetric_rmsd import centroid_distance, kabsch_rmsd, symmetric_rmsd, symmetry


def ligand(smiles: str) -> Ligand:
    (found,) = read_ligands(smiles)
    assert isinstance(found, Ligand), found
    return found


@pytest.mark.parametrize(
    ("smiles", "count"),
    [
        ("c1ccccc1", 12),
        ("Cc1ccccc1", 2),
        ("CC(=O)[O-]", 2),
        ("CC(=O)O", 2),
        ("FC(F)(F)c1ccc(F)cc1", 12),
        ("CS(=O)(=O)O", 6),
        ("C(c1ccccc1)C1CCCCC1", 4),
        ("NC(=[NH2+])NC", 2),
        ("CC(=O)OC", 1),
        ("C[N+](=O)[O-]", 2),
    ],
)
def test_automorphisms(smiles: str, count: int) -> None:
    found = symmetry(ligand(smiles).structure)
    assert found.exact
    assert len(found.mappings) == count


def test_an_exchange_costs_nothing_and_a_shift_costs_itself() -> None:
    made = ligand("FC(F)(F)c1ccc(Cl)cc1").structure
    found = symmetry(made)
    swapped = made.positions.copy()
    swapped[[0, 2, 3]] = swapped[[3, 0, 2]]
    poses = np.stack([made.positions, swapped, swapped + np.array([3.0, 4.0, 0.0])])
    np.testing.assert_allclose(symmetric_rmsd(found, made.positions, poses), [0, 0, 5], atol=1e-9)
    np.testing.assert_allclose(centroid_distance(found, made.positions, poses), [0, 0, 5], atol=1e-9)
    turned = Rotation.from_euler("xyz", [1, 2, 3]).apply(swapped)[None] + 7
    np.testing.assert_allclose(kabsch_rmsd(found, made.positions, turned), [0], atol=1e-6)


def test_a_mirror_image_is_not_superposed() -> None:
    made = ligand("C[C@H](F)Cl").structure
    mirrored = made.positions[None] * [1, 1, -1]
    assert kabsch_rmsd(symmetry(made), made.positions, mirrored)[0] > 0.1


def test_atoms_in_another_order_and_another_tautomer_are_the_same_molecule() -> None:
    one, other = ligand("OC(=O)c1c[nH]cn1").structure, ligand("[O-]C(=O)c1nc[nH]c1").structure
    found = symmetry(one, other)
    assert len(found.mappings) == 2
    assert (one.numbers[found.reference] == other.numbers[found.mappings[0]]).all()


def test_what_is_another_molecule_is_refused() -> None:
    with pytest.raises(InputError, match="different heavy atoms"):
        symmetry(ligand("CCO").structure, ligand("CCN").structure)
    with pytest.raises(InputError, match="bonds differ"):
        symmetry(ligand("CCCO").structure, ligand("CCOC").structure)


def test_too_much_symmetry_gives_bounds_on_either_side() -> None:
    made = ligand("FC(F)(F)c1cc(C(F)(F)F)cc(C(F)(F)F)c1")
    shapes = conformers(made, 6, 1)
    whole, cut = symmetry(made.structure), symmetry(made.structure, limit=10)
    assert whole.exact
    assert not cut.exact
    assert len(cut.mappings) == 10
    exact = symmetric_rmsd(whole, made.structure.positions, shapes)
    assert (symmetric_rmsd(cut, made.structure.positions, shapes) <= exact + 1e-9).all()
    assert (
        kabsch_rmsd(cut, made.structure.positions, shapes)
        >= kabsch_rmsd(whole, made.structure.positions, shapes) - 1e-9
    ).all()


@pytest.mark.parametrize("smiles", ["CC(C)(C)c1ccc(C(=O)O)cc1", "NS(=O)(=O)c1ccccc1", "OP(=O)(O)Oc1ccccc1"])
def test_the_same_as_rdkit(smiles: str) -> None:
    made = ligand(smiles)
    shapes = conformers(made, 3, 4)
    found = symmetric_rmsd(symmetry(made.structure), made.structure.positions, shapes)
    reference = Chem.RemoveAllHs(sanitised(molecule_of(made.structure)))
    for shape, value in zip(shapes, found, strict=True):
        made.structure.positions = shape
        pose = Chem.RemoveAllHs(sanitised(molecule_of(made.structure)))
        assert value == pytest.approx(rdMolAlign.CalcRMS(pose, reference), abs=1e-6)


@pytest.mark.shared
def test_docked_poses_agree_with_rdkit_and_open_babel(shared: Path) -> None:
    folders = [folder for folder in sorted((shared / "docking" / "docked_poses").iterdir()) if folder.is_dir()]
    assert len(folders) == 24
    for folder in folders:
        reference = next(read_ligands(folder / f"{folder.name}_ligand.sdf"))
        assert isinstance(reference, Ligand)
        crystal = Chem.RemoveAllHs(sanitised(molecule_of(reference.structure)))
        babel = [[float(x) for x in (folder / name).read_text().split()] for name in ("obrms.dat", "obrms-min.dat")]
        poses = list(read_ligands(folder / f"{folder.name}_dock.sdf"))
        for pose, plain, best in zip(poses, *babel, strict=True):
            assert isinstance(pose, Ligand)
            found = symmetry(reference.structure, pose.structure)
            pair = reference.structure.positions, pose.structure.positions[None]
            value = float(symmetric_rmsd(found, *pair)[0])
            docked = Chem.RemoveAllHs(sanitised(molecule_of(pose.structure)))
            assert value == pytest.approx(rdMolAlign.CalcRMS(docked, crystal), abs=1e-6)
            assert value == pytest.approx(plain, abs=1e-4)
            assert kabsch_rmsd(found, *pair)[0] == pytest.approx(best, abs=1e-3)
