"""The primitive cell of a crystal in its own Cartesian frame."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from eqcli.io.structure import Structure

FloatArray = NDArray[np.float64]

TOLERANCE = 0.1
"""Å. How far atoms may be off a translation that is one of the crystal's."""


def primitive_cell(structure: Structure) -> Structure:
    """The crystal in a cell of the smallest volume, nothing turned; atoms are the mean of those that coincide.

    The lattice has all translations that bring every atom within `TOLERANCE` of a like one.
    """
    fractions = structure.positions @ np.linalg.inv(structure.cell)
    shifts = _translations(structure, fractions)
    lattice = structure.cell if len(shifts) == 1 else _reduced(structure.cell, shifts)
    if len(shifts) == 1 or lattice is None:
        return replace(structure, arrays={}, info={}, forces=None, fixed=None, cell=_compact(structure.cell))
    lattice = _compact(lattice)
    places = structure.positions @ np.linalg.inv(lattice)
    kept: list[int] = []
    sites: list[FloatArray] = []
    left = np.ones(len(structure), dtype=bool)
    for i in range(len(structure)):
        if not left[i]:
            continue
        off = places - places[i]
        off -= np.round(off)
        near = left & (structure.numbers == structure.numbers[i]) & (np.linalg.norm(off @ lattice, axis=1) < TOLERANCE)
        left &= ~near
        kept.append(i)
        sites.append(places[i] + off[near].mean(axis=0))
    return Structure(structure.numbers[kept], np.array(sites) @ lattice, lattice, structure.pbc, where=structure.where)


def _translations(structure: Structure, fractions: FloatArray) -> FloatArray:
    """Pure translations of the crystal inside its cell, fractional, `[T, 3]`; zero is the first."""
    kinds, counts = np.unique(structure.numbers, return_counts=True)
    rare = np.flatnonzero(structure.numbers == kinds[counts.argmin()])
    found = [np.zeros(3)]
    for k in rare[1:]:
        shift = fractions[k] - fractions[rare[0]]
        shift -= np.floor(shift + 1e-9)
        if all(_maps(structure, fractions, shift, kind) for kind in kinds):
            found.append(shift)
    # They are a group of that order: their multiples are whole, which takes out what noise of the atoms adds.
    shifts = np.round(np.array(found) * len(found)) / len(found)
    return shifts if _is_group(shifts) else np.zeros((1, 3))


def _is_group(shifts: FloatArray) -> bool:
    """Whether sums of translations are among them; not all are found where noise is near the tolerance."""
    off = (shifts[:, None, None] + shifts[None, :, None]) - shifts[None, None]
    off -= np.round(off)
    return bool((np.abs(off).max(axis=3).min(axis=2) < 1e-6).all())


def _maps(structure: Structure, fractions: FloatArray, shift: FloatArray, kind: int) -> bool:
    places = fractions[structure.numbers == kind]
    off = places[:, None] + shift - places[None]
    off -= np.round(off)
    distances = np.linalg.norm(off @ structure.cell, axis=-1)
    return bool((distances.min(axis=1) < TOLERANCE).all())


def _reduced(cell: FloatArray, shifts: FloatArray) -> FloatArray | None:
    """Three short translations that span the smallest volume."""
    images = np.array(list(product((-1, 0, 1), repeat=3)))
    vectors = ((shifts[:, None] + images[None]).reshape(-1, 3)) @ cell
    lengths = np.linalg.norm(vectors, axis=1)
    vectors = vectors[np.argsort(lengths, kind="stable")][1:]
    wanted = abs(np.linalg.det(cell)) / len(shifts)
    for count in (12, 24, 48, len(vectors)):
        for triple in combinations(range(min(count, len(vectors))), 3):
            chosen = vectors[list(triple)]
            if abs(abs(np.linalg.det(chosen)) - wanted) < 0.02 * wanted:
                return chosen
        if count >= len(vectors) or count == 48:
            return None
    return None


def _compact(cell: FloatArray) -> FloatArray:
    """The same lattice by short vectors."""
    from pymatgen.core.lattice import Lattice

    found: FloatArray = np.array(Lattice(cell).get_lll_reduced_lattice().matrix)
    return found
