"""How far two predictions are apart, relative to what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from eqcli.audit.subject import Outcome
from eqcli.audit.tolerances import ENERGY_FLOOR, FORCE_FLOOR, STRESS_FLOOR
from eqcli.io.structure import FloatArray


@dataclass(frozen=True)
class Difference:
    """Relative errors; `energy`, `forces` and `stress` are None where there is none to compare.

    `atom` is the one whose force is worst, `others` the errors of further outputs.
    """

    energy: float | None
    forces: float | None = None
    stress: float | None = None
    atom: int | None = None
    others: Mapping[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """The errors that there are, by output."""
        named = {"energy": self.energy, "forces": self.forces, "stress": self.stress, **self.others}
        return {name: figure for name, figure in named.items() if figure is not None}

    @property
    def worst(self) -> float:
        """The largest; NaN when any is not a number."""
        return worst(list(self.figures.values()))


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


def difference(
    found: Outcome, expected: Outcome, atoms: int = 1, floors: Mapping[str, float] | None = None
) -> Difference:
    """Relative errors of `found`, whose atoms are in the order of those of `expected`.

    `atoms` is how many there are, where there are no forces to tell it. Errors of further outputs are relative to
    their root mean square, or to `floors` where that is larger.
    """
    size = len(found.forces) if found.forces is not None else atoms
    forces = stress = atom = None
    if found.forces is not None and expected.forces is not None:
        lengths = np.abs(found.forces - expected.forces).max(axis=1, initial=0.0)
        forces = float(lengths.max(initial=0.0)) / force_scale(expected.forces)
        atom = int(lengths.argmax()) if len(lengths) else None
    if found.stress is not None and expected.stress is not None:
        stress = float(np.abs(found.stress - expected.stress).max()) / stress_scale(expected.stress)
    energy = None
    if found.has_energy:
        energy = abs(found.interaction - expected.interaction) / energy_scale(expected.interaction, size)
    floors = floors or {}
    others = {
        name: float(np.abs(found.others[name] - value).max(initial=0.0)) / (max(rms(value), floors.get(name, 0.0)) or 1)
        for name, value in expected.others.items()
    }
    return Difference(energy, forces, stress, atom, others)


def worst(values: list[float]) -> float:
    """The largest, NaN if any is NaN, 0 of nothing."""
    return float(np.max(values)) if values else 0.0
