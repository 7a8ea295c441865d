"""The shipped crystals are what their README says: at rest, distinct, near the hull, of the prototypes named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import read

FOLDER = Path(__file__).resolve().parents[2] / "data" / "intermetallics"
METALS = {"Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt"}
ROUNDING = 2e-8
STEP = 1e-4
SYMMETRIES = {
    "A1": 225, "A2": 229, "A3": 194, "A3'": 194, "B2": 221, "L1_0": 123, "L1_1": 166, "CH40": 141, "B19": 51,
    "B32": 227, "MoPt2": 71, "C15": 227, "C32": 191, "L1_2": 221, "D0_3": 225, "D0_19": 194, "D0_a": 59, "D1_a": 87,
    "Ca7Ge": 225, "L2_1": 225,
}  # fmt: skip
"""Space groups as tables of prototypes have them, of those that symmetry keeps apart from all others here."""


@pytest.fixture(scope="module")
def crystals() -> dict[str, list[Atoms]]:
    return {part: read(FOLDER / f"{part}.extxyz", index=":") for part in ("train", "test")}


@pytest.fixture(scope="module")
def everything(crystals: dict[str, list[Atoms]]) -> list[Atoms]:
    return crystals["train"] + crystals["test"]


def composition(atoms: Atoms) -> str:
    counts = Counter(atoms.get_chemical_symbols())
    divisor = np.gcd.reduce(list(counts.values()))
    return "".join(f"{symbol}{counts[symbol] // divisor}" for symbol in sorted(counts))


def test_they_are_small_crystals_of_the_seven_metals(everything: list[Atoms]) -> None:
    assert all({*atoms.symbols} <= METALS and atoms.pbc.all() and len(atoms) <= 8 for atoms in everything)
    assert {symbol for atoms in everything for symbol in atoms.symbols} == METALS
    assert max(len({*atoms.symbols}) for atoms in everything) == 3


def test_labels_are_those_of_the_potential(everything: list[Atoms]) -> None:
    for atoms in everything[::20]:
        again = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True, calculator=EMT())
        assert again.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=ROUNDING)
        np.testing.assert_allclose(again.get_forces(), atoms.get_forces(), atol=ROUNDING)
        np.testing.assert_allclose(again.get_stress(), atoms.get_stress(), atol=ROUNDING)


def test_stress_is_the_strain_derivative_of_the_energy(everything: list[Atoms]) -> None:
    atoms = next(a for a in everything if a.info["config_type"] == "B19").copy()
    atoms.set_cell(atoms.cell @ (np.eye(3) + np.diag([0.02, -0.01, 0.03])), scale_atoms=True)
    atoms.calc = EMT()
    stress, cell, energies = atoms.get_stress(voigt=False), atoms.cell.array, []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.set_cell(cell @ (np.eye(3) + sign * STEP / 2 * np.diag([0, 0, 1.0])), scale_atoms=True)
        moved.calc = EMT()
        energies.append(moved.get_potential_energy())
    assert stress[2, 2] == pytest.approx((energies[0] - energies[1]) / STEP / atoms.get_volume(), abs=1e-6)


def test_they_are_at_rest(everything: list[Atoms]) -> None:
    assert max(np.abs(atoms.get_forces()).max() for atoms in everything) < 2e-4
    assert max(np.abs(atoms.get_stress()).max() for atoms in everything) < 2e-5


def test_cells_are_reduced_and_right_handed(everything: list[Atoms]) -> None:
    for atoms in everything:
        assert np.linalg.det(atoms.cell) > 0
        lengths, angles = atoms.cell.lengths(), atoms.cell.angles()
        assert (np.diff(lengths) > -1e-3).all()
        # Niggli cells have angles that are all acute or all obtuse, each within 60 to 120 degrees.
        assert ((angles > 59.99) & (angles < 120.01)).all()
        assert (angles < 90.01).all() or (angles > 89.99).all()


def test_space_groups_are_those_of_the_prototypes(everything: list[Atoms]) -> None:
    for atoms in everything:
        cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
        number = spglib.get_symmetry_dataset(cell, symprec=1e-3).number
        assert number == atoms.info["space_group"]
        assert number == SYMMETRIES.get(atoms.info["config_type"], number)
    assert SYMMETRIES.keys() <= {atoms.info["config_type"] for atoms in everything}


def test_no_test_composition_is_in_the_training_set(crystals: dict[str, list[Atoms]]) -> None:
    train, test = ({composition(atoms) for atoms in crystals[part]} for part in ("train", "test"))
    assert not train & test
    assert {f"{metal}1" for metal in METALS} <= train


def test_no_crystal_is_there_twice(everything: list[Atoms]) -> None:
    """Twins in composition differ in energy or volume per atom, in space group or in the size of the primitive cell."""
    prints = Counter(
        (
            composition(atoms),
            len(atoms),
            atoms.info["space_group"],
            round(atoms.get_potential_energy() / len(atoms), 5),
            round(atoms.get_volume() / len(atoms), 3),
        )
        for atoms in everything
    )
    assert prints.most_common(1)[0][1] == 1


def test_all_are_near_the_hull_of_all(everything: list[Atoms]) -> None:
    pytest.importorskip("pymatgen", reason="pymatgen makes hulls: pip install eqcli[crystals]")
    from eqcli.io.ase_bridge import from_ase
    from eqcli.metrics.crystal_hull import Hull

    structures = [from_ase(atoms) for atoms in everything]
    hull = Hull(structures)
    heights = np.array([hull.energy_above_hull(structure) for structure in structures])
    assert heights.min() == pytest.approx(0, abs=1e-9)
    assert heights.max() < 0.1
    assert (heights < 1e-9).sum() > len(METALS)
