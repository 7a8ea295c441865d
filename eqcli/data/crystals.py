"""Crystals that a generator is trained on, as flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from eqcli.io.structure import Structure


@dataclass(frozen=True)
class CrystalSet:
    """S crystals with N atoms in all.

    Attributes
    ----------
    numbers
        Atomic numbers, `[N]` int64.
    fractional
        Fractional coordinates, `[N, 3]` in [0, 1).
    cells
        Rows are the lattice vectors in Å, `[S, 3, 3]`.
    counts
        Atoms of each crystal, `[S]` int64.
    values
        A property of each crystal, `[S]`; NaN where it is unknown.
    """

    numbers: NDArray[np.int64]
    fractional: NDArray[np.float64]
    cells: NDArray[np.float64]
    counts: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, rows: NDArray[np.int64]) -> CrystalSet:
        """These crystals alone, in this order."""
        atoms = atoms_of(self.counts, rows)
        return CrystalSet(
            self.numbers[atoms], self.fractional[atoms], self.cells[rows], self.counts[rows], self.values[rows]
        )

    @property
    def sizes(self) -> list[int]:
        """How many crystals have 0, 1, 2 ... atoms."""
        return [int(n) for n in np.bincount(self.counts)]


def atoms_of(counts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the atoms of these crystals, one crystal after the other."""
    first = np.cumsum(counts) - counts
    chosen = counts[rows]
    start = np.repeat(first[rows] - (np.cumsum(chosen) - chosen), chosen)
    return start + np.arange(chosen.sum())


def crystal_set(structures: Sequence[Structure], value: str | None = None) -> CrystalSet:
    """The crystals of structures with cells; `value` names an entry of `info`, or `energy_per_atom`."""
    return CrystalSet(
        np.concatenate([s.numbers for s in structures]),
        np.concatenate([fractional_of(s.positions, s.cell) for s in structures]),
        np.stack([s.cell for s in structures]),
        np.array([len(s) for s in structures], dtype=np.int64),
        np.array([value_of(s, value) for s in structures], dtype=np.float64),
    )


def fractional_of(positions: NDArray[np.float64], cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fractional coordinates in [0, 1), `[N, 3]`."""
    inside = np.linalg.solve(cell.T, positions.T).T
    inside -= np.floor(inside)
    return np.where(inside >= 1.0, 0.0, inside)


def value_of(structure: Structure, name: str | None) -> float:
    """A number of a structure by its name in `info`, or `energy` or `energy_per_atom` (eV); NaN where none.

    A text that is a number, as the data items of SD files are, is taken as that.
    """
    if name is None:
        return np.nan
    if name in ("energy", "energy_per_atom") and structure.energy is not None:
        return structure.energy / (len(structure) if name == "energy_per_atom" else 1)
    found = structure.info.get(name)
    if isinstance(found, str):
        # Files such as SDF have texts alone.
        try:
            return float(found)
        except ValueError:
            return np.nan
    return float(found) if isinstance(found, Real) and not isinstance(found, bool) else np.nan
