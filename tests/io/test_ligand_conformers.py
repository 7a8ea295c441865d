"""Shapes of a ligand: distinct, repeatable, of the same stereochemistry, rings included."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.geometry.superposed import superposed_rmsds
from eqcli.io.ligand import Ligand, conformers, read_ligands
from eqcli.io.ligand_conformers import APART
from eqcli.io.rdkit_molecule import molecule_of, sanitised, smiles_of


def ligand(smiles: str) -> Ligand:
    (found,) = read_ligands(smiles)
    assert isinstance(found, Ligand), found
    return found


def test_shapes_are_distinct_and_the_same_for_the_same_seed() -> None:
    made = ligand("CCCC(O)CC")
    shapes = conformers(made, 8, 5)
    assert shapes.shape[1:] == made.structure.positions.shape
    assert 2 <= len(shapes) <= 8
    np.testing.assert_array_equal(shapes, conformers(made, 8, 5))
    assert np.abs(shapes[0] - conformers(made, 8, 6)[0]).max() > 1e-3
    heavy = made.structure.numbers > 1
    for k in range(1, len(shapes)):
        assert superposed_rmsds(shapes[k][heavy], shapes[:k][:, heavy]).min() >= APART


def test_a_stiff_molecule_has_one_shape() -> None:
    assert len(conformers(ligand("c1ccccc1"), 5, 1)) == 1


def test_rings_are_sampled() -> None:
    made = ligand("CC1CCCCC1")
    shapes = conformers(made, 20, 1)
    assert len(shapes) >= 2


def test_the_given_shape_comes_first() -> None:
    made = ligand("CCCCO")
    np.testing.assert_array_equal(conformers(made, 1, 0, keep_given=True)[0], made.structure.positions)
    several = conformers(made, 4, 0, keep_given=True)
    np.testing.assert_array_equal(several[0], made.structure.positions)
    assert len(several) >= 2


@pytest.mark.parametrize("smiles", ["C[C@H](O)[C@@H](F)Cl", "C/C=C\\CO", "O=C1CCCCCCCCCCCCO1"])
def test_stereochemistry_and_bonds_stay(smiles: str) -> None:
    made = ligand(smiles)
    wanted = smiles_of(sanitised(molecule_of(made.structure)))
    for shape in conformers(made, 3, 2):
        made.structure.positions = shape
        assert smiles_of(sanitised(molecule_of(made.structure))) == wanted


def test_bonds_have_lengths_of_bonds_in_a_peptide() -> None:
    made = ligand("N[C@@H](C)C(=O)" * 4 + "O")
    shape = conformers(made, 1, 1)[0]
    lengths = [np.linalg.norm(shape[i] - shape[j]) for i, j, _ in made.structure.info["bonds"]]
    assert min(lengths) > 0.9
    assert max(lengths) < 1.7


def test_what_has_no_shape_is_refused_with_its_name() -> None:
    (found,) = read_ligands("[C@]12(F)C[C@@]1(F)C2 twisted")
    assert isinstance(found, InputError)
    assert "no shape of 'twisted'" in found.message


@pytest.mark.parametrize("smiles", ["C[C@H](N)C(=O)O", "C1CC2CCC1C2", "CC(C)CN1CCN(C)CC1", "F/C=C/[C@@H](Cl)Br"])
def test_the_order_of_atoms_does_not_matter(smiles: str) -> None:
    """Equal up to the symmetries of the molecule, which spectra of distances do not see."""
    from rdkit import Chem

    from eqcli.io.ligand import ligand_of

    made = ligand(smiles)
    molecule = molecule_of(made.structure)
    order = np.random.default_rng(3).permutation(molecule.GetNumAtoms())
    other = ligand_of(Chem.RenumberAtoms(molecule, order.tolist()), "permuted")
    here, there = conformers(made, 3, 7), conformers(other, 3, 7)
    assert len(here) == len(there)
    for a, b in zip(here, there, strict=True):
        spectra = [np.linalg.eigvalsh(np.linalg.norm(x[:, None] - x[None], axis=-1)) for x in (a, b)]
        np.testing.assert_allclose(spectra[0], spectra[1], atol=1e-3)


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32])
def test_every_seed_gives_shapes_that_differ(seed: int) -> None:
    assert len(conformers(ligand("CCCCCC(=O)O"), 6, seed)) > 2
