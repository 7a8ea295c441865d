"""How data files spell units."""

from __future__ import annotations

from typing import Final

from eqcli.io.conventions import EnergyUnit, LengthUnit

ENERGY_UNITS: Final[dict[str, EnergyUnit]] = {
    "kcal/mol": "kcal/mol",
    "kj/mol": "kJ/mol",
    "ev": "eV",
    "mev": "meV",
    "ha": "Hartree",
    "hartree": "Hartree",
    "ry": "Rydberg",
    "rydberg": "Rydberg",
}
LENGTH_UNITS: Final[dict[str, LengthUnit]] = {
    "a": "Angstrom",
    "ang": "Angstrom",
    "angstrom": "Angstrom",
    "a0": "Bohr",
    "bohr": "Bohr",
    "nm": "nm",
}
"""Spellings in lower case."""


def energy_unit(text: str) -> EnergyUnit | None:
    """The energy unit of that spelling, or None."""
    return ENERGY_UNITS.get(text.strip().lower())


def length_unit(text: str) -> LengthUnit | None:
    """The length unit of that spelling, or None."""
    return LENGTH_UNITS.get(text.strip().lower())


def force_unit(text: str) -> tuple[EnergyUnit, LengthUnit] | None:
    """Energy and length of a unit of forces, e.g. `kcal/mol/Ang`; None for anything else."""
    energy, _, length = text.rpartition("/")
    units = energy_unit(energy), length_unit(length)
    return None if units[0] is None or units[1] is None else (units[0], units[1])
