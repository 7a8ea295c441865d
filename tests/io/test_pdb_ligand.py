"""Ligands from PDB and PDBQT: bonds of a template, hydrogens as far as it has them, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from eqcli.errors import InputError
from eqcli.io.ligand import Ligand, read_ligands
from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of

DRUG = "C[C@H](N)C(=O)Nc1ccc(C#N)cc1"


def embedded(smiles: str) -> Any:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=3) == 0
    return molecule


def pdb(molecule: Any, *, hydrogens: bool, order: list[int] | None = None) -> str:
    """HETATM lines alone, in a given order of atoms."""
    lines = []
    positions = molecule.GetConformer().GetPositions()
    for serial, k in enumerate(order or range(molecule.GetNumAtoms()), start=1):
        symbol = molecule.GetAtomWithIdx(k).GetSymbol()
        if hydrogens or symbol != "H":
            x, y, z = positions[k]
            lines.append(f"HETATM{serial:5d} {symbol + str(serial):>4s} LIG A   1    {x:8.3f}{y:8.3f}{z:8.3f}"
                         f"  1.00  0.00          {symbol:>2s}")  # fmt: skip
    return "\n".join([*lines, "END", ""])


def only(path: Path, template: str | None = None) -> Ligand | InputError:
    (found,) = read_ligands(path, template=template)
    return found


def ligand(path: Path, template: str | None = None) -> Ligand:
    found = only(path, template)
    assert isinstance(found, Ligand), found
    return found


def smiles(found: Ligand) -> str:
    return smiles_of(sanitised(molecule_of(found.structure)))


@pytest.mark.parametrize("hydrogens", [True, False])
def test_a_template_gives_bonds_whatever_the_order_of_atoms(hydrogens: bool, tmp_path: Path) -> None:
    molecule = embedded(DRUG)
    order = np.random.default_rng(0).permutation(molecule.GetNumAtoms()).tolist()
    path = tmp_path / "a.pdb"
    path.write_text(pdb(molecule, hydrogens=hydrogens, order=order))
    found = ligand(path, DRUG)
    assert smiles(found) == Chem.CanonSmiles(DRUG)
    assert len(found.structure) == molecule.GetNumAtoms()
    given = molecule.GetConformer().GetPositions()
    count = len(given) if hydrogens else molecule.GetNumHeavyAtoms()
    near = np.linalg.norm(found.structure.positions[:count, None] - given[None], axis=2).min(axis=1)
    assert near.max() < 1e-3


def test_the_positions_decide_the_hand_not_the_template(tmp_path: Path) -> None:
    path = tmp_path / "a.pdb"
    path.write_text(pdb(embedded(DRUG), hydrogens=False))
    assert smiles(ligand(path, DRUG.replace("@", "@@"))) == Chem.CanonSmiles(DRUG)


def test_a_charged_template_takes_as_many_hydrogens_as_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.pdb"
    path.write_text(pdb(embedded("CC(=O)O"), hydrogens=True))
    found = ligand(path, "CC(=O)[O-]")
    assert smiles(found) == "CC(=O)[O-]"
    assert any("1 hydrogens of the file have no place" in note for note in found.notes)


def test_water_beside_the_ligand_is_left_out(tmp_path: Path) -> None:
    water = "HETATM   99  O   HOH A   2      30.000  30.000  30.000  1.00  0.00           O\n"
    path = tmp_path / "a.pdb"
    path.write_text(water + pdb(embedded(DRUG), hydrogens=False))
    found = ligand(path, DRUG)
    assert smiles(found) == Chem.CanonSmiles(DRUG)
    assert any("1 heavy atoms of the file are not in the template" in note for note in found.notes)


def test_a_template_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pdb"
    path.write_text(pdb(embedded("CCCO"), hydrogens=False))
    larger, other, broken = (only(path, text) for text in ("CCCCO", "CC(C)O", "C1CC"))
    assert isinstance(larger, InputError)
    assert isinstance(other, InputError)
    assert isinstance(broken, InputError)
    assert "5 heavy atoms, and the molecules of the file have 4" in larger.message
    assert "not bonded" in other.message
    assert "not a SMILES" in broken.message


def test_without_a_template_bonds_are_found_where_all_hydrogens_are_there(tmp_path: Path) -> None:
    path = tmp_path / "a.pdb"
    path.write_text(pdb(embedded("C[NH2+]Cc1ccncc1"), hydrogens=True))
    found = ligand(path)
    assert smiles(found) == "C[NH2+]Cc1ccncc1"
    assert any("for the charge +1" in note for note in found.notes)
    path.write_text(pdb(embedded("CCO"), hydrogens=False))
    refused = only(path)
    assert isinstance(refused, InputError)
    assert "no hydrogens and no bonds" in refused.message
    assert "template" in refused.hint


def test_poses_carry_their_smiles(tmp_path: Path) -> None:
    molecule = embedded("CCO")
    positions = molecule.GetConformer().GetPositions()
    rows = [(0, "C", "C "), (1, "C", "C "), (2, "O", "OA"), (8, "H", "HD")]
    block = "".join(
        f"ATOM  {k:5d}  {symbol:<2s}  UNL     1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00     0.000 {kind}\n"
        for k, (atom, symbol, kind) in enumerate(rows, start=1)
        for x, y, z in [positions[atom]]
    )
    head = "REMARK VINA RESULT:    -2.500      0.000      0.000\nREMARK SMILES CCO\nREMARK SMILES IDX 1 1 2 2 3 3\n"
    model = f"{head}ROOT\n{block}ENDROOT\nTORSDOF 1\nENDMDL\n"
    path = tmp_path / "out.pdbqt"
    path.write_text(f"MODEL 1\n{model}MODEL 2\n{model}")
    first, second = read_ligands(path)
    assert isinstance(first, Ligand)
    assert isinstance(second, Ligand)
    assert first.structure.info["score"] == -2.5
    assert smiles(first) == "CCO"
    assert len(first.structure) == 9
    assert (first.name, second.name) == ("out", "out-2")
