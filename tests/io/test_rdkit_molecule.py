"""Molecules between structures and RDKit: nothing is lost, nothing is invented, and faults are named."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from eqcli.errors import InputError
from eqcli.io import Structure, read_structures, write_structures
from eqcli.io.rdkit_molecule import hybridisations, molecule_of, sanitised, smiles_of, structure_of, with_bonds

SMILES = [
    "C[C@H](N)C(=O)O",
    "C[C@@H](N)C(=O)O",
    "F/C=C/Cl",
    "F/C=C\\Cl",
    "[H]/N=C/C",
    "C[C@H]1CC[C@@H](O)CC1",
    "c1ccc2[nH]ccc2c1",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "c1ccsc1",
    "C[n+]1ccccc1",
    "[O-][n+]1ccccc1",
    "C[N+](=O)[O-]",
    "CN=[N+]=[N-]",
    "[NH3+]CC(=O)[O-]",
    "CS(=O)(=O)C",
    "CP(=O)(O)O",
    "[C-]#[O+]",
    "[CH3]",
    "[O][O]",
    "[2H]C([2H])([2H])[13CH2]O",
    "[Cl-].[Na+]",
    "CCO.O",
    "FC(F)(Br)I",
]


def made(smiles: str) -> Any:
    """A molecule with hydrogens and a conformer."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=7) == 0
    for k, fragment in enumerate(Chem.GetMolFrags(molecule)):
        # Embedded together, fragments may lie as near to each other as bonded atoms.
        for i in fragment:
            x, y, z = molecule.GetConformer().GetAtomPosition(i)
            molecule.GetConformer().SetAtomPosition(i, [x + 8 * k, y, z])
    return molecule


def methane(*bonds: list[float]) -> Structure:
    corners = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.63
    return Structure(np.array([6, 1, 1, 1, 1]), corners, info={"bonds": [list(bond) for bond in bonds]})


@pytest.mark.parametrize("smiles", SMILES)
@pytest.mark.parametrize("aromatic", [False, True])
def test_there_and_back(smiles: str, aromatic: bool) -> None:
    molecule = made(smiles)
    structure = structure_of(molecule, {"sample": 3}, aromatic=aromatic)
    back = sanitised(molecule_of(structure))
    assert smiles_of(back) == Chem.CanonSmiles(smiles)
    assert structure.info["sample"] == 3
    assert structure.charge == Chem.GetFormalCharge(molecule)
    np.testing.assert_array_equal(back.GetConformer().GetPositions(), molecule.GetConformer().GetPositions())
    orders = {order for *_, order in structure.info["bonds"]}
    assert (1.5 in orders) == (aromatic and any(atom.GetIsAromatic() for atom in molecule.GetAtoms()))
    assert set(structure.arrays) == {
        name
        for name, get in (
            ("formal_charge", "GetFormalCharge"),
            ("isotope", "GetIsotope"),
            ("radical_electrons", "GetNumRadicalElectrons"),
        )
        if any(getattr(atom, get)() for atom in molecule.GetAtoms())
    }


# A record without any bond says as little of bonds as an XYZ file.
@pytest.mark.parametrize("smiles", [s for s in SMILES if "Na" not in s])
def test_through_an_sd_file(tmp_path: Path, smiles: str) -> None:
    molecule = made(smiles)
    given = structure_of(molecule)
    write_structures(tmp_path / "a.sdf", [given])
    (back,) = read_structures(tmp_path / "a.sdf")
    assert back.info["bonds"] == given.info["bonds"]
    assert back.arrays.keys() == given.arrays.keys()
    for name, values in given.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], values)
    (read,) = Chem.SDMolSupplier(str(tmp_path / "a.sdf"), removeHs=False)
    Chem.AssignStereochemistryFrom3D(read)
    tags = [[atom.GetChiralTag() for atom in m.GetAtoms()] for m in (read, sanitised(molecule_of(given)))]
    assert tags[0] == tags[1]
    assert any(tag != Chem.ChiralType.CHI_UNSPECIFIED for tag in tags[0]) == ("@" in smiles)
    assert Chem.MolToSmiles(Chem.RemoveHs(read)) == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize("smiles", [s for s in SMILES if s not in ("[CH3]", "[O][O]", "[Cl-].[Na+]")])
def test_bonds_are_found_from_positions(smiles: str) -> None:
    molecule = made(smiles)
    stated = structure_of(molecule, {"name": "x"})
    # What the structure said of its bonds and charges before is of no consequence.
    stated.info["bonds"] = [[0, 1, 3]]
    found = with_bonds(stated)
    assert smiles_of(sanitised(molecule_of(found))) == Chem.CanonSmiles(smiles)
    assert found.info["name"] == "x"
    assert found.charge == Chem.GetFormalCharge(molecule)


def test_the_charge_of_the_structure_counts_unless_another_is_given() -> None:
    acetate = structure_of(made("CC(=O)[O-]"))
    acetate.arrays = {}
    assert with_bonds(acetate).arrays["formal_charge"].sum() == -1
    acetate.charge = None
    with pytest.raises(InputError):
        with_bonds(acetate)
    assert with_bonds(acetate, charge=-1).charge == -1
    sodium = Structure(np.array([11]), np.zeros((1, 3)))
    assert with_bonds(sodium, charge=1).arrays["formal_charge"].tolist() == [1]


def test_what_cannot_have_bonds_is_refused() -> None:
    crystal = Structure(np.array([6]), np.zeros((1, 3)), np.eye(3) * 4, np.array([True] * 3))
    with pytest.raises(InputError, match="periodic"):
        with_bonds(crystal)
    with pytest.raises(InputError, match="600 heavy atoms"):
        with_bonds(Structure(np.full(600, 6), np.random.default_rng(0).normal(size=(600, 3)) * 20))
    with pytest.raises(InputError, match=r"atom 1 \(O\) has 4 neighbours"):
        with_bonds(Structure(np.array([8, 1, 1, 1, 1]), methane().positions))


def test_a_search_without_end_is_given_up() -> None:
    molecule = made("CN(Cc1cnc2nc(N)nc(N)c2n1)c1ccc(C(=O)N[C@@H](CCC(=O)O)C(=O)O)cc1")
    structure = structure_of(molecule)
    rng = np.random.default_rng(0)
    reasons = []
    started = time.monotonic()
    for _ in range(20):
        moved = Structure(structure.numbers, structure.positions + rng.normal(size=structure.positions.shape) * 0.2)
        try:
            with_bonds(moved, timeout=0.1)
        except InputError as error:
            reasons.append(error.message)
    assert reasons
    assert all("atom" in reason or "search" in reason for reason in reasons)
    assert time.monotonic() - started < 10


def test_faults_are_named() -> None:
    five = Structure(np.array([1, 6, 1, 1, 1, 1]), np.random.default_rng(0).normal(size=(6, 3)))
    star = [[1, i, 1] for i in (0, 2, 3, 4, 5)]
    with pytest.raises(InputError, match=r"^atom 2 \(C\) has the valence 5$"):
        sanitised(molecule_of(five, bonds=star))
    charged = methane(*([0, i, 1] for i in range(1, 5)))
    charged.arrays["formal_charge"] = np.array([-1, 0, 0, 0, 0])
    with pytest.raises(InputError, match="valence 4 with the charge -1"):
        sanitised(molecule_of(charged))
    ring = Structure(np.full(5, 6), np.random.default_rng(0).normal(size=(5, 3)))
    with pytest.raises(InputError, match="aromatic atoms 1, 2, 3, 4, 5"):
        sanitised(molecule_of(ring, bonds=[[i, (i + 1) % 5, 1.5] for i in range(5)]))
    with pytest.raises(InputError, match="outside a ring"):
        sanitised(molecule_of(ring, bonds=[[0, 1, 1.5]]))


@pytest.mark.parametrize(
    ("bond", "words"),
    [
        ([0, 5, 1], "atoms 1 and 6 of 5"),
        ([-1, 0, 1], "atoms 0 and 1"),
        ([2, 2, 1], "atoms 3 and 3"),
        ([0, 2, 2.5], "unknown order 2.5"),
        ([1, 0, 1], "two bonds"),
    ],
)
def test_bonds_that_are_none(bond: list[float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        molecule_of(methane([0, 1, 1], bond))


def test_molecules_without_bonds() -> None:
    bare = Structure(np.array([6, 8]), np.eye(3)[:2])
    with pytest.raises(InputError, match="no bonds"):
        molecule_of(bare)
    assert molecule_of(bare, bonds=[]).GetNumBonds() == 0
    assert molecule_of(Structure(np.array([2]), np.zeros((1, 3)))).GetNumAtoms() == 1
    with pytest.raises(InputError, match="finite"):
        molecule_of(Structure(np.array([2]), np.full((1, 3), np.nan)))
    with pytest.raises(InputError, match="atom 2 is no element"):
        molecule_of(Structure(np.array([2, 0]), np.zeros((2, 3))), bonds=[])


def test_hydrogens_are_never_invented() -> None:
    carbon = methane([0, 1, 1], [0, 2, 1], [0, 3, 1])
    assert smiles_of(sanitised(molecule_of(carbon))) == "[CH3].[H]"
    lacking = Chem.MolFromSmiles("CC")
    AllChem.EmbedMolecule(lacking, randomSeed=1)
    with pytest.raises(InputError, match="hydrogens that are no atoms"):
        structure_of(lacking)
    with pytest.raises(InputError, match="no positions"):
        structure_of(Chem.AddHs(Chem.MolFromSmiles("CC")))


def test_hydrogens_in_smiles() -> None:
    water = sanitised(made("O"))
    assert (smiles_of(water), smiles_of(water, hydrogens=True)) == ("O", "[H]O[H]")


def test_hybridisations() -> None:
    found = hybridisations(molecule_of(structure_of(made("CC=CC#N"))))
    assert found == [4, 3, 3, 2, 2] + [1] * 5
    with pytest.raises(InputError):
        hybridisations(molecule_of(methane(*([0, i, 2] for i in range(1, 5)))))


@pytest.mark.shared
def test_qm7_gets_bonds(shared: Path) -> None:
    structures = list(read_structures(shared / "molecules" / "qm7" / "qm7_xyz.tar.xz", index="::3"))
    assert len(structures) == 2367
    found, places = 0, []
    for structure in structures:
        try:
            found += len(with_bonds(structure).info["bonds"]) >= len(structure) - 1
        except InputError as error:
            places.append(str(error.where.file))
    assert found / len(structures) > 0.99
    assert all(".xyz" in place for place in places)


@pytest.mark.shared
def test_the_same_smiles_from_positions_and_from_smiles(shared: Path) -> None:
    structures = list(read_structures(shared / "molecules" / "gdb1k" / "gdb1k.sdf"))
    found, reasons = [], []
    for structure in structures:
        try:
            found.append(smiles_of(sanitised(molecule_of(structure))))
        except InputError as error:
            reasons.append(error.message)
    assert len(found) == 991
    assert all("(N) has the valence 4" in reason for reason in reasons)
    assert found == [Chem.CanonSmiles(smiles) for smiles in found]
