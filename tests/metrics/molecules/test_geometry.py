"""Internal coordinates of molecules by type."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest

from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import molecule_of, structure_of
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.geometry import geometries, geometry_of
from tests.molecules import boneless, embedded, with_order


def chain(torsion: float) -> Structure:
    """Hydrogen peroxide with right angles and the given torsion in degrees."""
    turn = np.radians(torsion)
    places = [[1.0, 0, 0], [0, 0, 0], [0, 0, 1.5], [np.cos(turn), np.sin(turn), 1.5]]
    bonds = [[0, 1, 1], [1, 2, 1], [2, 3, 1]]
    return Structure(np.array([1, 8, 8, 1]), np.array(places), info={"bonds": bonds})


def mirrored(structure: Structure) -> Structure:
    return replace(structure, positions=structure.positions * np.array([1.0, 1.0, -1.0]))


@pytest.mark.parametrize("torsion", [-179.0, -90.0, -1.0, 0.0, 30.0, 120.0, 180.0])
def test_coordinates_of_a_chain_are_those_it_was_made_with(torsion: float) -> None:
    found = geometry_of(chain(torsion))
    assert found.lengths["O-O"] == pytest.approx([1.5])
    assert found.lengths["O-H"] == pytest.approx([1.0, 1.0])
    assert found.angles["O-O-H"] == pytest.approx([90.0, 90.0])
    # IUPAC: looking along the middle bond, the far end turns clockwise; here the axis points away from the viewer.
    assert found.torsions["O-O"] == pytest.approx([torsion])


def test_a_mirror_image_changes_the_sign_of_torsions_alone() -> None:
    one = geometry_of(embedded("C[C@H](F)O"))
    other = geometry_of(mirrored(embedded("C[C@H](F)O")))
    for name, values in one.torsions.items():
        assert other.torsions[name] == pytest.approx(-values)
    for kind in ("lengths", "angles"):
        for name, values in getattr(one, kind).items():
            assert getattr(other, kind)[name] == pytest.approx(values)


def test_torsions_agree_with_a_second_program() -> None:
    from ase import Atoms

    structure = embedded("CC(O)CF")
    atoms = Atoms(structure.numbers, positions=structure.positions)
    near = {(i, j) for a, b, _ in structure.info["bonds"] for i, j in ((a, b), (b, a))}
    expected = [
        atoms.get_dihedral(*four)
        for four in permutations(range(len(atoms)), 4)
        if four[1] < four[2] and all(pair in near for pair in pairwise(four))
    ]
    found = np.concatenate(list(geometry_of(structure).torsions.values()))
    assert np.sort(found % 360) == pytest.approx(np.sort(expected))


def test_types_and_counts_of_a_known_molecule() -> None:
    found = geometry_of(embedded("CC(=O)N"))  # Acetamide.
    assert {name: len(values) for name, values in found.lengths.items()} == {
        "C-C": 1, "C=O": 1, "C-N": 1, "C-H": 3, "N-H": 2,
    }  # fmt: skip
    assert {name: len(values) for name, values in found.angles.items()} == {
        "C-C=O": 1, "C-C-N": 1, "N-C=O": 1, "C-C-H": 3, "H-C-H": 3, "C-N-H": 2, "H-N-H": 1,
    }  # fmt: skip
    assert {name: len(values) for name, values in found.torsions.items()} == {"C-C": 6, "C-N": 4}
    assert found.elements == {"C": 2, "O": 1, "N": 1, "H": 5}
    assert found.bond_orders == {"-": 7, "=": 1}
    assert found.hybridisations is not None
    assert found.hybridisations["SP2"] == 3
    assert (found.n_atoms, found.rings, found.ring_sizes) == (9, 0, {})


def test_the_types_do_not_depend_on_the_order_of_atoms() -> None:
    structure = embedded("N#CC(=O)c1ccco1")
    order = np.random.default_rng(0).permutation(len(structure))
    place = np.argsort(order)
    bonds = [[int(place[j]), int(place[i]), o] for i, j, o in structure.info["bonds"]]
    moved = Structure(structure.numbers[order], structure.positions[order], info={"bonds": bonds})
    one, other = geometry_of(structure), geometry_of(moved)
    for kind in ("lengths", "angles", "torsions"):
        assert getattr(one, kind).keys() == getattr(other, kind).keys()
        for name, values in getattr(one, kind).items():
            assert np.sort(values) == pytest.approx(np.sort(getattr(other, kind)[name]))


def test_kekule_and_aromatic_forms_are_alike() -> None:
    kekule = embedded("Cc1ccccc1")
    kekule = structure_of(molecule_of(kekule))
    aromatic = [[i, j, 1.5 if i < 7 and j < 7 and 0 not in (i, j) else o] for i, j, o in kekule.info["bonds"]]
    assert {o for *_, o in kekule.info["bonds"]} == {1, 2}
    one, other = geometry_of(kekule), geometry_of(kekule, aromatic)
    assert one.bond_orders == other.bond_orders == {":": 6, "-": 9}
    assert one.lengths.keys() == {"C:C", "C-C", "C-H"}


def test_a_broken_molecule_is_measured_with_its_own_orders() -> None:
    found = geometry_of(with_order(embedded("CC"), 0, 3))
    assert len(found.lengths["C#C"]) == 1
    assert found.hybridisations is None


def test_torsions_about_straight_bonds_are_left_out() -> None:
    found = geometry_of(embedded("CC#CC"))
    assert "C#C" not in found.torsions
    assert "C-C" not in found.torsions


def test_rings_of_a_cage_are_a_smallest_set() -> None:
    found = geometry_of(embedded("C12C3C4C1C5C2C3C45"))  # Cubane has six faces, of which five are independent.
    assert (found.rings, found.ring_sizes) == (5, {4: 5})


def test_failures_are_rows_and_the_others_go_on() -> None:
    good = embedded("CO")
    far = replace(good, positions=np.where(np.arange(len(good))[:, None] == 0, np.nan, good.positions))
    merged = replace(good, positions=np.zeros_like(good.positions))
    wrong = replace(good, info={"bonds": [[0, 99, 1]]})
    rows = geometries([good, boneless(good), far, merged, wrong, Structure(np.zeros(0), np.zeros((0, 3)))], workers=1)
    assert [row.failure is None for row in rows] == [True, False, False, False, False, False]
    assert "no bonds" in str(rows[1].failure)
    assert "upon each other" in str(rows[3].failure)
    with pytest.raises(InputError):
        geometry_of(boneless(good))


@pytest.mark.parametrize("smiles", ["[H][H]", "O"])
def test_small_molecules_have_no_angles_or_no_torsions(smiles: str) -> None:
    structure = embedded(smiles)
    found = geometry_of(structure)
    assert found.torsions == {}
    assert len(found.angles) == (len(structure) == 3)
    atom = geometry_of(Structure(np.array([2]), np.zeros((1, 3))))
    assert (atom.lengths, atom.elements) == ({}, {"He": 1})


def test_given_bonds_take_the_place_of_own_ones() -> None:
    bare = boneless(embedded("CO"))
    [row] = geometries([bare], [[[0, 1, 1]]], workers=1)
    assert row.value is not None
    assert row.value.lengths.keys() == {"C-O"}
