"""What the gallery shows of crystals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from eqcli.elements import MASSES
from eqcli.io.crystal_formula import reduced_formula
from eqcli.io.structure import Structure
from eqcli.report import gallery_atoms
from eqcli.report.gallery_rows import Column, Kind, Row
from eqcli.report.html import Markup, card
from eqcli.report.numbers import count, show

SYMPREC: Final = 0.1
"""Å. Largest distance of an atom from where a symmetry takes it; generated crystals are not exact."""

GRAM: Final = 1.66053906660
"""Grams per cubic centimetre in one atomic mass unit per Å^3."""

HULL: Final = "energy_above_hull"


def _found(structures: Sequence[Structure], rows: Sequence[Row]) -> list[dict[str, Any]]:
    groups = any("space_group" in row for row in rows)
    return [_of_structure(s) | ({} if groups else {"space_group": _space_group(s)}) for s in structures]


def _of_structure(structure: Structure) -> dict[str, Any]:
    number, volume = len(structure), structure.volume
    found: dict[str, Any] = {"formula": reduced_formula(structure.numbers) if number else None, "n_atoms": number}
    if number and np.isfinite(volume) and volume > 0:
        found["density"] = sum(MASSES[z] for z in structure.numbers.tolist()) * GRAM / volume
        found["volume_per_atom"] = volume / number
    if structure.energy is not None and number:
        found["energy_per_atom"] = structure.energy / number
    for key in (HULL, "flags", "sample"):
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


def _cards(rows: Sequence[Row]) -> Iterator[Markup]:
    formulas = count(len({row.get("formula") for row in rows}), "formula", "formulas")
    yield card("Structures", f"{len(rows):,}", sub=formulas)
    hulls = [row[HULL] for row in rows if isinstance(row.get(HULL), int | float)]
    if hulls:
        stable = sum(energy <= 0 for energy in hulls)
        yield card("Lowest energy above hull", show(min(hulls)), "eV/atom", f"{stable:,} on or below the hull")
    groups = [row["space_group"] for row in rows if row.get("space_group")]
    if groups:
        low = sum(str(group).strip().startswith("P1 (") for group in groups)
        yield card("Space groups", f"{len(set(groups)):,}", sub=f"{low:,} of {count(len(groups), 'structure')} in P1")
    flagged = sum(bool(row.get("flags")) for row in rows)
    yield card("With flags", f"{flagged:,}", sub="overlaps, odd cells and the like")


CRYSTALS: Final = Kind(
    name="crystals",
    extra="crystals",
    known=(
        Column("rank", "Rank", digits=6),
        Column("formula", "Formula"),
        Column("space_group", "Space group"),
        Column("n_atoms", "Atoms", digits=6),
        Column("density", "Density", "g/cm³", 4),
        Column("volume_per_atom", "Volume per atom", "Å³", 4),
        Column("energy_per_atom", "Energy per atom", "eV", 5),
        Column(HULL, "Above hull", "eV/atom", 3),
        Column("flags", "Flags"),
    ),
    names={"e_hull": HULL, "spacegroup": "space_group"},
    found=_found,
    cards=_cards,
    explained="the menus of the map choose other figures, those of the crystal more cells and styles. Atoms are moved "
    "into the cell, and those at its faces stand at all of them; the whole is turned, which no other file is.",
    note=f"Space groups that are not given with a structure are found within {SYMPREC} Å.",
    drawn=gallery_atoms.crystal,
    horizontal=("density",),
    vertical=(HULL, "energy_per_atom", "volume_per_atom", "n_atoms"),
    colour=("n_atoms", "rank"),
    cell=True,
)
