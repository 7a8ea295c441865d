"""The error over the rotation group: of one structure and of all of them.

After NERO (Kouchakinejad et al., "NERO evaluation", 2023): not one figure but the error of
every rotation, by its axis and its angle, for a single sample and in the aggregate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eqcli.audit.compare import Difference
from eqcli.audit.effort import Effort
from eqcli.audit.subject import Subject
from eqcli.audit.symmetry import operation_errors, rotated
from eqcli.audit.transforms import axis_rotation, random_direction
from eqcli.io.structure import FloatArray, Structure

QUANTILES = (0.1, 0.5, 0.9)
"""Of the errors of all structures, in the aggregate view."""


@dataclass(frozen=True)
class Grid:
    """Rotations that cover SO(3): `axes` `[A, 3]` spread over the sphere, each by `angles` `[T]`, radians."""

    axes: FloatArray
    angles: FloatArray

    @classmethod
    def of(cls, axes: int, angles: int) -> Grid:
        """Angles in (0, 180°]: a larger one is a smaller one about the opposite axis."""
        # Off the multiples of a right angle, at which errors of a cubic grid vanish.
        return cls(fibonacci_sphere(axes), math.pi * (np.arange(angles) + 0.83) / angles)

    @property
    def matrices(self) -> list[FloatArray]:
        return [axis_rotation(axis, angle) for axis in self.axes for angle in self.angles]

    def place(self, index: int) -> tuple[FloatArray, float]:
        """Axis and angle of the rotation of that index in `matrices`."""
        a, t = divmod(index, len(self.angles))
        return self.axes[a], float(self.angles[t])

    def as_dict(self) -> dict[str, Any]:
        return {
            "longitude": np.arctan2(self.axes[:, 1], self.axes[:, 0]).tolist(),
            "latitude": np.arcsin(self.axes[:, 2]).tolist(),
            "angle": np.degrees(self.angles).tolist(),
        }


@dataclass(frozen=True)
class Orbit:
    """Errors of one structure over a grid: `errors` `[A, T]`, and the atom that is worst at each rotation."""

    structure: Structure
    grid: Grid
    errors: FloatArray
    atoms: list[int | None]


def orbit(subject: Subject, structure: Structure, grid: Grid) -> Orbit:
    """The relative error of every rotation of the grid, the largest over the outputs."""
    found = _errors(subject, structure, grid.matrices)
    errors = np.array([error.worst for error in found]).reshape(len(grid.axes), len(grid.angles))
    return Orbit(structure, grid, errors, [error.atom for error in found])


def orbits(subject: Subject, structures: Sequence[Structure], effort: Effort) -> list[Orbit]:
    """All structures over a coarse grid; the one with the largest error over a fine one comes last."""
    coarse = Grid.of(effort.axes, effort.angles)
    found = [orbit(subject, structure, coarse) for structure in structures]
    several = [o for o in found if len(o.structure) > 1] or found
    worst = max(several, key=lambda o: float(np.nan_to_num(o.errors, nan=np.inf).max()))
    return [*found, orbit(subject, worst.structure, Grid.of(effort.single_axes, effort.single_angles))]


def single_view(one: Orbit) -> dict[str, Any]:
    """The error of one structure by axis and angle, for a plot and for the report."""
    return {"structure": one.structure.name, **one.grid.as_dict(), "errors": one.errors.tolist()}


def aggregate_view(all_orbits: Sequence[Orbit]) -> dict[str, Any]:
    """Mean and quantiles over the structures by axis and by angle, and the errors of each structure."""
    errors = np.stack([one.errors for one in all_orbits])  # [S, A, T]
    return {
        **all_orbits[0].grid.as_dict(),
        "mean_by_axis": errors.mean(axis=(0, 2)).tolist(),
        "mean_by_angle": errors.mean(axis=(0, 1)).tolist(),
        "quantiles": list(QUANTILES),
        "quantiles_by_angle": np.quantile(errors, QUANTILES, axis=(0, 1)).tolist(),
        "structures": [one.structure.name for one in all_orbits],
        "mean_by_structure": errors.mean(axis=(1, 2)).tolist(),
        "quantiles_by_structure": np.quantile(errors, QUANTILES, axis=(1, 2)).T.tolist(),
        "worst_by_structure": errors.max(axis=(1, 2)).tolist(),
    }


def circle(subject: Subject, structure: Structure, points: int, seed: int) -> dict[str, Any]:
    """Relative errors once around a random axis, of every output; angles in degrees."""
    axis = random_direction(np.random.default_rng([seed, 101]))
    angles = np.linspace(0.0, 2 * math.pi, points + 1)
    errors = _errors(subject, structure, [axis_rotation(axis, angle) for angle in angles])
    return {
        "structure": structure.name,
        "axis": axis.tolist(),
        "angle": np.degrees(angles).tolist(),
        "outputs": {name: [error.figures[name] for error in errors] for name in errors[0].figures},
    }


def fibonacci_sphere(points: int) -> FloatArray:
    """Unit vectors spread evenly over the sphere, `[points, 3]`."""
    k = np.arange(points)
    z = 1 - (2 * k + 1) / points
    turn = k * math.pi * (3 - math.sqrt(5))
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)


def _errors(subject: Subject, structure: Structure, matrices: Sequence[FloatArray]) -> list[Difference]:
    return operation_errors(subject, structure, [rotated("rotation", structure, matrix) for matrix in matrices])
