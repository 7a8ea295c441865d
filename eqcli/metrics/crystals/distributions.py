"""How the properties of generated crystals are distributed, against those of a reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eqcli.elements import MASSES
from eqcli.io.structure import Structure
from eqcli.metrics.crystals.convert import fault_of, volume_per_atom
from eqcli.metrics.work import Outcome, measure
from eqcli.progress import Reporter

GENERATED_SYMPREC, REFERENCE_SYMPREC = 0.1, 0.01
"""Å. How far an atom may be from where a symmetry takes it: what is generated is not exactly symmetric."""
GRAMS_PER_CM3 = 1.66053906660
"""1 amu/Å^3 in g/cm^3."""
SYSTEMS = {
    2: "triclinic",
    15: "monoclinic",
    74: "orthorhombic",
    142: "tetragonal",
    167: "trigonal",
    194: "hexagonal",
    230: "cubic",
}
"""The crystal system by its last space group."""
NUMBERS = ("density", "n_elements", "n_atoms", "volume_per_atom", "energy_per_atom")
"""The attributes of `Properties` that are compared as numbers."""


@dataclass(frozen=True)
class Properties:
    """What one crystal adds to the distributions.

    Attributes
    ----------
    density
        g/cm^3.
    volume_per_atom
        Å^3.
    energy_per_atom
        eV, or None without a label.
    space_group
        Number from 1 to 230; None where spglib finds none.
    """

    density: float
    n_elements: int
    n_atoms: int
    volume_per_atom: float
    energy_per_atom: float | None
    space_group: int | None

    @property
    def crystal_system(self) -> str | None:
        """E.g. `cubic`."""
        return crystal_system(self.space_group)


def crystal_system(space_group: int | None) -> str | None:
    """The crystal system of a space group's number."""
    if space_group is None:
        return None
    return next(name for last, name in SYSTEMS.items() if space_group <= last)


def space_group_of(structure: Structure, symprec: float) -> int | None:
    """The number of the space group within `symprec` Å; None where spglib finds none."""
    import spglib

    fractions = np.linalg.solve(structure.cell.T, structure.positions.T).T
    try:
        cell: Any = (structure.cell, fractions, structure.numbers)
        found = spglib.get_symmetry_dataset(cell, symprec=symprec)
    except getattr(spglib, "SpglibError", ValueError):
        return None
    return None if found is None else int(found.number)


def properties_of(structure: Structure, symprec: float) -> Properties:
    """The properties of a crystal; raises ValueError with the reason where it is none."""
    fault = fault_of(structure)
    if fault is not None:
        raise ValueError(fault)
    mass = float(np.asarray(MASSES)[structure.numbers].sum())
    return Properties(
        density=GRAMS_PER_CM3 * mass / structure.volume,
        n_elements=len(np.unique(structure.numbers)),
        n_atoms=len(structure),
        volume_per_atom=volume_per_atom(structure),
        energy_per_atom=None if structure.energy is None else structure.energy / len(structure),
        space_group=space_group_of(structure, symprec),
    )


def properties(
    structures: Sequence[Structure],
    symprec: float,
    *,
    workers: int | None = None,
    timeout: float | None = 10.0,
    report: Reporter | None = None,
) -> list[Outcome[Properties]]:
    """`properties_of` each structure, or why it has none."""
    function = partial(properties_of, symprec=symprec)
    return measure(function, structures, workers=workers, timeout=timeout, label="space groups", report=report)


def wasserstein(first: ArrayLike, second: ArrayLike) -> float | None:
    """The Wasserstein-1 distance of two samples, in their unit; None where one is empty."""
    from scipy.stats import wasserstein_distance

    left, right = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return float(wasserstein_distance(left, right)) if len(left) and len(right) else None


def total_variation(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Half the sum of |difference of shares|: 0 for equal shares, 1 for nothing in common; None without items."""
    if not first or not second:
        return None
    left, right = Counter(first), Counter(second)
    kinds = {**left, **right}  # In a fixed order, so that sums round alike.
    return 0.5 * sum(abs(left[kind] / len(first) - right[kind] / len(second)) for kind in kinds)


def distances(generated: Sequence[Properties], reference: Sequence[Properties]) -> dict[str, float | None]:
    """How far generated crystals are from the reference.

    Wasserstein-1 distances of `NUMBERS` (in g/cm^3, 1, 1, Å^3 and eV), over the crystals that have the property, and
    total variation distances of `space_group` and `crystal_system`, where having none counts as a kind. None where
    one side has no values.
    """
    found: dict[str, float | None] = {}
    for name in NUMBERS:
        sides = [[v for p in part if (v := getattr(p, name)) is not None] for part in (generated, reference)]
        found[name] = wasserstein(*sides)
    for name in ("space_group", "crystal_system"):
        found[name] = total_variation(*([getattr(p, name) for p in part] for part in (generated, reference)))
    return found
