"""How far two predictions are apart, relative to what was predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from eqcli.audit.subject import Outcome
from eqcli.audit.tolerances import ENERGY_FLOOR, FORCE_FLOOR, STRESS_FLOOR
from eqcli.io.structure import FloatArray


@dataclass(frozen=True)
class Difference:
    """Relative errors; `stress` is NaN where there is none to compare."""

    energy: float
    forces: float
    stress: float = math.nan

    @property
    def worst(self) -> float:
        """The largest; NaN when energy or forces are not numbers."""
        figures = [self.energy, self.forces] + ([] if math.isnan(self.stress) else [self.stress])
        return float("nan") if any(math.isnan(x) for x in figures) else max(figures)


def rms(values: FloatArray) -> float:
    """Root mean square; 0 of nothing."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0


def force_scale(forces: FloatArray) -> float:
    """What force errors are relative to: the root mean square of the components, eV/Å."""
    return max(rms(forces), FORCE_FLOOR)


def energy_scale(interaction: float, atoms: int) -> float:
    """What energy errors are relative to: the interaction energy, eV."""
    return max(abs(interaction), ENERGY_FLOOR * atoms)


def stress_scale(stress: FloatArray) -> float:
    """What stress errors are relative to: the largest component, eV/Å^3."""
    return max(float(np.abs(stress).max()), STRESS_FLOOR)


def difference(found: Outcome, expected: Outcome) -> Difference:
    """Relative errors of `found`, whose atoms are in the order of those of `expected`."""
    assert found.forces is not None
    assert expected.forces is not None
    energy = abs(found.interaction - expected.interaction)
    forces = float(np.abs(found.forces - expected.forces).max(initial=0.0))
    stress = math.nan
    if found.stress is not None and expected.stress is not None:
        stress = float(np.abs(found.stress - expected.stress).max()) / stress_scale(expected.stress)
    return Difference(
        energy=energy / energy_scale(expected.interaction, len(expected.forces)),
        forces=forces / force_scale(expected.forces),
        stress=stress,
    )


def worst(values: list[float]) -> float:
    """The largest, NaN if any is NaN, 0 of nothing."""
    return float(np.max(values)) if values else 0.0
