"""Forces and stress against finite differences of the energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eqcli.audit.compare import force_scale, rms, stress_scale, worst
from eqcli.audit.effort import Effort
from eqcli.audit.result import Check
from eqcli.audit.subject import Subject
from eqcli.audit.transforms import bare, displaced, strained
from eqcli.io.structure import FloatArray, Structure

STEP = 2e-3
"""Å, inner displacement of the five-point formula."""

STRAIN = 5e-4
"""Inner strain of the five-point formula."""

LADDER = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
"""Å, steps of the plot of error against step."""

OFFSETS = (-2, -1, 1, 2)
FIVE_POINT = np.array([1.0, -8.0, 8.0, -1.0]) / 12
"""Points, in steps, and weights of the five-point formula for a first derivative (the middle has none)."""

Path = Callable[[float], Structure]


def five_point(subject: Subject, paths: Sequence[Path], step: float) -> FloatArray:
    """dE/ds at s = 0 along each path, `[len(paths)]`; the error falls with the fourth power of the step."""
    moved = [path(offset * step) for path in paths for offset in OFFSETS]
    return subject.energies(moved).reshape(-1, 4) @ FIVE_POINT / step


def check_forces(subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int) -> Check:
    """Random force components of every structure against the five-point formula."""
    errors: list[float] = []
    places: list[str] = []
    for index, structure in enumerate(structures):
        rng = np.random.default_rng([seed, 201, index])
        count = min(effort.components, 3 * len(structure))
        chosen = rng.choice(3 * len(structure), size=count, replace=False)
        forces = subject.predict([structure])[0].forces
        assert forces is not None
        slopes = five_point(subject, [_component_path(structure, int(c)) for c in chosen], STEP)
        deviations = np.abs(slopes + forces.reshape(-1)[chosen]) / force_scale(forces)
        errors += deviations.tolist()
        places += [f"{structure.name}, atom {c // 3}, {'xyz'[c % 3]}" for c in chosen]
    return Check(
        "forces_fd",
        worst(errors),
        f"{len(errors)} force components against the five-point formula, step {STEP:g} Å",
        subject.precision,
        figures={"median": float(np.median(errors)), "worst_at": places[int(np.argmax(errors))], "step": STEP},
        distribution=errors,
        curves={"ladder": ladder(subject, structures[0], seed)},
    )


def _component_path(structure: Structure, component: int) -> Path:
    direction = np.eye(3)[component % 3]
    return lambda s: displaced(structure, component // 3, s * direction)


def check_stress(subject: Subject, structures: Sequence[Structure]) -> Check | None:
    """All six strain derivatives of every crystal; None when no structure is periodic in three directions."""
    errors: list[float] = []
    crystals = [structure for structure in structures if structure.pbc.all()]
    for crystal in crystals:
        stress = subject.predict([crystal], stress=True)[0].stress
        assert stress is not None
        pairs = [(a, b) for a in range(3) for b in range(a, 3)]
        slopes = five_point(subject, [_strain_path(crystal, a, b) for a, b in pairs], STRAIN) / crystal.volume
        # A shear path changes the two symmetric entries by half each, so its slope is the stress component itself.
        analytic = np.array([stress[a, b] for a, b in pairs])
        errors += (np.abs(slopes - analytic) / stress_scale(stress)).tolist()
    if not crystals:
        return None
    return Check(
        "stress_fd",
        worst(errors),
        f"{len(errors)} strain derivatives on {len(crystals)} crystal{'s' if len(crystals) > 1 else ''}, "
        f"step {STRAIN:g}",
        subject.precision,
        figures={"median": float(np.median(errors)), "step": STRAIN},
        distribution=errors,
    )


def _strain_path(crystal: Structure, a: int, b: int) -> Path:
    direction = np.zeros((3, 3))
    direction[a, b] += 0.5
    direction[b, a] += 0.5
    return lambda s: strained(crystal, s * direction)


def ladder(subject: Subject, structure: Structure, seed: int, directions: int = 2) -> dict[str, Any]:
    """Error of the two-point and five-point formulas against the step, over random displacements of all atoms."""
    rng = np.random.default_rng([seed, 202])
    forces = subject.predict([structure])[0].forces
    assert forces is not None
    unit = [_unit(rng.normal(size=structure.positions.shape)) for _ in range(directions)]
    analytic = np.array([-(forces * direction).sum() for direction in unit])
    paths = [_direction_path(structure, direction) for direction in unit]
    two, five = [], []
    for step in LADDER:
        moved = [path(sign * step) for path in paths for sign in (-1, 1)]
        energies = subject.energies(moved).reshape(-1, 2)
        two.append(rms((energies[:, 1] - energies[:, 0]) / (2 * step) - analytic) / force_scale(forces))
        five.append(rms(five_point(subject, paths, step) - analytic) / force_scale(forces))
    return {"structure": structure.name, "step": list(LADDER), "two_point": two, "five_point": five}


def _unit(direction: FloatArray) -> FloatArray:
    return direction / np.linalg.norm(direction)


def _direction_path(structure: Structure, direction: FloatArray) -> Path:
    return lambda s: bare(structure, positions=structure.positions + s * direction)
