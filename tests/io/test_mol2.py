"""MOL2: many molecules, standard types and others, hydrogens or not."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io import read_structures
from eqcli.io.ligand import Ligand, read_ligands
from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of

ACETATE = """@<TRIPOS>MOLECULE
acetate
 4 3 0 0 0
SMALL
USER_CHARGES

@<TRIPOS>ATOM
 1 C1   0.000  0.000  0.000 C.3   1 LIG -0.1
 2 C2   1.520  0.000  0.000 C.2   1 LIG  0.3
 3 O1   2.150  1.080  0.000 O.co2 1 LIG -0.6
 4 O2   2.150 -1.080  0.000 O.co2 1 LIG -0.6
@<TRIPOS>BOND
 1 1 2 1
 2 2 3 ar
 3 2 4 ar
"""
ODD = ACETATE.replace("acetate", "odd").replace("C.3 ", "C3x ").replace("C.2 ", "C   ")
GUANIDINIUM = """@<TRIPOS>MOLECULE
guanidinium
 4 3
SMALL
NO_CHARGES
@<TRIPOS>ATOM
1 C 0.0 0.0 0.0 C.cat
2 N1 1.33 0.0 0.0 N.pl3
3 N2 -0.66 1.15 0.0 N.pl3
4 N3 -0.66 -1.15 0.0 N.pl3
@<TRIPOS>BOND
1 1 2 ar
2 1 3 ar
3 1 4 ar
"""


def smiles(ligand: Ligand) -> str:
    return smiles_of(sanitised(molecule_of(ligand.structure)))


def test_many_molecules_compressed_one_broken(tmp_path: Path) -> None:
    broken = ACETATE.replace("1.520", "x")
    path = tmp_path / "a.mol2.gz"
    path.write_bytes(gzip.compress(("# comment\n" + ACETATE + broken + ACETATE).encode()))
    first, bad, last = read_ligands(path)
    assert isinstance(first, Ligand)
    assert isinstance(bad, InputError)
    assert isinstance(last, Ligand)
    assert (first.name, last.name) == ("acetate", "acetate-2")
    assert bad.where.frame == 1
    assert "three coordinates" in bad.message
    assert smiles(first) == "CC(=O)[O-]"
    np.testing.assert_allclose(first.structure.positions[1], [1.52, 0, 0])


def test_carboxylates_and_guanidinium_have_their_charges(tmp_path: Path) -> None:
    path = tmp_path / "a.mol2"
    path.write_text(GUANIDINIUM)
    (found,) = read_ligands(path)
    assert isinstance(found, Ligand)
    assert smiles(found) == "NC(N)=[NH2+]"
    assert found.structure.charge == 1


def test_types_that_rdkit_does_not_know_are_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "a.mol2"
    path.write_text(ODD.replace("C3x", "C.x"))
    (found,) = read_ligands(path)
    assert isinstance(found, Ligand)
    assert smiles(found) == "CC(=O)[O-]"


def test_missing_hydrogens_are_no_radicals(tmp_path: Path) -> None:
    path = tmp_path / "a.mol2"
    path.write_text(ACETATE)
    (found,) = read_ligands(path)
    assert isinstance(found, Ligand)
    assert (found.structure.numbers == 1).sum() == 3
    assert not any("radical" in note for note in found.notes)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("C.3 ", "Du  ", "no element"), (" 2 2 3 ar", " 2 2 9 ar", None), (" 2 2 3 ar", " 2 2 3 zz", "no type of a bond")],
)
def test_what_is_wrong_is_said(old: str, new: str, words: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a.mol2"
    path.write_text(ACETATE.replace(old, new))
    (found,) = read_ligands(path)
    assert isinstance(found, InputError)
    assert words is None or words in found.message


def test_structures_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.mol2"
    path.write_text(ACETATE)
    (found,) = read_structures(path)
    assert len(found) == 4
    assert found.info["name"] == "acetate"
    assert sorted(order for _, _, order in found.info["bonds"]) == [1, 1, 2]
