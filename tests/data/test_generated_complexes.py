"""Pieces cut out of proteins: the right molecules, in their place, in receptors that fit together without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem
from rdkit.Chem.MolStandardize import rdMolStandardize

from eqcli.data.generated_complexes import CLEAR, CONTACT, COVALENT, cut, generated_complexes
from eqcli.data.peptide_pieces import Chains
from eqcli.io.ligand import Ligand
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.receptor import Receptor, read_receptor

SEQUENCE = "GACDEFGHIKLMNPQRSTVWYG"


@pytest.fixture(scope="module")
def peptide(tmp_path_factory: pytest.TempPathFactory) -> Receptor:
    whole = Chem.AddHs(Chem.MolFromSequence(SEQUENCE))
    assert AllChem.EmbedMolecule(whole, useRandomCoords=True, randomSeed=1) == 0
    molecule = Chem.RemoveHs(whole)
    for atom in molecule.GetAtoms():
        # RDKit calls the branches of isoleucine the other way round than the wwPDB does.
        info = atom.GetPDBResidueInfo()
        if info.GetResidueName() == "ILE" and (other := {" CG1": " CG2", " CG2": " CG1"}.get(info.GetName()[:4])):
            info.SetName(other)
    path = tmp_path_factory.mktemp("peptide") / "peptide.pdb"
    Chem.MolToPDBFile(molecule, str(path))
    return read_receptor(path)


def formyl_amide(letter: str) -> str:
    """The molecule that RDKit makes of one amino acid, with both caps."""
    molecule = Chem.RWMol(Chem.MolFromSequence(letter))
    names = {a.GetPDBResidueInfo().GetName().strip(): a.GetIdx() for a in molecule.GetAtoms()}
    molecule.GetAtomWithIdx(names["OXT"]).SetAtomicNum(7)
    carbon, oxygen = molecule.AddAtom(Chem.Atom(6)), molecule.AddAtom(Chem.Atom(8))
    molecule.AddBond(names["N"], carbon, Chem.BondType.SINGLE)
    molecule.AddBond(carbon, oxygen, Chem.BondType.DOUBLE)
    return plain(molecule.GetMol())


def plain(molecule: Chem.Mol) -> str:
    """SMILES without charges and of one tautomer."""
    bare = Chem.RemoveHs(molecule)
    Chem.SanitizeMol(bare)
    parent = rdMolStandardize.Uncharger().uncharge(bare)
    enumerator = rdMolStandardize.TautomerEnumerator()
    enumerator.SetRemoveSp3Stereo(False)
    return str(Chem.MolToSmiles(enumerator.Canonicalize(parent)))


def molecule(ligand: Ligand) -> Chem.Mol:
    return sanitised(molecule_of(ligand.structure))


@pytest.mark.parametrize("row", range(1, 21))
def test_each_amino_acid_becomes_its_formyl_amide(peptide: Receptor, row: int) -> None:
    found = sanitised(Chains(peptide).molecule(row, row))
    assert plain(found) == formyl_amide(SEQUENCE[row])


def test_charges_are_those_at_ph_7(peptide: Receptor) -> None:
    charges = {SEQUENCE[i]: Chem.GetFormalCharge(Chains(peptide).molecule(i, i)) for i in range(1, 21)}
    assert {letter: q for letter, q in charges.items() if q} == {"D": -1, "E": -1, "K": 1, "R": 1}


def test_a_longer_piece_is_one_molecule_with_its_peptide_bonds(peptide: Receptor) -> None:
    found = sanitised(Chains(peptide).molecule(4, 8))
    assert len(Chem.GetMolFrags(found)) == 1
    assert len(found.GetSubstructMatches(Chem.MolFromSmarts("C(=O)N[CX4]C(=O)N"), uniquify=True)) == 5


def test_ends_of_chains_gaps_and_missing_atoms_are_no_pieces(peptide: Receptor) -> None:
    chains = Chains(peptide)
    assert chains.piece(0, 2) is None
    assert chains.piece(19, 21) is None
    assert chains.piece(5, 7) is not None
    structure = replace(peptide.structure, positions=peptide.structure.positions.copy())
    structure.positions[structure.arrays["residue"] >= 7] += 3.0
    broken = Chains(replace(peptide, structure=structure))
    assert broken.piece(5, 7) is None
    assert broken.piece(8, 9) is not None
    names = peptide.structure.arrays["atom_name"].copy()
    names[chains.atoms[5]["CB"]] = "XX"
    arrays = {**peptide.structure.arrays, "atom_name": names}
    assert Chains(replace(peptide, structure=replace(peptide.structure, arrays=arrays))).piece(5, 7) is None


def check(receptor: Receptor, left: Receptor, ligand: Ligand, least: float) -> None:
    heavy = ligand.structure.positions[ligand.structure.numbers > 1]
    protein = left.structure.positions[left.heavy]
    distances = np.linalg.norm(heavy[:, None] - protein, axis=-1)
    assert ligand.given
    assert distances.min() >= COVALENT
    assert (distances < CONTACT).sum() / len(heavy) >= least
    # The ligand is atoms of the receptor, and the receptor has them no more.
    own = receptor.structure.positions[receptor.heavy]
    assert np.linalg.norm(heavy[:, None] - own, axis=-1).min(1).max() < 1e-3
    assert molecule(ligand).GetNumAtoms() == len(ligand.structure)
    # What is left is a receptor as any other.
    structure, residues = left.structure, left.residues
    assert np.array_equal(np.unique(structure.arrays["residue"]), np.arange(structure.arrays["residue"].max() + 1))
    is_ca = (structure.arrays["atom_name"] == "CA") & np.isin(structure.arrays["residue"], residues.index)
    np.testing.assert_allclose(structure.positions[is_ca], residues.ca)
    assert np.array_equal(structure.arrays["residue"][is_ca], residues.index)
    assert len(residues.names) == len(residues.amino_acid) == len(residues.n) < len(receptor.residues)


def test_complexes_of_a_peptide(peptide: Receptor) -> None:
    made = list(generated_complexes(peptide, count=100, seed=0, buried=0.0))
    assert len({ligand.name for _, ligand in made}) == len(made) > 10
    for left, ligand in made:
        check(peptide, left, ligand, 0.0)
        assert left.name == ligand.name


def test_the_seed_decides_and_count_is_kept(peptide: Receptor) -> None:
    def names(seed: int) -> list[str]:
        return [ligand.name for _, ligand in generated_complexes(peptide, count=4, seed=seed, buried=0.0)]

    assert len(names(0)) == 4
    assert names(0) == names(0) != names(1)


def test_lengths_and_burial_are_as_asked(peptide: Receptor) -> None:
    made = list(generated_complexes(peptide, count=3, seed=0, lengths=(3,), buried=0.0))
    smarts = Chem.MolFromSmarts("C(=O)N[CX4]C(=O)N")
    assert [len(molecule(ligand).GetSubstructMatches(smarts)) for _, ligand in made] == [3, 3, 3]
    assert list(generated_complexes(peptide, count=3, seed=0, buried=50.0)) == []


def test_what_is_bonded_to_the_rest_stays(peptide: Receptor) -> None:
    chains = Chains(peptide)
    assert cut(chains, 3, 3) is not None
    # A sulphur of another residue, as near as in a disulfide.
    structure = replace(peptide.structure, positions=peptide.structure.positions.copy())
    carbon = structure.positions[chains.atoms[3]["OD1"]]
    structure.positions[chains.atoms[15]["CB"]] = carbon + np.array([2.05, 0.0, 0.0])
    assert cut(Chains(replace(peptide, structure=structure)), 3, 3) is None


def test_residues_beside_the_piece_go_with_it(peptide: Receptor) -> None:
    chains = Chains(peptide)
    found = cut(chains, 9, 10)
    assert found is not None
    assert found.start <= 8
    assert found.stop >= 11
    piece = peptide.structure.positions[chains.piece(9, 10)]
    for row, outermost in ((found.start - 1, 9 - found.start), (found.stop + 1, found.stop - 10)):
        own = peptide.structure.positions[list(chains.atoms[row].values())]
        assert outermost == 3 or np.linalg.norm(piece[:, None] - own, axis=-1).min() >= CLEAR


@pytest.mark.parametrize("target", ["jacs_set/tyk2", "merck/hif2a"])
def test_complexes_of_real_proteins_are_buried(shared: Path, target: str) -> None:
    receptor = read_receptor(shared / "docking" / "openfe_series" / target / "protein.pdb.gz")
    made = list(generated_complexes(receptor, count=8, seed=0))
    assert len(made) == 8
    for left, ligand in made:
        check(receptor, left, ligand, 5.0)
