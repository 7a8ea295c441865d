"""Energy conservation in a short run at constant energy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from eqcli.audit.effort import Effort
from eqcli.audit.result import Check
from eqcli.audit.subject import Outcome, Subject
from eqcli.audit.transforms import bare
from eqcli.elements import MASSES
from eqcli.io.structure import FloatArray, Structure
from eqcli.units import ACCELERATION, BOLTZMANN

TEMPERATURE = 300.0
"""K, of the initial velocities."""

LIGHT_STEP, HEAVY_STEP = 0.5, 2.0
"""fs, time step with hydrogen and without."""

NOISE = 1e-5
"""meV/atom: fluctuations below this are rounding, and no order of convergence is read from them."""


@dataclass
class Trajectory:
    """A run at constant energy: `time` in fs, `total` and `potential` energy in eV, `temperature` in K."""

    structure: Structure
    step: float
    time: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    potential: list[float] = field(default_factory=list)
    temperature: list[float] = field(default_factory=list)

    @property
    def deviation(self) -> FloatArray:
        """Total energy minus that of the start, meV per atom, `[steps + 1]`."""
        return 1e3 * (np.array(self.total) - self.total[0]) / len(self.structure)


def thermal_velocities(structure: Structure, temperature: float, rng: np.random.Generator) -> FloatArray:
    """Maxwell velocities without net momentum, `[N, 3]` Å/fs, scaled to the exact temperature."""
    masses = _masses(structure)
    velocities = rng.normal(size=structure.positions.shape) / np.sqrt(masses)
    if len(structure) == 1:
        return np.zeros_like(velocities)
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    kinetic = 0.5 * (masses * velocities**2).sum()
    wanted = 1.5 * (len(structure) - 1) * BOLTZMANN * temperature * ACCELERATION
    return velocities * math.sqrt(wanted / kinetic)


def _masses(structure: Structure) -> FloatArray:
    return np.array([MASSES[int(z)] for z in structure.numbers])[:, None]


def run_nve(
    subject: Subject,
    starts: Sequence[tuple[Structure, FloatArray, float]],
    steps: int,
    advance: Callable[[int], None] = lambda n: None,
) -> list[Trajectory]:
    """Velocity Verlet of several (structure, velocities, time step in fs) together, `steps` steps each."""
    runs = [Trajectory(structure, step) for structure, _, step in starts]
    positions = [structure.positions for structure, _, _ in starts]
    velocities = [velocity for _, velocity, _ in starts]
    masses = [_masses(structure) for structure, _, _ in starts]
    outcomes = subject.predict([run.structure for run in runs])
    for n in range(steps + 1):
        for k, (run, outcome) in enumerate(zip(runs, outcomes, strict=True)):
            _record(run, n, outcome.interaction, masses[k], velocities[k])
        if n == steps or not all(math.isfinite(run.total[-1]) for run in runs):
            break
        half = [
            v + 0.5 * run.step * ACCELERATION * _forces(o) / m
            for v, run, o, m in zip(velocities, runs, outcomes, masses, strict=True)
        ]
        positions = [x + run.step * v for x, run, v in zip(positions, runs, half, strict=True)]
        outcomes = subject.predict([bare(r.structure, positions=x) for r, x in zip(runs, positions, strict=True)])
        velocities = [
            v + 0.5 * run.step * ACCELERATION * _forces(o) / m
            for v, run, o, m in zip(half, runs, outcomes, masses, strict=True)
        ]
        advance(1)
    return runs


def _forces(outcome: Outcome) -> FloatArray:
    assert outcome.forces is not None
    return outcome.forces


def _record(run: Trajectory, n: int, potential: float, masses: FloatArray, velocities: FloatArray) -> None:
    kinetic = 0.5 * float((masses * velocities**2).sum()) / ACCELERATION
    degrees = max(1, 3 * len(run.structure) - 3)
    run.time.append(n * run.step)
    run.total.append(potential + kinetic)
    run.potential.append(potential)
    run.temperature.append(2 * kinetic / (degrees * BOLTZMANN))


def check_drift(
    subject: Subject,
    structures: Sequence[Structure],
    effort: Effort,
    seed: int,
    advance: Callable[[int], None] = lambda n: None,
) -> list[Check]:
    """One structure at constant energy with a time step and with half of it, side by side.

    The smallest structure of more than one atom is taken.
    """
    candidates = [structure for structure in structures if len(structure) > 1]
    if not candidates:
        return []
    structure = min(candidates, key=len)
    step = LIGHT_STEP if (structure.numbers == 1).any() else HEAVY_STEP
    velocities = thermal_velocities(structure, TEMPERATURE, np.random.default_rng([seed, 301]))
    full, half = run_nve(
        subject, [(structure, velocities, step), (structure, velocities, step / 2)], effort.steps, advance
    )
    return [_drift(full, subject.precision), _order(full, half, subject.precision)]


def _drift(run: Trajectory, precision: str) -> Check:
    slope, error = slope_and_error(np.array(run.time) / 1e3, run.deviation)
    # The mean of an oscillating error is no drift: what lies within twice its uncertainty does not count.
    value = max(0.0, abs(slope) - 2 * error) if math.isfinite(slope) else math.nan
    fluctuation = float(np.std(run.deviation))
    return Check(
        "drift",
        value,
        f"{slope:+.2g} ± {error:.1g} meV/atom/ps over {run.time[-1]:.0f} fs of {run.structure.name} "
        f"at {TEMPERATURE:.0f} K, step {run.step:g} fs",
        precision,
        figures={
            "drift_meV_per_atom_per_ps": slope,
            "uncertainty": error,
            "fluctuation_meV_per_atom": fluctuation,
            "largest_deviation_meV_per_atom": float(np.abs(run.deviation).max()),
            "time_step_fs": run.step,
            "duration_fs": run.time[-1],
            "mean_temperature_K": float(np.mean(run.temperature)),
        },
        curves={"nve": {"structure": run.structure.name, "runs": [_curve(run)]}},
    )


def _order(full: Trajectory, half: Trajectory, precision: str) -> Check:
    """Compares the two runs over the time that both cover."""
    covered = sum(time <= half.time[-1] + 1e-9 for time in full.time)
    coarse = float(np.std(full.deviation[:covered]))
    fine = float(np.std(half.deviation))
    resolved = fine > NOISE
    ratio = coarse / fine if resolved else math.nan
    value = abs(math.log(ratio, 4) - 1) if resolved and math.isfinite(ratio) and ratio > 0 else 0.0
    if not (math.isfinite(coarse) and math.isfinite(fine)):
        value = math.nan
    found = f"fluctuation {coarse:.2g} and {fine:.2g} meV/atom with {full.step:g} and {half.step:g} fs"
    found += f": ratio {ratio:.2f}, 4 expected" if resolved else ": both at rounding level"
    return Check(
        "time_step",
        value,
        found,
        precision,
        figures={"ratio": ratio if math.isfinite(ratio) else None, "coarse": coarse, "fine": fine},
        curves={"nve": {"structure": full.structure.name, "runs": [_curve(full), _curve(half)]}},
    )


def _curve(run: Trajectory) -> dict[str, object]:
    return {
        "step": run.step,
        "time": run.time,
        "total": run.deviation.tolist(),
        "potential": (1e3 * (np.array(run.potential) - run.potential[0]) / len(run.structure)).tolist(),
        "temperature": run.temperature,
    }


def slope_and_error(x: FloatArray, y: FloatArray, blocks: int = 8) -> tuple[float, float]:
    """Slope of a straight line and its standard error from the scatter of block means.

    Residuals of a dynamical trajectory are correlated, so that the usual formula
    would make the error far too small.
    """
    edges = np.linspace(0, len(x), blocks + 1).astype(int)
    means = np.array([(x[a:b].mean(), y[a:b].mean()) for a, b in pairwise(edges) if b > a])
    if len(means) < 3 or not np.isfinite(means).all():
        return math.nan, math.nan
    t, e = means.T
    spread = float(((t - t.mean()) ** 2).sum())
    slope = float(((t - t.mean()) * (e - e.mean())).sum()) / spread
    residual = e - e.mean() - slope * (t - t.mean())
    return slope, math.sqrt(float((residual**2).sum()) / (len(means) - 2) / spread)
