"""Vina on the side: hydrogens that it does not see come back, and its poses are the ligand's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eqcli.engine.vina_peer import with_hydrogens
from eqcli.errors import InputError
from eqcli.io.ligand import Ligand, read_ligands


def _ligand(smiles: str) -> Ligand:
    (found,) = read_ligands(smiles)
    assert not isinstance(found, InputError)
    return found


@pytest.mark.parametrize("smiles", ["CCO", "c1ccccc1C(C)(C)N", "CC#CC", "C1CCCCC1CO"])
def test_hydrogens_move_with_what_holds_them(smiles: str) -> None:
    structure = _ligand(smiles).structure
    turn = Rotation.random(random_state=3).as_matrix()
    moved = structure.positions @ turn.T + [5.0, -2.0, 9.0]
    heavy = np.flatnonzero(structure.numbers > 1)
    known = np.full_like(moved, np.nan)
    known[heavy] = moved[heavy]
    np.testing.assert_allclose(with_hydrogens(structure, known, heavy), moved, atol=2e-3)


def test_hydrogens_follow_a_turned_bond() -> None:
    """Butane with another torsion: C-H bonds keep their length and CH3 groups stay staggered as they were."""
    from rdkit.Chem import rdMolTransforms

    from eqcli.io.rdkit_build import molecule_of

    structure = _ligand("CCCC").structure
    molecule = molecule_of(structure)
    from rdkit import Chem

    Chem.SanitizeMol(molecule)
    rdMolTransforms.SetDihedralDeg(molecule.GetConformer(), 0, 1, 2, 3, 50.0)
    turned = np.array(molecule.GetConformer().GetPositions())
    known = np.where((structure.numbers > 1)[:, None], turned, np.nan)
    whole = with_hydrogens(structure, known, np.flatnonzero(structure.numbers > 1))
    np.testing.assert_allclose(whole, turned, atol=1e-4)


def test_vina_finds_a_place_for_a_small_ligand_and_keeps_its_shape() -> None:
    pytest.importorskip("vina")
    pytest.importorskip("meeko")
    from eqcli.engine.docking_box import Box
    from eqcli.engine.vina_peer import VinaJob, vina_dock

    # A ring of carbons in the plane z = 0: the ligand lies on it.
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    lines = [
        f"ATOM  {k + 1:5d}  C   UNK A   1    {6 * np.cos(a):8.3f}{6 * np.sin(a):8.3f}{0.0:8.3f}"
        "  1.00  0.00     0.000 C "
        for k, a in enumerate(angles)
    ]
    structure = _ligand("CCO").structure
    job = VinaJob("\n".join(lines) + "\n", structure, Box((0.0, 0.0, 0.0), (14.0, 14.0, 14.0)), 3, 1, cpu=1)
    found = vina_dock(job)
    assert 1 <= len(found.poses) <= 3
    assert [pose.score for pose in found.poses] == sorted(pose.score for pose in found.poses)
    assert found.poses[0].score < 0
    bonds = np.array([[i, j] for i, j, _ in structure.info["bonds"]], dtype=int)
    before, after = (
        np.linalg.norm(x[bonds[:, 0]] - x[bonds[:, 1]], axis=1) for x in (structure.positions, found.poses[0].positions)
    )
    np.testing.assert_allclose(after, before, atol=3e-3)


def test_what_vina_refuses_has_its_reason() -> None:
    pytest.importorskip("vina")
    pytest.importorskip("meeko")
    from eqcli.engine.docking_box import Box
    from eqcli.engine.vina_peer import VinaJob, vina_dock

    job = VinaJob("", _ligand("CCO").structure, Box((0.0, 0.0, 0.0), (10.0, 10.0, 0.0)))
    with pytest.raises(InputError, match="Vina"):
        vina_dock(job)
