"""SMILES files written from molecules with bonds."""

from __future__ import annotations

from pathlib import Path

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from eqcli.errors import ExitCode, InputError
from eqcli.io import Structure, read_structures, write_structures
from eqcli.io.rdkit_molecule import structure_of
from eqcli.tasks.convert import convert


def made(smiles: str, **info: object) -> Structure:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(molecule, randomSeed=7)
    return structure_of(molecule, dict(info))


def test_a_line_per_molecule(tmp_path: Path) -> None:
    molecules = [
        made("OC(=O)[C@@H](N)C", name="L-alanine  (zwitterion\nnot)"),
        made("F/C=C\\F", sample=12),
        made("C1=CC=CC=C1[N+](=O)[O-]"),
    ]
    path = tmp_path / "a.smi"
    write_structures(path, molecules, provenance={"eqcli": "1.2", "commit": "0123456789abcdef"})
    expected = ["C[C@H](N)C(=O)O L-alanine (zwitterion not)", "F/C=C\\F 12", "O=[N+]([O-])c1ccccc1"]
    assert path.read_text().splitlines() == ["# eqcli 1.2 0123456789ab", *expected]
    # Others read it, too.
    supplier = Chem.SmilesMolSupplier(str(path), titleLine=False)
    read = [supplier[i] for i in range(len(supplier))]
    assert [Chem.MolToSmiles(m) for m in read] == [line.split()[0] for line in expected]
    back = list(read_structures(path))
    assert [s.info["smiles"] for s in back] == [line.split()[0] for line in expected]
    assert back[0].info["name"] == "L-alanine (zwitterion not)"


def test_stereochemistry_is_that_of_the_positions(tmp_path: Path) -> None:
    left = made("C[C@H](N)C(=O)O")
    right = Structure(left.numbers, left.positions * [1, 1, -1], info=left.info)
    write_structures(tmp_path / "a.smi", [left, right])
    assert (tmp_path / "a.smi").read_text() == "C[C@H](N)C(=O)O\nC[C@@H](N)C(=O)O\n"


def test_converting_lists_what_has_no_smiles(tmp_path: Path) -> None:
    bare = made("CCO")
    del bare.info["bonds"]
    write_structures(tmp_path / "a.sdf", [made("CCO", name="ethanol"), bare, made("CC=O")])
    result = convert([tmp_path / "a.sdf"], tmp_path / "a.smi")
    assert (result.structures, result.exit_code) == (2, ExitCode.PARTIAL)
    assert "no bonds" in result.failures[0].reason
    assert result.failures[0].where.frame == 1
    lines = (tmp_path / "a.smi").read_text().splitlines()
    assert lines[1:] == ["CCO ethanol", "CC=O"]
    with pytest.raises(InputError, match="no bonds"):
        write_structures(tmp_path / "b.smi", [bare])
    assert not (tmp_path / "b.smi").exists()
