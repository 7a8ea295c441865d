"""Registration of molecules and clusters."""

from __future__ import annotations

import numpy as np
import pytest

from eqcli.engine.atom_assignment import assign_atoms
from eqcli.engine.register_molecules import register_molecules
from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import structure_of
from eqcli.io.structure import Structure
from tests.geometry.made_chains import turned


def molecule(smiles, seed=1):
    from rdkit import Chem
    from rdkit.Chem import AllChem

    made = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(made, randomSeed=seed)
    return structure_of(made)


def scrambled(structure, rng, *, mirror=False, noise=0.0, order=None):
    """The molecule turned, shifted and with its atoms in another order; returns it with the rotation and the order."""
    n = len(structure)
    order = rng.permutation(n) if order is None else order
    place = np.argsort(order)
    turn = turned(rng)
    points = structure.positions * (-1 if mirror else 1) @ turn.T + rng.normal(size=3) * 9
    points = points + rng.normal(size=points.shape) * noise
    info = {}
    if "bonds" in structure.info:
        info["bonds"] = [[int(place[int(i)]), int(place[int(j)]), o] for i, j, o in structure.info["bonds"]]
    return Structure(structure.numbers[order], points[order], info=info), turn, order


def bare(structure):
    return Structure(structure.numbers, structure.positions)


@pytest.mark.parametrize(
    "smiles", ["C", "CC", "O", "c1ccccc1", "CC(C)(C)C", "C[C@H](N)C(=O)O", "OC(=O)CCC(=O)[O-]", "CCCCCCCCCC"]
)
@pytest.mark.parametrize("bonds", [True, False])
def test_any_order_of_the_atoms_is_undone(smiles, bonds):
    rng = np.random.default_rng(2)
    source = molecule(smiles)
    target, _, _ = scrambled(source, rng)
    if not bonds:
        source, target = bare(source), bare(target)
    found = register_molecules(source, target, permute=True)
    assert found.reliable
    assert found.rmsd < 1e-4
    assert len(found.matched) == len(source) == len(found.mapping)
    assert (source.numbers[found.matched[:, 0]] == target.numbers[found.matched[:, 1]]).all()
    np.testing.assert_allclose(
        found.moved.positions[found.matched[:, 0]], target.positions[found.matched[:, 1]], atol=1e-3
    )
    assert max(row.distance for row in found.mapping) < 1e-3


def test_an_asymmetric_molecule_gets_its_own_atoms_back():
    rng = np.random.default_rng(3)
    source = molecule("C[C@H](N)C(=O)O")
    target, turn, order = scrambled(source, rng)
    found = register_molecules(source, target, permute=True, heavy=True)
    right = {int(i): int(np.flatnonzero(order == i)[0]) for i in found.matched[:, 0] if source.numbers[i] != 8}
    assert all(right.get(int(i), j) == j for i, j in found.matched)
    np.testing.assert_allclose(found.motion.rotation.numpy(), turn, atol=1e-6)
    assert found.facts["rmsd_over"] == "6 heavy atoms"


def test_atoms_in_order():
    rng = np.random.default_rng(4)
    source = molecule("CCO")
    target, _, _ = scrambled(source, rng, order=np.arange(len(source)), noise=0.01)
    found = register_molecules(source, target)
    assert found.rmsd < 0.03
    assert (found.matched[:, 0] == found.matched[:, 1]).all()
    other, _, _ = scrambled(source, rng, order=np.arange(len(source))[::-1])
    with pytest.raises(InputError, match="atom 1 is C in the source and H, atom 1") as error:
        register_molecules(source, other)
    assert "--permute" in error.value.hint
    with pytest.raises(InputError, match="9 atoms and the target 13"):
        register_molecules(bare(source), Structure(np.r_[source.numbers, [1] * 4], np.zeros((13, 3))))


def test_atoms_in_an_order_that_breaks_bonds():
    source = molecule("CCO")
    order = np.arange(len(source))
    order[[0, 1]] = order[[1, 0]]
    target, _, _ = scrambled(source, np.random.default_rng(0), order=order)
    found = register_molecules(source, target)
    assert not found.reliable
    assert "--permute" in found.reasons[0]
    assert found.as_dict()["matrix"] is None


def test_enantiomers():
    rng = np.random.default_rng(5)
    source = molecule("C[C@H](N)C(=O)O")
    target, turn, _ = scrambled(source, rng, mirror=True)
    found = register_molecules(source, target, permute=True)
    assert found.rmsd > 0.3
    assert "enantiomers" in found.notes[-1]
    assert np.linalg.det(found.motion.rotation.numpy()) == pytest.approx(1)
    reflected = register_molecules(source, target, permute=True, reflect=True)
    assert reflected.rmsd < 1e-4
    np.testing.assert_allclose(reflected.motion.rotation.numpy(), -turn, atol=1e-4)
    same = register_molecules(source, source, permute=True, reflect=True)
    assert not same.facts["mirrored"]


def test_molecules_that_share_a_part():
    found = register_molecules(molecule("c1ccccc1CCO"), molecule("c1ccccc1N"), permute=True)
    assert found.facts["common"] == 6
    assert found.reliable
    assert any("the molecules differ: 6 heavy atoms of 9 and 7" in note for note in found.notes)
    with pytest.raises(InputError, match="no substructure"):
        register_molecules(molecule("CCCO"), molecule("NN"), permute=True)


@pytest.mark.parametrize("mirror", [False, True])
def test_clusters_have_no_bonds(mirror):
    rng = np.random.default_rng(6)
    source = Structure(np.array([18] * 12 + [36] * 4), rng.normal(size=(16, 3)) * 4)
    target, turn, _ = scrambled(source, rng, noise=0.02, mirror=mirror)
    found = register_molecules(source, target, permute=True, reflect=mirror)
    assert found.rmsd < 0.06
    np.testing.assert_allclose(found.motion.rotation.numpy(), -turn if mirror else turn, atol=0.02)


def test_a_symmetric_cluster_and_a_different_one():
    from ase.cluster import Icosahedron

    made = Icosahedron("Au", 3)
    source = Structure(made.numbers, made.positions)
    target, _, _ = scrambled(source, np.random.default_rng(7), noise=0.03)
    assert register_molecules(source, target, permute=True).rmsd < 0.08
    other = Structure(source.numbers, np.random.default_rng(8).normal(size=(55, 3)) * 6)
    found = register_molecules(source, other, permute=True)
    assert not found.reliable
    assert "nearest neighbours" in found.reasons[0]


def test_assignment_is_the_best_of_all_orders():
    from itertools import permutations

    from eqcli.geometry.superposed import superposed_rmsds

    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    kinds = np.array([1, 1, 1, 1, 2, 2])
    orders = np.array([(*a, *b) for a in permutations(range(4)) for b in permutations((4, 5))])
    best = superposed_rmsds(x, y[orders]).min()
    assert assign_atoms(x, y, kinds, kinds).rmsd == pytest.approx(best, abs=1e-9)


def test_what_stays_free_is_told():
    line = Structure([8, 6, 8], [[0, 0, -1.2], [0, 0, 0], [0, 0, 1.2]])
    assert "line" in register_molecules(line, line).notes[-1]
    atom = Structure([2], [[0, 0, 0]])
    assert "any rotation" in register_molecules(atom, atom).notes[-1]
    with pytest.raises(InputError, match="no atoms"):
        register_molecules(Structure([], np.zeros((0, 3))), atom)
    with pytest.raises(InputError, match="finite"):
        register_molecules(Structure([2], [[np.nan, 0, 0]]), atom)
