"""Crystals brought to the form in which they are compared: primitive, Niggli-reduced, with what rules a match out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.io.structure import Structure
from eqcli.metrics.crystals.convert import Composition, composition_of, to_pymatgen
from eqcli.metrics.crystals.periodic import shortest_basis, sorted_distances

Array = NDArray[np.float64]

NEIGHBOURS = 12
"""Distances per atom in a fingerprint."""


@dataclass(frozen=True)
class Reduced:
    """A crystal as the matcher sees it.

    Attributes
    ----------
    lattice, numbers, fractions
        The primitive Niggli cell: `[3, 3]` Å, `[N]`, `[N, 3]`.
    lengths
        The three shortest independent lattice vectors, ascending, of the cell scaled to volume 1.
    fingerprint
        `[2, NEIGHBOURS]`: mean and spread over the atoms of the sorted distances of the nearest neighbours, in units
        of (V/N)^(1/3). Near for like crystals; it says in which order to compare, never whether they match.
    volume_per_atom
        Å^3.
    """

    composition: Composition
    lattice: Array
    numbers: NDArray[np.int64]
    fractions: Array
    lengths: Array
    fingerprint: Array
    volume_per_atom: float

    @property
    def bucket(self) -> tuple[Composition, int]:
        """Crystals match only within one: the matcher wants the same composition and number of primitive sites."""
        return self.composition, len(self.numbers)

    def crystal(self) -> Any:
        """The pymatgen structure, reduced."""
        from pymatgen.core.structure import Structure as Crystal

        return Crystal(self.lattice, [SYMBOLS[number] for number in self.numbers], self.fractions)


def reduced(structure: Structure) -> Reduced:
    """The reduction that StructureMatcher makes before it compares; raises ValueError where there is no crystal."""
    primitive = to_pymatgen(structure).get_primitive_structure()
    crystal = primitive.get_reduced_structure()
    lattice = np.array(crystal.lattice.matrix)
    volume, count = abs(float(np.linalg.det(lattice))), len(crystal)
    distances = sorted_distances(lattice, np.array(crystal.cart_coords), NEIGHBOURS) * (count / volume) ** (1 / 3)
    return Reduced(
        composition=composition_of(structure.numbers),
        lattice=lattice,
        numbers=np.array(crystal.atomic_numbers, dtype=np.int64),
        fractions=np.array(crystal.frac_coords),
        lengths=np.linalg.norm(shortest_basis(lattice), axis=1) / volume ** (1 / 3),
        fingerprint=np.stack([distances.mean(axis=0), distances.std(axis=0)]),
        volume_per_atom=volume / count,
    )
