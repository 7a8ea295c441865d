"""What the gallery shows of each crystal: given by the caller, or taken from the structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eqcli.elements import MASSES
from eqcli.io.crystal_formula import reduced_formula
from eqcli.io.structure import Structure
from eqcli.report.numbers import show

SYMPREC = 0.1
"""Å. Largest distance of an atom from where a symmetry takes it; generated crystals are not exact."""

GRAM = 1.66053906660
"""Grams per cubic centimetre in one atomic mass unit per Å^3."""


@dataclass(frozen=True)
class Column:
    """A figure or word of every crystal: its key in the rows, title, unit and significant digits (0: words)."""

    key: str
    title: str
    unit: str = ""
    digits: int = 0

    @property
    def heading(self) -> str:
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def text(self, value: Any) -> str:
        """The value as people read it; a dash for nothing."""
        if value is None or value == "":
            return "–"
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        return show(value, self.digits or 4) if is_number(value) else str(value)


KNOWN = (
    Column("rank", "Rank", digits=6),
    Column("formula", "Formula"),
    Column("space_group", "Space group"),
    Column("n_atoms", "Atoms", digits=6),
    Column("density", "Density", "g/cm³", 4),
    Column("volume_per_atom", "Volume per atom", "Å³", 4),
    Column("energy_per_atom", "Energy per atom", "eV", 5),
    Column("energy_above_hull", "Above hull", "eV/atom", 3),
    Column("flags", "Flags"),
)
"""Columns that every gallery may have, in this order; further keys of the rows stand before the flags."""

OTHER_NAMES = {"e_hull": "energy_above_hull", "spacegroup": "space_group"}


def is_number(value: Any) -> bool:
    """Whether a value is a number and no truth."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def complete(structures: Sequence[Structure], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per structure with all that is known of it; what the caller gives goes before what is found here.

    Raises ValueError where there are not as many rows as structures.
    """
    if rows and len(rows) != len(structures):
        raise ValueError(f"{len(rows)} rows for {len(structures)} structures")
    given = [{OTHER_NAMES.get(k, k): v for k, v in row.items()} for row in rows] or [{} for _ in structures]
    groups = any("space_group" in row for row in given)
    found = []
    for i, (structure, row) in enumerate(zip(structures, given, strict=True)):
        own = _of_structure(structure) | {"rank": i + 1} | ({} if groups else {"space_group": _space_group(structure)})
        found.append(own | {key: value for key, value in row.items() if value is not None or key not in own})
    return found


def columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns of which at least one row has a value."""
    keys = {key: None for row in rows for key, value in row.items() if _shown(value)}
    known = [column for column in KNOWN if column.key in keys]
    others = [_other(key, rows) for key in keys if key not in {column.key for column in KNOWN}]
    flags = [column for column in known if column.key == "flags"]
    return [column for column in known if column.key != "flags"] + others + flags


def _shown(value: Any) -> bool:
    return value is not None and value != "" and (isinstance(value, str | bool | np.bool_) or is_number(value))


def _other(key: str, rows: Sequence[Mapping[str, Any]]) -> Column:
    """The column of a key that is not among the known ones."""
    words = key.replace("_", " ").strip()
    numeric = all(is_number(row[key]) for row in rows if row.get(key) is not None)
    return Column(key, words[:1].upper() + words[1:60], digits=4 if numeric else 0)


def _of_structure(structure: Structure) -> dict[str, Any]:
    count, volume = len(structure), structure.volume
    found: dict[str, Any] = {"formula": reduced_formula(structure.numbers) if count else None, "n_atoms": count}
    if count and np.isfinite(volume) and volume > 0:
        found["density"] = sum(MASSES[z] for z in structure.numbers.tolist()) * GRAM / volume
        found["volume_per_atom"] = volume / count
    if structure.energy is not None and count:
        found["energy_per_atom"] = structure.energy / count
    for key in ("energy_above_hull", "flags", "sample"):
        if structure.info.get(key) is not None:
            found[key] = structure.info[key]
    return found


def _space_group(structure: Structure) -> str | None:
    """Symbol and number; None where none is found."""
    import spglib

    if not structure.pbc.all() or not structure.volume > 1e-3 or not np.isfinite(structure.positions).all():
        return None
    fractions = np.linalg.solve(structure.cell.T, structure.positions.T).T
    crystal: Any = (structure.cell, fractions, structure.numbers)
    try:
        found = spglib.get_spacegroup(crystal, SYMPREC)
    except getattr(spglib, "SpglibError", ValueError):
        return None
    return str(found) if found else None
