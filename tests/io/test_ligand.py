"""Ligands as they come: what is kept, added and left out, and what is refused, record by record."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from eqcli.errors import InputError
from eqcli.io.ligand import Ligand, ligand_of, read_ligands
from eqcli.io.ligand_rules import LARGEST
from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of


def embedded(smiles: str, name: str = "", *, hydrogens: bool = True) -> Any:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=11) == 0
    molecule = molecule if hydrogens else Chem.RemoveHs(molecule)
    molecule.SetProp("_Name", name)
    return molecule


def block(molecule: Any) -> str:
    return str(Chem.MolToMolBlock(molecule)) + "$$$$\n"


def only(source: str | Path, template: str | None = None) -> Ligand:
    (found,) = read_ligands(source, template=template)
    assert isinstance(found, Ligand), found
    return found


def refused(source: str | Path) -> InputError:
    (found,) = read_ligands(source)
    assert isinstance(found, InputError)
    return found


def smiles(ligand: Ligand) -> str:
    return smiles_of(sanitised(molecule_of(ligand.structure)))


def has(ligand: Ligand, words: str) -> bool:
    return any(words in note for note in ligand.notes)


def test_a_smiles_becomes_a_shape_with_all_hydrogens() -> None:
    ligand = only("CC(=O)Oc1ccccc1C(=O)O aspirin")
    assert (ligand.name, ligand.given, len(ligand.structure)) == ("aspirin", False, 21)
    assert smiles(ligand) == Chem.CanonSmiles("CC(=O)Oc1ccccc1C(=O)O")
    assert {order for _, _, order in ligand.structure.info["bonds"]} == {1, 2}
    assert ligand.notes == []


def test_positions_of_the_file_are_kept_to_the_last_digit_and_hydrogens_added_to_them(tmp_path: Path) -> None:
    whole, bare = embedded("NCc1ccccc1", "one"), embedded("NCc1ccccc1", "two", hydrogens=False)
    path = tmp_path / "a.sdf"
    path.write_text(block(whole) + block(bare))
    first, second = read_ligands(path)
    assert isinstance(first, Ligand)
    assert isinstance(second, Ligand)
    assert first.given
    assert first.notes == []
    assert first.name == "one"
    expected = np.round(whole.GetConformer().GetPositions(), 4)
    np.testing.assert_allclose(first.structure.positions, expected, atol=1e-9)
    assert has(second, "9 hydrogens added to the 0 of the record")
    np.testing.assert_allclose(second.structure.positions[:8], expected[:8], atol=1e-9)
    nearest = np.linalg.norm(second.structure.positions[8:, None] - second.structure.positions[None, :8], axis=2)
    assert (np.abs(nearest.min(axis=1) - 1.05) < 0.15).all()


def test_one_bad_record_never_stops_the_next(tmp_path: Path) -> None:
    good = block(embedded("CCO", "good"))
    pentavalent = Chem.MolFromSmiles("CC(C)(C)(C)C", sanitize=False)
    empty = block(Chem.Mol())
    path = tmp_path / "mixed.sdf"
    path.write_text(good + block(pentavalent) + "cut off\n$$$$\n" + empty + good)
    found = list(read_ligands(path))
    assert [isinstance(item, Ligand) for item in found] == [True, False, False, False, True]
    errors = [item for item in found if isinstance(item, InputError)]
    assert [error.where.frame for error in errors] == [1, 2, 3]
    assert "atom 2 (C) has the valence 5" in errors[0].message
    assert "M  END" in errors[1].message
    assert "no atoms" in errors[2].message
    last = found[-1]
    assert isinstance(last, Ligand)
    assert last.name == "good-2"
    assert has(last, "earlier record is named good")


def test_the_largest_organic_fragment_is_kept_and_the_others_are_named() -> None:
    ligand = only("[Na+].O.O.CC(=O)[O-].CCCC[NH3+]")
    assert smiles(ligand) == "CCCC[NH3+]"
    assert has(ligand, "Na+, 2 water")
    assert has(ligand, "CC(=O)[O-]")
    assert has(ligand, "charge +1")


@pytest.mark.parametrize(("text", "words"), [("[Zn+2]", "only Zn2+"), ("[Na+].[Cl-]", "Na+, Cl-"), ("O.O", "2 water")])
def test_ions_and_water_alone_are_no_ligand(text: str, words: str) -> None:
    assert words in refused(text).message


def test_small_ions_of_several_atoms_are_ligands() -> None:
    assert only("[O-]S(=O)(=O)[O-].[Na+].[Na+]").structure.charge == -2


def test_valences_are_mended_where_a_charge_is_all_they_lack() -> None:
    ligand = only("C[N](C)(C)C")
    assert smiles(ligand) == "C[N+](C)(C)C"
    assert has(ligand, "atom 2 (N+)")
    ring = only("c1cccn1")
    assert smiles(ring) == "c1cc[nH]c1"
    assert has(ring, "aromatic nitrogen 5")


def test_unstated_stereochemistry_is_named_and_stated_is_kept() -> None:
    assert has(only("CC(F)Cl"), "not stated at atom 2 (C)")
    for text in ("C[C@H](F)Cl", "C[C@@H](F)Cl", "F/C=C/Cl", "F/C=C\\Cl"):
        assert smiles(only(text)) == Chem.CanonSmiles(text)


@pytest.mark.parametrize("text", ["C[C@H](F)Cl", "C[C@@H](F)Cl", "C/C=C/CO", "C/C=C\\CO"])
def test_a_drawing_keeps_its_stereochemistry_and_gets_a_shape(text: str, tmp_path: Path) -> None:
    molecule = Chem.MolFromSmiles(text)
    AllChem.Compute2DCoords(molecule)
    path = tmp_path / "drawn.mol"
    path.write_text(Chem.MolToMolBlock(molecule))
    ligand = only(path)
    assert not ligand.given
    assert has(ligand, "2D")
    assert np.ptp(ligand.structure.positions, axis=0).min() > 0.5
    assert smiles(ligand) == Chem.CanonSmiles(text)


def test_atoms_upon_each_other_and_flat_carbon_get_a_shape(tmp_path: Path) -> None:
    molecule = embedded("CCCO")
    molecule.GetConformer().SetPositions(np.zeros((12, 3)))
    path = tmp_path / "zero.sdf"
    path.write_text(block(molecule).replace("2D", "3D"))
    ligand = only(path)
    assert not ligand.given
    assert any("shape was generated" in note for note in ligand.notes)


def test_a_flat_molecule_that_is_flat_is_given(tmp_path: Path) -> None:
    molecule = embedded("c1ccccc1")
    positions = molecule.GetConformer().GetPositions()
    plane = np.linalg.svd(positions - positions.mean(axis=0))[2]
    molecule.GetConformer().SetPositions(
        np.ascontiguousarray((positions - positions.mean(axis=0)) @ plane.T * [1, 1, 0])
    )
    molecule.GetConformer().Set3D(True)
    path = tmp_path / "flat.sdf"
    path.write_text(block(molecule))
    assert only(path).given


def test_isotopes_and_radicals_are_kept_and_noted() -> None:
    ligand = only("[13CH3]C[CH2]")
    assert has(ligand, "isotopes of 1 ")
    assert has(ligand, "radical electrons are kept: 1")
    assert ligand.structure.arrays["isotope"].sum() == 13


def test_more_heavy_atoms_than_a_ligand_has_are_refused() -> None:
    assert f"{LARGEST + 1} heavy atoms" in refused("C" * (LARGEST + 1)).message


def test_a_file_of_smiles_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.smi.gz"
    path.write_bytes(gzip.compress(b"smiles name\nCCO ethanol\n\nC1CC broken\n# no\nCCN\n"))
    first, broken, last = read_ligands(path)
    assert isinstance(first, Ligand)
    assert isinstance(last, Ligand)
    assert isinstance(broken, InputError)
    assert (first.name, last.name) == ("ethanol", "a-3")
    assert (broken.where.frame, broken.where.line) == (1, 4)


def test_reading_streams(tmp_path: Path) -> None:
    path = tmp_path / "many.smi"
    path.write_text("CCO\n" * 50_000)
    stream = read_ligands(path)
    assert isinstance(next(stream), Ligand)


def test_what_is_neither_file_nor_smiles_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file, and no SMILES"):
        next(read_ligands("nonsense"))
    with pytest.raises(InputError, match="unknown file ending"):
        next(read_ligands(Path("a.docx")))
    with pytest.raises(InputError):
        next(read_ligands(tmp_path / "absent.sdf"))
    (tmp_path / "empty.sdf").write_text("")
    assert "no records" in refused(tmp_path / "empty.sdf").message
    # Longer than a file name may be.
    assert "heavy atoms" in refused("C" * 300).message


def test_data_items_come_along(tmp_path: Path) -> None:
    text = block(embedded("CCO")).replace("$$$$", "> <affinity>\n-7.5\n\n$$$$")
    path = tmp_path / "a.sdf"
    path.write_text(text)
    assert only(path).structure.info["affinity"] == "-7.5"


def test_a_molecule_of_rdkit_is_a_ligand_by_the_same_rules() -> None:
    assert ligand_of(embedded("CCO"), "x").given
    drawn = ligand_of(Chem.MolFromSmiles("CCO.[Na+]"), "x")
    assert not drawn.given
    assert len(drawn.structure) == 9
