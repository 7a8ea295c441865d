"""What networks are told of atoms: cases that can be read off, and independence of order and position."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqcli.data import ligand_features as features
from eqcli.data.ligand_features import (
    ELEMENTS,
    LIGAND_CODES,
    RECEPTOR_CODES,
    RIGID_RING,
    receptor_codes,
)
from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.receptor import read_receptor
from eqcli.io.receptor_residues import AMINO_ACIDS
from eqcli.io.structure import Structure
from tests.docking_folder import LIGANDS, protein, shape_of

ELEMENT, NEIGHBOURS, HYDROGENS, CHARGE, AROMATIC, RING, _HYBRIDISATION, RINGS = range(8)


BETAINE = "C[N+](C)(C)CC(=O)[O-]"


def structure(smiles: str) -> Structure:
    return shape_of(smiles).structure


def ligand_codes(given: Structure) -> np.ndarray:
    return features.ligand_codes(sanitised(molecule_of(given)))


def rigid_pairs(given: Structure) -> np.ndarray:
    return features.rigid_pairs(sanitised(molecule_of(given)))


def permuted(given: Structure, order: np.ndarray) -> Structure:
    """The same molecule with its atoms in another order."""
    place = np.argsort(order)
    bonds = [[int(place[i]), int(place[j]), kind] for i, j, kind in given.info["bonds"]]
    return replace(
        given,
        numbers=given.numbers[order],
        positions=given.positions[order],
        arrays={name: values[order] for name, values in given.arrays.items()},
        info={**given.info, "bonds": bonds},
    )


@pytest.mark.parametrize("smiles", [*LIGANDS, BETAINE, "C1CC2CCC1CC2", "BrC1CCCCCCC1", "[B-](F)(F)(F)F"])
def test_codes_are_within_their_categories(smiles: str) -> None:
    codes = ligand_codes(structure(smiles))
    assert codes.shape == (len(structure(smiles)), len(LIGAND_CODES))
    assert (codes >= 0).all()
    assert (codes < np.array(LIGAND_CODES)).all()


def test_codes_of_known_atoms() -> None:
    phenol = ligand_codes(structure("c1ccccc1O"))
    carbon, oxygen = phenol[0], phenol[6]
    assert carbon[[ELEMENT, NEIGHBOURS, HYDROGENS, CHARGE, AROMATIC, RING, RINGS]].tolist() == [
        *(ELEMENTS.index(6), 2, 1, 2, 1, 4, 1)
    ]
    assert oxygen[[ELEMENT, NEIGHBOURS, HYDROGENS, AROMATIC, RING, RINGS]].tolist() == [
        ELEMENTS.index(8),
        1,
        1,
        0,
        0,
        0,
    ]
    charged = ligand_codes(structure(BETAINE))
    assert charged[1, CHARGE] == 3
    assert charged[1, NEIGHBOURS] == 4
    assert charged[7, CHARGE] == 1
    large = ligand_codes(structure("BrC1CCCCCCC1"))
    assert large[1, RING] == LIGAND_CODES[RING] - 1
    cage = ligand_codes(structure("C1CC2CCC1CC2"))
    assert cage[2, RINGS] > 1


def test_codes_of_oxygens_of_an_acid_tell_them_apart() -> None:
    codes = ligand_codes(structure("CC(=O)O"))
    assert codes[2].tolist() != codes[3].tolist()


def test_codes_move_with_the_atoms_and_not_with_positions() -> None:
    for smiles in LIGANDS:
        given = structure(smiles)
        order = np.random.default_rng(0).permutation(len(given))
        assert np.array_equal(ligand_codes(permuted(given, order)), ligand_codes(given)[order])
        moved = replace(given, positions=given.positions + 30.0)
        assert np.array_equal(ligand_codes(moved), ligand_codes(given))


def test_impossible_molecules_are_refused() -> None:
    given = structure("CCO")
    worse = replace(given, info={**given.info, "bonds": [[i, j, 3] for i, j, _ in given.info["bonds"]]})
    with pytest.raises(InputError, match="valence"):
        ligand_codes(worse)


@pytest.mark.parametrize("smiles", [*LIGANDS, "C1CCCCC1CCC", "C1CCCCCCC1"])
def test_rigid_pairs_keep_their_distance_in_every_conformer(smiles: str) -> None:
    """Where torsions are turned at random, pairs are as far apart as before; others are not."""
    import torch

    from eqcli.geometry.torsions import turned
    from eqcli.io.ligand_topology import topology

    ligand = shape_of(smiles)
    shape, pairs = topology(ligand), rigid_pairs(ligand.structure)
    assert (ligand.structure.numbers[pairs] > 1).all()
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    positions = torch.from_numpy(ligand.structure.positions)
    angles = torch.linspace(0.7, 2.1, len(shape.rotatable), dtype=torch.float64)
    bent = turned(positions, torch.from_numpy(shape.rotatable), torch.from_numpy(shape.moved), angles)
    lengths = [(x[pairs[:, 0]] - x[pairs[:, 1]]).norm(dim=1) for x in (positions, bent)]
    assert torch.allclose(*lengths, atol=1e-9)


def test_rigid_pairs_of_known_molecules() -> None:
    butane = {tuple(p) for p in rigid_pairs(structure("CCCC")).tolist()}
    assert butane == {(0, 1), (1, 2), (2, 3), (0, 2), (1, 3)}
    assert len(rigid_pairs(structure("C1CCCCC1"))) == 15
    assert RIGID_RING == 7
    # A ring of eight may change its shape: bonds and angles alone.
    assert len(rigid_pairs(structure("C1CCCCCCC1"))) == 16
    assert rigid_pairs(structure("CO")).tolist() == [[0, 1]]


def test_codes_of_a_receptor(tmp_path: object) -> None:
    path = tmp_path / "p.pdb"  # type: ignore[operator]
    zinc = "HETATM  999 ZN    ZN A 301      30.000   0.000   0.000  1.00  0.00          ZN\n"
    path.write_text(protein(0).replace("END\n", zinc + "END\n"))
    receptor = read_receptor(path)
    codes, structure = receptor_codes(receptor.structure), receptor.structure
    assert codes.shape == (len(structure), len(RECEPTOR_CODES))
    assert (codes >= 0).all()
    assert (codes < np.array(RECEPTOR_CODES)).all()
    heavy = receptor.heavy
    assert (codes[~heavy, 0] == RECEPTOR_CODES[0] - 1).all()
    assert (codes[heavy, 0] < RECEPTOR_CODES[0] - 1).all()
    names = np.array(structure.arrays["residue_name"])
    for k, name in enumerate(AMINO_ACIDS):
        assert (codes[names == name, 1] == k).all()
    metal = structure.numbers == 30
    assert metal.sum() == 1
    assert codes[metal, 1:].tolist() == [[len(AMINO_ACIDS) + 1, 0]]
    atoms = np.array(structure.arrays["atom_name"])
    assert np.array_equal(codes[heavy, 2] == 1, np.isin(atoms[heavy], ("N", "CA", "C", "O")))
