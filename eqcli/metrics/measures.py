"""What is measured, and in which unit it is reported.

Energies per atom and per structure are both reported because tables in the
literature use either without always saying which. Force errors are those of
the Cartesian components, never of the norms, which is a measure of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eqcli.units import STRESS


@dataclass(frozen=True)
class Measure:
    """A reported error: which accumulated quantity, times which factor."""

    title: str
    unit: str
    source: str
    factor: float


MEASURES: Final[dict[str, Measure]] = {
    "energy_per_atom": Measure("Energy per atom", "meV/atom", "energy_per_atom", 1e3),
    "energy": Measure("Energy per structure", "meV", "energy", 1e3),
    "forces": Measure("Force components", "meV/Å", "forces", 1e3),
    "force_magnitude": Measure("Force magnitude", "meV/Å", "force_magnitude", 1e3),
    "stress": Measure("Stress components", "meV/Å³", "stress", 1e3),
    "stress_gpa": Measure("Stress components", "GPa", "stress", 1 / STRESS["GPa"]),
}
"""Name of each reported error -> what it is."""

MEAN_SHIFT_LIMIT: Final = 1.0
"""eV per atom: a larger mean error is no error of a model but another zero of energy."""

COSINE_FLOOR: Final = 1e-2
"""eV/Å: the direction of smaller reference forces is not compared."""
