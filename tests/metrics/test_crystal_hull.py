"""Energies above a hull that is drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pymatgen", reason="pymatgen makes hulls: pip install eqcli[crystals]")

from eqcli.elements import NUMBERS
from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.metrics.crystal_hull import Hull

EXACT = 1e-9


def crystal(symbols: str, per_atom: float | None) -> Structure:
    """Atoms by symbols apart by blanks, with an energy in eV per atom."""
    numbers = np.array([NUMBERS[s] for s in symbols.split()])
    energy = None if per_atom is None else per_atom * len(numbers)
    places = np.arange(3 * len(numbers)).reshape(-1, 3) * 0.7
    return Structure(numbers, places, 5 * np.eye(3), pbc=True, energy=energy)


@pytest.fixture
def hull() -> Hull:
    """Cu at -3, Au at -4 and, 0.5 eV below their mean, CuAu at -4.0; Cu3Au lies above the tie line."""
    return Hull(
        [
            crystal("Cu", -3.0),
            crystal("Cu", -2.0),
            crystal("Au Au", -4.0),
            crystal("Cu Au", -4.0),
            crystal("Cu Cu Cu Au", -3.3),
        ]
    )


def test_what_lies_on_the_hull_is_at_zero(hull: Hull) -> None:
    for symbols, energy in (("Cu", -3.0), ("Au", -4.0), ("Cu Au Cu Au", -4.0)):
        assert hull.energy_above_hull(crystal(symbols, energy)) == pytest.approx(0, abs=EXACT)


def test_height_above_a_tie_line_is_linear_in_composition(hull: Hull) -> None:
    # Cu3Au is half Cu (-3) and half CuAu (-4), atom for atom: the line is at -3.5.
    assert hull.energy_above_hull(crystal("Cu Cu Cu Au", -3.3)) == pytest.approx(0.2, abs=EXACT)
    # CuAu3 is half Au (-4) and half CuAu (-4).
    assert hull.energy_above_hull(crystal("Cu Au Au Au", -3.9)) == pytest.approx(0.1, abs=EXACT)
    # Cu2Au: 2/3 CuAu, 1/3 Cu.
    assert hull.energy_above_hull(crystal("Cu Cu Au", -3.0)) == pytest.approx(2 / 3, abs=EXACT)


def test_what_is_stabler_than_the_reference_is_below_zero(hull: Hull) -> None:
    assert hull.energy_above_hull(crystal("Cu Au", -4.25)) == pytest.approx(-0.25, abs=EXACT)


def test_formation_energy_is_against_the_stablest_pure_elements(hull: Hull) -> None:
    assert hull.formation_energy(crystal("Cu Au", -4.0)) == pytest.approx(-0.5, abs=EXACT)
    assert hull.formation_energy(crystal("Cu Cu Cu Au", -3.3)) == pytest.approx(-0.05, abs=EXACT)
    assert hull.formation_energy(crystal("Cu", -2.0)) == pytest.approx(1.0, abs=EXACT)


def test_supercells_are_no_further_from_the_hull(hull: Hull) -> None:
    one, two = crystal("Cu Cu Au", -3.2), crystal("Cu Cu Au Cu Cu Au", -3.2)
    assert hull.energy_above_hull(one) == pytest.approx(hull.energy_above_hull(two), abs=EXACT)


def test_an_element_that_is_missing_is_named(hull: Hull) -> None:
    for ask in (hull.energy_above_hull, hull.formation_energy):
        with pytest.raises(InputError, match="no pure Pd"):
            ask(crystal("Cu Pd", -4.0))


def test_an_element_that_is_there_in_compounds_only_is_missing() -> None:
    with pytest.raises(InputError, match="no pure Au"):
        Hull([crystal("Cu", -3.0), crystal("Cu Au", -4.0)]).energy_above_hull(crystal("Cu Au", -4.0))


def test_structures_without_energy_are_refused(hull: Hull) -> None:
    with pytest.raises(InputError, match="no energy"):
        hull.energy_above_hull(crystal("Cu", None))
    with pytest.raises(InputError, match="no energy"):
        hull.energy_above_hull(crystal("Cu", np.nan))


def test_a_reference_without_energies_is_refused_and_counted() -> None:
    with pytest.raises(InputError, match="1 of 2 structures"):
        Hull([crystal("Cu", -3.0), crystal("Au", None)])
    with pytest.raises(InputError, match="no structures"):
        Hull([])
