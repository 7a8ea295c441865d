"""Units of the tool (ASE's: eV, Å, amu, e) and the factors into them.

Conversion happens in `io` when a file is read and in the command line when a
number is shown; everything in between is in these units. CODATA 2018 values.
"""

from __future__ import annotations

from typing import Final

ENERGY: Final[dict[str, float]] = {
    "eV": 1.0,
    "meV": 1e-3,
    "Hartree": 27.211386245988,
    "Rydberg": 13.605693122994,
    "kcal/mol": 0.0433641153087705,
    "kJ/mol": 0.01036426965269,
}
"""Factors from each energy unit to eV."""

LENGTH: Final[dict[str, float]] = {"Angstrom": 1.0, "Bohr": 0.529177210903, "nm": 10.0}
"""Factors from each length unit to Å."""

STRESS: Final[dict[str, float]] = {
    "eV/Angstrom^3": 1.0,
    "GPa": 1.0 / 160.2176634,
    "kbar": 1.0 / 1602.176634,
    "Hartree/Bohr^3": 27.211386245988 / 0.529177210903**3,
}
"""Factors from each stress unit to eV/Å^3."""

BOLTZMANN: Final[float] = 8.617333262145e-5
"""eV/K."""

ACCELERATION: Final[float] = 9.648533212331e-3
"""1 eV/(Å amu) in Å/fs^2."""


def force_factor(energy: str, length: str) -> float:
    """Factor from `energy`/`length` to eV/Å."""
    return ENERGY[energy] / LENGTH[length]


LABELS: Final[dict[str, tuple[str, float]]] = {
    **{name: ("eV", factor) for name, factor in ENERGY.items()},
    "Ha": ("eV", ENERGY["Hartree"]),
    "e*Angstrom": ("e*Angstrom", 1.0),
    "e*Bohr": ("e*Angstrom", LENGTH["Bohr"]),
    "Debye": ("e*Angstrom", 0.20819433270935603),
    "D": ("e*Angstrom", 0.20819433270935603),
    "Angstrom^3": ("Angstrom^3", 1.0),
    "Bohr^3": ("Angstrom^3", LENGTH["Bohr"] ** 3),
    "Bohr^2": ("Angstrom^2", LENGTH["Bohr"] ** 2),
}
"""Units of properties that are converted: name -> unit of the tool and the factor into it."""


def label_unit(name: str) -> tuple[str, float]:
    """The unit that labels in unit `name` are held in, and the factor into it; other units are kept as they are."""
    return LABELS.get(name, (name, 1.0))
