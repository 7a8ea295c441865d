"""The error along orbits of the rotation group, for plots: once around an axis, and about every axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from eqcli.audit.compare import Difference, difference
from eqcli.audit.subject import Subject
from eqcli.audit.symmetry import Operation
from eqcli.audit.transforms import axis_rotation, random_direction, rotate
from eqcli.io.structure import FloatArray, Structure

ANGLE = 2 * math.pi / 3
"""Angle of the rotations about every axis: no multiple of a right angle, which would hide errors of a cubic grid."""


def circle(subject: Subject, structure: Structure, points: int, seed: int) -> dict[str, Any]:
    """Relative errors of energy and forces on a full turn about a random axis; angles in degrees."""
    axis = random_direction(np.random.default_rng([seed, 101]))
    angles = np.linspace(0.0, 2 * math.pi, points + 1)
    errors = _errors(subject, structure, [axis_rotation(axis, angle) for angle in angles])
    return {
        "structure": structure.name,
        "axis": axis.tolist(),
        "angle": np.degrees(angles).tolist(),
        "energy": [error.energy for error in errors],
        "forces": [error.forces for error in errors],
    }


def sphere(subject: Subject, structure: Structure, points: int) -> dict[str, Any]:
    """Relative force errors of rotations by 120° about axes spread over the sphere; angles in radians."""
    axes = fibonacci_sphere(points)
    errors = _errors(subject, structure, [axis_rotation(axis, ANGLE) for axis in axes])
    return {
        "structure": structure.name,
        "longitude": np.arctan2(axes[:, 1], axes[:, 0]).tolist(),
        "latitude": np.arcsin(axes[:, 2]).tolist(),
        "forces": [error.forces for error in errors],
    }


def fibonacci_sphere(points: int) -> FloatArray:
    """Unit vectors spread evenly over the sphere, `[points, 3]`."""
    k = np.arange(points)
    z = 1 - (2 * k + 1) / points
    turn = k * math.pi * (3 - math.sqrt(5))
    radius = np.sqrt(1 - z**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)


def _errors(subject: Subject, structure: Structure, matrices: Sequence[FloatArray]) -> list[Difference]:
    turned = [Operation("rotation", rotate(structure, matrix), matrix=matrix) for matrix in matrices]
    plain, *found = subject.predict([structure, *(operation.structure for operation in turned)])
    return [difference(outcome, operation.act_on(plain)) for operation, outcome in zip(turned, found, strict=True)]
