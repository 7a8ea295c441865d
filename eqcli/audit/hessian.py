"""Second derivatives: finite differences of the forces, whose order may not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eqcli.audit.compare import worst
from eqcli.audit.effort import Effort
from eqcli.audit.gradients import FIVE_POINT, OFFSETS, STEP
from eqcli.audit.result import Check
from eqcli.audit.subject import Subject
from eqcli.audit.transforms import displaced
from eqcli.io.structure import FloatArray, Structure


@dataclass(frozen=True)
class Columns:
    """Columns `chosen` of the Hessian d2E/dx dx, `values` `[3N, len(chosen)]` eV/Å^2."""

    structure: Structure
    chosen: np.ndarray
    values: FloatArray

    @property
    def scale(self) -> float:
        """What errors are relative to: the largest entry, or 1 eV/Å^2 where all are small."""
        return max(float(np.abs(self.values).max()), 1.0)

    @property
    def asymmetry(self) -> FloatArray:
        """|H - H^T| among the chosen coordinates, relative."""
        square = self.values[self.chosen]
        return np.abs(square - square.T) / self.scale

    @property
    def net_force(self) -> FloatArray:
        """Sum of each column over the atoms, `[3, len(chosen)]`, relative."""
        return np.abs(self.values.reshape(len(self.structure), 3, -1).sum(axis=0)) / self.scale


def hessian_columns(subject: Subject, structure: Structure, chosen: np.ndarray, step: float = STEP) -> Columns:
    """Columns of the Hessian by the five-point formula on the forces."""
    unit = np.eye(3)
    moved = [displaced(structure, c // 3, h * step * unit[c % 3]) for c in chosen for h in OFFSETS]
    forces = np.stack([outcome.forces for outcome in subject.predict(moved) if outcome.forces is not None])
    slopes = np.einsum("chn,h->nc", forces.reshape(len(chosen), len(OFFSETS), -1), FIVE_POINT) / step
    return Columns(structure, chosen, -slopes)


def check_hessian(subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int) -> list[Check]:
    """Symmetry and sum rule of the Hessian of the smallest structures, some coordinates of each."""
    several = sorted((s for s in structures if len(s) > 1), key=len)[: effort.hessians]
    if not several:
        return []
    found = []
    for index, structure in enumerate(several):
        rng = np.random.default_rng([seed, 203, index])
        count = min(effort.columns, 3 * len(structure))
        found.append(hessian_columns(subject, structure, np.sort(rng.choice(3 * len(structure), count, replace=False))))
    counted = f"{sum(len(c.chosen) for c in found)} columns on {len(found)} structure{'s' if len(found) > 1 else ''}"
    return [
        _check(
            "hessian", f"{counted}, five-point formula, step {STEP:g} Å", found, [c.asymmetry for c in found], subject
        ),
        _check("acoustic", counted, found, [c.net_force for c in found], subject),
    ]


def _check(key: str, words: str, found: list[Columns], errors: list[FloatArray], subject: Subject) -> Check:
    values = [float(error.max()) for error in errors]
    at = int(np.argmax(values))
    _, column = np.unravel_index(int(errors[at].argmax()), errors[at].shape)
    coordinate = int(found[at].chosen[column])
    place = f"{found[at].structure.name}, atom {coordinate // 3}, {'xyz'[coordinate % 3]}"
    return Check(
        key,
        worst(values),
        words,
        subject.precision,
        figures={"worst_at": place, "largest_entry": max(c.scale for c in found)},
        distribution=[float(x) for error in errors for x in error.max(axis=0)],
    )
