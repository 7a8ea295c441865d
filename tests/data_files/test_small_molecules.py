"""The shipped small molecules are what their README says: whole, neutral, at rest, distinct, labelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem.rdchem import Mol

FOLDER = Path(__file__).resolve().parents[2] / "data" / "small_molecules"
COUNTS = {"train": 2281, "test": 254}
HEAVY_ATOMS = {1: 5, 2: 8, 3: 17, 4: 82, 5: 376, 6: 799, 7: 1248}
LABELS = {"smiles", "energy", "gap", "dipole", "dipole_vector"}
ORDERS = {Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE}
AT_REST = 0.02
"""eV/Å: relaxed to half of it, the rest is for four decimals of the positions."""


def molecules(part: str) -> list[Mol]:
    """As the file has them, stereochemistry from the positions."""
    found = list(Chem.SDMolSupplier(str(FOLDER / f"{part}.sdf"), removeHs=False, sanitize=False))
    for molecule in found:
        molecule.UpdatePropertyCache(strict=True)
    return found


@pytest.fixture(scope="module")
def parts() -> dict[str, list[Mol]]:
    return {part: molecules(part) for part in COUNTS}


@pytest.fixture(scope="module")
def everything(parts: dict[str, list[Mol]]) -> list[Mol]:
    return parts["train"] + parts["test"]


@pytest.fixture(scope="module")
def sanitised(everything: list[Mol]) -> list[Mol]:
    found = [Chem.Mol(molecule) for molecule in everything]
    for molecule in found:
        Chem.SanitizeMol(molecule)
        Chem.AssignStereochemistryFrom3D(molecule)
    return found


def constitution(smiles: str) -> str:
    molecule = Chem.MolFromSmiles(smiles)
    Chem.RemoveStereochemistry(molecule)
    return Chem.MolToSmiles(Chem.RemoveHs(molecule))


def closed(molecule: Mol, place: Chem.StereoInfo) -> Iterator[str]:
    """The molecule with each of the two stereochemistries at a tetrahedral atom where it states none."""
    for tag in (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW):
        one = Chem.Mol(molecule)
        one.GetAtomWithIdx(place.centeredOn).SetChiralTag(tag)
        yield Chem.MolToSmiles(one)


def symmetric(molecule: Mol, bond: int) -> bool:
    """Whether one end of a double bond is in the middle of a ring with two sides alike."""
    ranks = list(Chem.CanonicalRankAtoms(molecule, breakTies=False, includeChirality=False))
    ends = (molecule.GetBondWithIdx(bond).GetBeginAtom(), molecule.GetBondWithIdx(bond).GetEndAtom())
    other = [{ranks[n.GetIdx()] for n in end.GetNeighbors()} for end in ends]
    return any(len(seen) < end.GetDegree() for seen, end in zip(other, ends, strict=True))


def some(everything: list[Mol]) -> Iterator[tuple[Mol, Any]]:
    """Three molecules, the last of them the largest, and GFN2-xTB's result for each."""
    interface = pytest.importorskip("tblite.interface", reason="tblite makes the labels: pip install eqcli[data]")
    from ase.units import Bohr

    largest = max(everything, key=Mol.GetNumAtoms)
    for molecule in (everything[300], everything[1500], largest):
        numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
        calculator = interface.Calculator("GFN2-xTB", numbers, molecule.GetConformer().GetPositions() / Bohr)
        calculator.set("verbosity", 0)
        calculator.set("accuracy", 0.1)
        yield molecule, calculator.singlepoint()


def test_the_files_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3_000_000


def test_counts_are_those_of_the_readme(parts: dict[str, list[Mol]], everything: list[Mol]) -> None:
    assert {part: len(found) for part, found in parts.items()} == COUNTS
    assert Counter(molecule.GetNumHeavyAtoms() for molecule in everything) == HEAVY_ATOMS


def test_labels_are_complete_and_plausible(everything: list[Mol]) -> None:
    for molecule in everything:
        assert set(molecule.GetPropNames()) == LABELS
        dipole = np.array(molecule.GetProp("dipole_vector").split(), dtype=float)
        assert float(molecule.GetProp("dipole")) == pytest.approx(np.linalg.norm(dipole), abs=2e-4)
        assert dipole.shape == (3,)
        assert np.linalg.norm(dipole) < 3
        assert 1 < float(molecule.GetProp("gap")) < 20
        assert float(molecule.GetProp("energy")) < -50 * molecule.GetNumHeavyAtoms()


def test_they_are_whole_neutral_and_without_radicals(sanitised: list[Mol]) -> None:
    for molecule in sanitised:
        assert len(Chem.GetMolFrags(molecule)) == 1
        assert {atom.GetSymbol() for atom in molecule.GetAtoms()} <= {"H", "C", "N", "O", "F", "S"}
        assert not any(atom.GetFormalCharge() or atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
        assert not any(atom.GetTotalNumHs(includeNeighbors=False) for atom in molecule.GetAtoms())


def test_bonds_are_single_double_or_triple(everything: list[Mol]) -> None:
    assert {bond.GetBondType() for molecule in everything for bond in molecule.GetBonds()} == ORDERS


def test_smiles_are_those_of_bonds_and_positions(sanitised: list[Mol]) -> None:
    for molecule in sanitised:
        assert Chem.MolToSmiles(Chem.RemoveHs(molecule)) == molecule.GetProp("smiles")


def test_stereoisomers_are_named(everything: list[Mol]) -> None:
    """Stereochemistry is there, and open only at nitrogen, which inverts, and where two sides are alike."""
    names = [molecule.GetProp("smiles") for molecule in everything]
    assert sum("@" in name for name in names) > 500
    assert sum("/" in name for name in names) > 300
    for name in names:
        molecule = Chem.MolFromSmiles(name)
        for place in Chem.FindPotentialStereo(molecule):
            if place.specified != Chem.StereoSpecified.Unspecified:
                continue
            if place.type == Chem.StereoType.Bond_Double:
                assert symmetric(molecule, place.centeredOn), name
            elif molecule.GetAtomWithIdx(place.centeredOn).GetSymbol() != "N":
                assert len({Chem.CanonSmiles(way) for way in closed(molecule, place)}) == 1, name


def test_bonded_atoms_are_near_and_others_are_not(everything: list[Mol]) -> None:
    table = Chem.GetPeriodicTable()
    for molecule in everything:
        radii = np.array([table.GetRcovalent(atom.GetAtomicNum()) for atom in molecule.GetAtoms()])
        distances = Chem.Get3DDistanceMatrix(molecule)
        near = distances < 1.25 * (radii[:, None] + radii) - 10 * np.eye(len(radii))
        assert (near == (Chem.GetAdjacencyMatrix(molecule) > 0)).all(), molecule.GetProp("smiles")


def test_no_constitution_is_there_twice(parts: dict[str, list[Mol]]) -> None:
    """So no test molecule, nor a stereoisomer of it, is among the training molecules."""
    names = {part: [constitution(m.GetProp("smiles")) for m in found] for part, found in parts.items()}
    assert not set(names["train"]) & set(names["test"])
    assert Counter(names["train"] + names["test"]).most_common(1)[0][1] == 1


def test_every_molecule_of_up_to_two_heavy_atoms_is_there(everything: list[Mol]) -> None:
    small = {m.GetProp("smiles") for m in everything if m.GetNumHeavyAtoms() <= 2}
    assert small == {"C", "N", "O", "F", "S", "CC", "C=C", "C#C", "CN", "CO", "CF", "C=O", "C#N"}


def test_eqcli_reads_them(parts: dict[str, list[Mol]]) -> None:
    from eqcli.io.sdf import read

    frames = list(read(FOLDER / "test.sdf"))
    for frame, molecule in zip(frames, parts["test"], strict=True):
        assert frame.info["smiles"] == molecule.GetProp("smiles")
        assert len(frame.info["bonds"]) == molecule.GetNumBonds()
        np.testing.assert_array_equal(frame.positions, molecule.GetConformer().GetPositions())


def test_they_are_at_rest(everything: list[Mol]) -> None:
    from ase.units import Bohr, Hartree

    for _, result in some(everything):
        assert np.abs(result.get("gradient")).max() * Hartree / Bohr < AT_REST


def test_labels_are_those_of_the_method(everything: list[Mol]) -> None:
    from ase.units import Bohr, Hartree

    for molecule, result in some(everything):
        assert float(molecule.GetProp("energy")) == pytest.approx(result.get("energy") * Hartree, abs=2e-5)
        dipole = np.array(molecule.GetProp("dipole_vector").split(), dtype=float)
        np.testing.assert_allclose(dipole, result.get("dipole") * Bohr, atol=2e-4)
        levels, electrons = result.get("orbital-energies") * Hartree, round(sum(result.get("orbital-occupations")))
        gap = levels[electrons // 2] - levels[electrons // 2 - 1]
        assert float(molecule.GetProp("gap")) == pytest.approx(gap, abs=2e-4)
