"""SD files of other programs, and what ours say to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from eqcli.io import Structure, read_structures, write_structures

PUBCHEM = """702
  -OEChem-01012500003D

  9  8  0     0  0  0  0  0  0999 V2000
   -1.1712    0.2997    0.0000 O   0  0  0  0  0  0  0  0  0  0  0  0
   -0.0463   -0.5665    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
    1.2175    0.2668    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
   -0.0958   -1.2120    0.8819 H   0  0  0  0  0  0  0  0  0  0  0  0
   -0.0952   -1.1938   -0.8946 H   0  0  0  0  0  0  0  0  0  0  0  0
    2.1050   -0.3720   -0.0177 H   0  0  0  0  0  0  0  0  0  0  0  0
    1.2426    0.9307   -0.8704 H   0  0  0  0  0  0  0  0  0  0  0  0
    1.2616    0.9052    0.8886 H   0  0  0  0  0  0  0  0  0  0  0  0
   -1.1291    0.8364    0.8099 H   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0  0  0  0
  1  9  1  0  0  0  0
  2  3  1  0  0  0  0
  2  4  1  0  0  0  0
  2  5  1  0  0  0  0
  3  6  1  0  0  0  0
  3  7  1  0  0  0  0
  3  8  1  0  0  0  0
M  END
> <PUBCHEM_COMPOUND_CID>
702

> <PUBCHEM_MMFF94_PARTIAL_CHARGES>
5
1 -0.68
2 0.28

$$$$
"""
OPENBABEL = """acetate
 OpenBabel01012512003D

  4  3  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
    1.2000    0.0000    0.0000 O   0  5  0  0  0  0  0  0  0  0  0  0
   -0.6000    1.1000    0.0000 O   0  0  0  0  0  0  0  0  0  0  0  0
   -0.7000   -1.3000    0.0000 C   0  0  0  0  0  0  0  0  0  0  0  0
  1  2  1  0  0  0  0
  1  3  2  0  0  0  0
  1  4  1  0  0  0  0
M  END
$$$$
"""
DEUTERIUM = """hand
                    3D

  3  2  0  0  0  0            999 V2000
    0.0000    0.0000    0.0000 O   0  0
    0.9600    0.0000    0.0000 D   0  0
   -0.3000    0.9000    0.0000 T   0  0
  1  2  1
  1  3  1
M  END
$$$$
"""


def read(path: Path, text: str) -> list[Structure]:
    path.write_text(text)
    return list(read_structures(path))


def rich() -> Any:
    """A molecule with charges, isotopes, a radical, aromatic bonds and stereochemistry."""
    molecule = Chem.AddHs(Chem.MolFromSmiles("C[13C@H]([NH3+])c1cc([O])c(/C=C/C(=O)[O-])cc1[2H]"))
    assert AllChem.EmbedMolecule(molecule, randomSeed=3) == 0
    return molecule


def check(back: Structure, molecule: Any) -> None:
    atoms = list(molecule.GetAtoms())
    assert back.numbers.tolist() == [atom.GetAtomicNum() for atom in atoms]
    assert back.arrays["formal_charge"].tolist() == [atom.GetFormalCharge() for atom in atoms]
    assert back.arrays["isotope"].tolist() == [atom.GetIsotope() for atom in atoms]
    assert back.arrays["radical_electrons"].tolist() == [atom.GetNumRadicalElectrons() for atom in atoms]
    np.testing.assert_allclose(back.positions, molecule.GetConformer().GetPositions(), atol=5.1e-5)


@pytest.mark.parametrize("kekulised", [True, False])
@pytest.mark.parametrize("version", [2000, 3000])
def test_rdkits_files_and_ours(tmp_path: Path, version: int, kekulised: bool) -> None:
    molecule = rich()
    with Chem.SDWriter(str(tmp_path / "a.sdf")) as writer:
        writer.SetForceV3000(version == 3000)
        writer.SetKekulize(kekulised)
        writer.write(molecule)
    assert f"V{version}" in (tmp_path / "a.sdf").read_text()
    (structure,) = read_structures(tmp_path / "a.sdf")
    check(structure, molecule)
    assert (1.5 in {order for *_, order in structure.info["bonds"]}) != kekulised
    write_structures(tmp_path / "b.sdf", [structure])
    (again,) = read_structures(tmp_path / "b.sdf")
    check(again, molecule)
    assert again.info == structure.info
    assert "isotope" not in again.info
    (back,) = Chem.SDMolSupplier(str(tmp_path / "b.sdf"))
    assert Chem.MolToSmiles(back) == Chem.MolToSmiles(Chem.RemoveHs(molecule))


def test_large_files_keep_isotopes_and_radicals(tmp_path: Path) -> None:
    n = 1100
    chain = Structure(np.full(n, 6), np.random.default_rng(0).normal(size=(n, 3)) * 30)
    chain.info["bonds"] = [[i, i + 1, 1 + i % 2] for i in range(n - 1)]
    for name, value in (("formal_charge", -1), ("isotope", 13), ("radical_electrons", 2)):
        chain.arrays[name] = np.where(np.arange(n) % 50 == 3, value, 0)
    write_structures(tmp_path / "a.sdf", [chain])
    assert "V3000" in (tmp_path / "a.sdf").read_text()[:200]
    (back,) = read_structures(tmp_path / "a.sdf")
    assert back.arrays.keys() == chain.arrays.keys()
    for name, values in chain.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], values)
    assert back.info["bonds"] == chain.info["bonds"]
    (theirs,) = Chem.SDMolSupplier(str(tmp_path / "a.sdf"), sanitize=False, removeHs=False)
    assert theirs.GetNumBonds() == n - 1


def test_pubchem(tmp_path: Path) -> None:
    (ethanol,) = read(tmp_path / "a.sdf", PUBCHEM)
    assert ethanol.info["name"] == "702"
    assert ethanol.info["PUBCHEM_COMPOUND_CID"] == "702"
    assert ethanol.info["PUBCHEM_MMFF94_PARTIAL_CHARGES"] == "5\n1 -0.68\n2 0.28"
    assert len(ethanol.info["bonds"]) == 8
    assert ethanol.charge == 0


def test_charges_in_the_rows_of_the_atoms(tmp_path: Path) -> None:
    (acetate,) = read(tmp_path / "a.sdf", OPENBABEL)
    assert acetate.charge == -1
    assert acetate.arrays["formal_charge"].tolist() == [0, -1, 0, 0]


def test_deuterium_and_tritium(tmp_path: Path) -> None:
    (water,) = read(tmp_path / "a.sdf", DEUTERIUM)
    assert water.numbers.tolist() == [8, 1, 1]
    assert water.arrays["isotope"].tolist() == [0, 2, 3]


def test_bonds_of_other_kinds_are_written_as_any(tmp_path: Path) -> None:
    metal = Structure(np.array([26, 7, 6]), np.eye(3) * 2, info={"bonds": [[0, 1, 0], [0, 2, 4], [1, 2, 3]]})
    write_structures(tmp_path / "a.sdf", [metal])
    (back,) = read_structures(tmp_path / "a.sdf")
    assert back.info["bonds"] == [[0, 1, 0], [0, 2, 0], [1, 2, 3]]
