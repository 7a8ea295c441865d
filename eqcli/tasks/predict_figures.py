"""What is told of many predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from eqcli.io.structure import Structure

Range = tuple[float, float]


class PredictFigures:
    """Counts and ranges of predictions, joined from any number of parts.

    Attributes
    ----------
    structures, atoms
        How many were predicted.
    energy_range
        Lowest and highest energy per atom, eV.
    largest_force
        eV/Å.
    ranges
        Lowest and highest value of each property among `names`, components of vectors and tensors together.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.structures = 0
        self.atoms = 0
        self.energy_range: Range | None = None
        self.largest_force: float | None = None
        self.ranges: dict[str, Range] = {}

    def add(self, structure: Structure) -> None:
        """Counts one prediction."""
        if structure.energy is not None:
            self.energy_range = _widened(self.energy_range, structure.energy / len(structure))
        if structure.forces is not None:
            largest = float(np.sqrt(np.square(structure.forces).sum(axis=1).max()))
            self.largest_force = max(self.largest_force or 0.0, largest)
        for name in self.names:
            value = structure.info.get(name, structure.arrays.get(name))
            if value is not None:
                self.ranges[name] = _widened(self.ranges.get(name), value)
        self.structures += 1
        self.atoms += len(structure)

    def join(self, part: Mapping[str, Any]) -> None:
        """Counts what another of these gave as plain data."""
        self.structures += part["structures"]
        self.atoms += part["atoms"]
        if part["energy_range"] is not None:
            self.energy_range = _widened(self.energy_range, part["energy_range"])
        if part["largest_force"] is not None:
            self.largest_force = max(self.largest_force or 0.0, part["largest_force"])
        for name, values in part["ranges"].items():
            self.ranges[name] = _widened(self.ranges.get(name), values)

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "structures": self.structures,
            "atoms": self.atoms,
            "energy_range": self.energy_range,
            "largest_force": self.largest_force,
            "ranges": self.ranges,
        }


def _widened(known: Range | None, values: Any) -> Range:
    """A range with more values in it."""
    low, high = float(np.min(values)), float(np.max(values))
    return (low, high) if known is None else (min(low, known[0]), max(high, known[1]))
