"""Strain energies and what a relaxation does to a molecule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.metrics.molecules.strain import near_pairs, strain_mmff, strain_xtb, strains, superposed_rmsd
from eqcli.metrics.molecules.xtb import total_charge, xtb_atoms
from tests.molecules import boneless, embedded, shaken, with_order, without

METHODS = [strain_mmff, strain_xtb]


@pytest.fixture(autouse=True)
def _tblite() -> None:
    pytest.importorskip("tblite")


def stretched(amount: float) -> Structure:
    """Water with both bonds longer by `amount` Å than in MMFF's minimum."""
    water = embedded("O")
    return replace(
        water,
        positions=water.positions[0]
        + (water.positions - water.positions[0])
        * (1 + amount / np.linalg.norm(water.positions - water.positions[0], axis=1).clip(0.5)[:, None]),
    )


def test_the_minimum_of_mmff_has_no_strain() -> None:
    found = strain_mmff(embedded("CCO"))  # An embedded molecule is relaxed.
    assert found.method == "MMFF94s"
    assert 0 <= found.energy < 1e-3
    assert found.rmsd < 0.02
    assert found.converged
    assert found.graph_kept


@pytest.mark.parametrize("strain", METHODS)
def test_strain_grows_with_distortion_and_does_not_see_a_motion(strain: object) -> None:
    assert callable(strain)
    energies = [strain(stretched(amount)).energy for amount in (0.05, 0.1, 0.15)]
    assert 0 < energies[0] < energies[1] < energies[2]
    one = shaken(embedded("CC=O"), 1)
    moved = replace(one, positions=Rotation.from_rotvec([0.3, 1.0, -2.0]).apply(one.positions) + 7.0)
    assert strain(moved).energy == pytest.approx(strain(one).energy, abs=2e-3)
    assert strain(one).per_atom == pytest.approx(strain(one).energy / len(one), abs=1e-4)


def test_the_strain_of_a_stretched_bond_is_in_electronvolts() -> None:
    # MMFF94's stretching of the bond O-H of water: k = 7.88 mdyn/Å; 1 mdyn Å is 6.2415 eV.
    r, cubic = 0.05, -2.0
    stretch = 2 * 0.5 * 7.88 * 6.2415 * r**2 * (1 + cubic * r + 7 / 12 * cubic**2 * r**2)
    assert strain_mmff(stretched(r)).energy == pytest.approx(stretch, rel=0.1)


def test_xtb_relaxes_ions_and_radicals() -> None:
    acetate = embedded("CC(=O)[O-]")
    assert total_charge(acetate) == -1
    assert xtb_atoms(acetate).calc.parameters.charge == -1
    radical = without(embedded("CO"), 5)
    assert xtb_atoms(radical).calc.parameters.multiplicity == 2
    assert strain_xtb(radical).converged


@pytest.mark.parametrize("strain", METHODS)
def test_a_bond_that_forms_is_another_graph(strain: object) -> None:
    assert callable(strain)
    water = embedded("O")
    apart = water.positions.copy()
    apart[1] = apart[0] + 1.5 * (apart[1] - apart[0])
    assert not strain(replace(water, positions=apart)).graph_kept
    assert strain(water).graph_kept


def test_atoms_that_part_are_another_graph() -> None:
    helium = Structure(np.array([2, 2]), np.array([[0, 0, 0], [0.7, 0, 0]]))
    found = strain_xtb(helium)
    assert found.energy > 1
    assert not found.graph_kept


def test_few_steps_do_not_converge() -> None:
    bent = shaken(embedded("CCO"), 0, 0.1)
    assert not strain_xtb(bent, steps=1).converged
    assert not strain_mmff(bent, steps=1).converged


def test_what_mmff_cannot_take_is_a_row() -> None:
    good = embedded("CCO")
    items = [good, boneless(good), with_order(good, 0, 3), without(good, len(good) - 1), embedded("CB(O)O")]
    rows = strains(items, workers=1)
    assert [row.failure is None for row in rows] == [True, False, False, False, False]
    assert "valence" in str(rows[2].failure)
    assert "radicals" in str(rows[3].failure)
    assert "no parameters" in str(rows[4].failure)
    merged = replace(good, positions=np.zeros_like(good.positions))
    assert all(row.failure for row in strains([merged, Structure(np.zeros(0), np.zeros((0, 3)))], "xtb", workers=1))


def test_no_electrons_and_periodic_cells_are_refused() -> None:
    with pytest.raises(InputError, match="no electrons"):
        xtb_atoms(Structure(np.array([1]), np.zeros((1, 3)), charge=1.0))
    with pytest.raises(InputError, match="periodic"):
        xtb_atoms(Structure(np.array([1]), np.zeros((1, 3)), cell=9 * np.eye(3), pbc=np.ones(3, dtype=bool)))


def test_near_pairs_are_the_bonds_of_sound_molecules() -> None:
    for smiles in ("CCO", "c1ccsc1", "C1CC1C#N", "CS(=O)(=O)C"):
        molecule = embedded(smiles)
        bonds = {tuple(sorted((i, j))) for i, j, _ in molecule.info["bonds"]}
        assert near_pairs(molecule.numbers, molecule.positions) == bonds


def test_the_rmsd_is_that_of_the_best_rotation() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 9):
        one, noise = rng.normal(size=(n, 3)), 0.2 * rng.normal(size=(n, 3))
        turned = Rotation.random(rng=rng).apply(one) + 3.0
        assert superposed_rmsd(one, turned) == pytest.approx(0, abs=1e-6)
        if n > 2:
            other = turned + noise
            centred = [p - p.mean(axis=0) for p in (one, other)]
            assert superposed_rmsd(one, other) == pytest.approx(
                Rotation.align_vectors(*centred)[1] / np.sqrt(n), abs=1e-6
            )
    hand = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
    assert superposed_rmsd(hand, -hand) > 0.1
