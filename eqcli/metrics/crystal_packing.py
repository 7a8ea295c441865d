"""How densely the atoms of a crystal fill its cell, and how near the nearest two are, by their covalent radii."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from eqcli.elements import COVALENT_RADII, SYMBOLS
from eqcli.io.structure import Structure
from eqcli.metrics.crystals.validity import LABELS, flags_of

SANE_PACKING: Final = (0.03, 2.0)
"""Share of the cell that spheres of the covalent radii fill. Below: a gas; above: crushed. Crystals of atoms have 0.2
to 1, those of small molecules less; heavy alkali metals, whose radii are those of molecules, come near 1."""

MIN_CONTACT: Final = 0.5
"""Share of the sum of their covalent radii below which two atoms are not bonded but on top of each other."""

CONTACT_CUTOFF: Final = 3.0
"""Å; pairs farther apart are never too near."""


def packing(structure: Structure) -> float:
    """Share of the cell's volume that spheres of the covalent radii would fill, overlaps counted twice."""
    radii = np.array(COVALENT_RADII)[structure.numbers]
    return float(4 / 3 * np.pi * (radii**3).sum() / structure.volume)


def faults_of(
    structure: Structure, *, packings: Sequence[float] = SANE_PACKING, min_contact: float = MIN_CONTACT
) -> tuple[str, ...]:
    """Why this is no crystal that could be at rest, in words; nothing for a sane one.

    Those of `flags_of`, elements that are none, a volume that its atoms cannot have, and atoms that stand nearer
    than `min_contact` of the sum of their covalent radii.
    """
    flags = flags_of(structure)
    if flags:
        return tuple(LABELS[flag] for flag in flags)
    if not ((structure.numbers > 0) & (structure.numbers < len(SYMBOLS))).all():
        return ("it has atoms of no element",)
    found = []
    smallest, largest = packings
    share, per_atom = packing(structure), structure.volume / len(structure)
    if not smallest <= share <= largest:
        kind = "crushed" if share > largest else "empty"
        found.append(f"the cell is {kind}: {per_atom:.3g} Å^3 for each atom")
    contact = _nearest(structure)
    if contact is not None and contact[0] < min_contact:
        found.append(f"{contact[1]}, {contact[0]:.2f} of the sum of their covalent radii")
    return tuple(found)


def _nearest(structure: Structure) -> tuple[float, str] | None:
    """The closest contact by covalent radii and what it is in words."""
    from eqcli.graph.atom_graph import build_graph
    from eqcli.graph.distances import closest_contact

    graph = build_graph(structure.numbers, structure.positions, structure.cell, structure.pbc, CONTACT_CUTOFF)
    contact = closest_contact(graph)
    return (contact.ratio, str(contact)) if contact else None
