"""QM9's properties: their names, units and where files of it keep what.

Values are kept in the files' units (`UNITS`). None of them is an energy label unless it is named, as
`labels.energy: U0`; its unit is then known. Molecules in `uncharacterized.txt`, when that lies beside the
file, fell apart on relaxation or changed their bonds and are left out, as everyone does who reports on QM9.

Source: Ramakrishnan, Dral, Rupp and von Lilienfeld, Sci. Data 1, 140022 (2014).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from eqcli.errors import InputError, Where
from eqcli.io.conventions import EnergyUnit
from eqcli.io.layout import Layout
from eqcli.io.text import open_text

UNITS: Final[dict[str, str]] = {
    "A": "GHz",
    "B": "GHz",
    "C": "GHz",
    "mu": "Debye",
    "alpha": "Bohr^3",
    "homo": "Hartree",
    "lumo": "Hartree",
    "gap": "Hartree",
    "r2": "Bohr^2",
    "zpve": "Hartree",
    "U0": "Hartree",
    "U": "Hartree",
    "H": "Hartree",
    "G": "Hartree",
    "Cv": "cal/mol/K",
}
"""Unit of each property, in the order of the files."""

ATOMISATION = ("U0_atom", "U_atom", "H_atom", "G_atom")
"""Energies of atomisation in kcal/mol, in `gdb9.sdf.csv` alone."""

ALIASES: Final[dict[str, str]] = {
    "u0": "U0",
    "u298": "U",
    "h298": "H",
    "g298": "G",
    "cv": "Cv",
    "u0_atom": "U0_atom",
    "u298_atom": "U_atom",
    "h298_atom": "H_atom",
    "g298_atom": "G_atom",
    "rotational_constant_A": "A",
    "rotational_constant_B": "B",
    "rotational_constant_C": "C",
    "dipole_moment": "mu",
    "isotropic_polarizability": "alpha",
    "electronic_spatial_extent": "r2",
    "energy_U0": "U0",
    "energy_U": "U",
    "enthalpy_H": "H",
    "free_energy": "G",
    "heat_capacity": "Cv",
}
"""Names in the table of `gdb9.sdf` and in SchNetPack's database -> names here."""

EXCLUDED_FILE = "uncharacterized.txt"


def excluded_beside(path: Path) -> frozenset[int]:
    """Indices, from 1, of the molecules that the list beside `path` names; empty where there is none."""
    listed = path.with_name(EXCLUDED_FILE)
    if not listed.is_file():
        return frozenset()
    with open_text(listed) as file:
        first = (line.split(maxsplit=1)[:1] for line in file)
        found = frozenset(int(words[0]) for words in first if words and words[0].isascii() and words[0].isdigit())
    if not found:
        raise InputError("the list names no molecule: expected an index first in a line", Where(listed))
    return found


def layout(name: str, excluded: frozenset[int] = frozenset()) -> Layout:
    """The layout of a file of QM9."""
    units: dict[str, EnergyUnit] = {key: "Hartree" for key, unit in UNITS.items() if unit == "Hartree"}
    units |= dict.fromkeys(ATOMISATION, "kcal/mol")
    remark = "properties are labels where they are named, e.g. labels.energy: U0"
    if excluded:
        remark += f"; the {len(excluded)} molecules of {EXCLUDED_FILE} are left out"
    return Layout(name, units=units, length_unit="Angstrom", aliases=ALIASES, remark=remark)
