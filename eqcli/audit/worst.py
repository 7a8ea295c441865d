"""The rotations with the largest errors, named, and as structures that can be looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eqcli.audit.compare import difference
from eqcli.audit.orbit import Orbit
from eqcli.audit.subject import Outcome, Subject
from eqcli.audit.symmetry import rotated
from eqcli.audit.transforms import axis_rotation
from eqcli.elements import SYMBOLS
from eqcli.io.structure import FloatArray, Structure

KEPT = 8
"""Rotations named."""

OF_ONE = 2
"""Of these from one structure."""


@dataclass(frozen=True)
class WorstRotation:
    """A rotation by `angle` (radians) about `axis`, its relative error, and the atom whose force is worst."""

    structure: Structure
    axis: FloatArray
    angle: float
    error: float
    atom: int | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "structure": self.structure.name,
            "axis": [round(float(x), 6) for x in self.axis],
            "angle_degrees": round(math.degrees(self.angle), 4),
            "relative_error": self.error if math.isfinite(self.error) else None,
            "atom": self.atom,
            "element": None if self.atom is None else SYMBOLS[int(self.structure.numbers[self.atom])],
        }

    def __str__(self) -> str:
        x, y, z = self.axis
        place = "" if self.atom is None else f", atom {self.atom} ({self.as_dict()['element']})"
        turn = f"{math.degrees(self.angle):.1f}° about ({x:.3f}, {y:.3f}, {z:.3f})"
        return f"{self.structure.name}{place}: {turn}"


def worst_rotations(orbits: Sequence[Orbit], count: int = KEPT) -> list[WorstRotation]:
    """The `count` worst rotations, from several structures where there are several; what is not a number first."""
    every = [
        WorstRotation(one.structure, *one.grid.place(k), float(error), one.atoms[k])
        for one in orbits
        for k, error in enumerate(one.errors.ravel())
    ]
    every.sort(key=lambda rotation: -math.inf if math.isnan(rotation.error) else -rotation.error)
    taken: dict[int, int] = {}
    chosen: list[WorstRotation] = []
    for rotation in every:
        key = id(rotation.structure)
        if taken.get(key, 0) < OF_ONE and len(chosen) < count:
            taken[key] = taken.get(key, 0) + 1
            chosen.append(rotation)
    return chosen


def as_structures(subject: Subject, rotations: Sequence[WorstRotation]) -> list[Structure]:
    """Each rotation as two frames: the structure, and the structure turned.

    Columns: `forces` as predicted, `expected_forces` as symmetry demands, `force_error` their difference,
    all eV/Å; `energy` as predicted in eV. The frame says axis, angle in degrees, relative error and worst atom.
    """
    frames = []
    for rotation in rotations:
        operation = rotated("rotation", rotation.structure, axis_rotation(rotation.axis, rotation.angle))
        plain, moved = subject.predict([rotation.structure, operation.structure])
        expected = operation.act_on(plain, subject.outputs)
        facts = {
            "rotation_axis": rotation.axis,
            "rotation_angle": math.degrees(rotation.angle),
            "relative_error": difference(moved, expected, len(rotation.structure), subject.floors).worst,
            "worst_atom": -1 if rotation.atom is None else rotation.atom,
            "source": rotation.structure.name,
        }
        frames += [
            _frame(rotation.structure, plain, plain, {"frame": "original", **facts}),
            _frame(operation.structure, moved, expected, {"frame": "rotated", **facts}),
        ]
    return frames


def _frame(structure: Structure, found: Outcome, expected: Outcome, facts: dict[str, Any]) -> Structure:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    info = {**facts, "expected_energy": expected.energy} if found.has_energy else dict(facts)
    if found.forces is not None and expected.forces is not None:
        arrays = {"expected_forces": expected.forces, "force_error": found.forces - expected.forces}
    energy = found.energy if found.has_energy else None
    return replace(structure, energy=energy, forces=found.forces, arrays=arrays, info=info)
