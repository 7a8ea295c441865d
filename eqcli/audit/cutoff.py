"""Continuity of energy, force and force slope as atoms cross the cutoff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eqcli.audit.compare import worst
from eqcli.audit.effort import Effort
from eqcli.audit.result import Check
from eqcli.audit.subject import Subject
from eqcli.audit.transforms import bare, dimer, displaced, random_direction
from eqcli.elements import SYMBOLS
from eqcli.io.structure import FloatArray, Structure

STEP = 1e-4
"""Å, distance of the points on either side of a crossing."""

WINDOW = 0.3
"""Å that an atom of a crystal is dragged."""


@dataclass(frozen=True)
class Drag:
    """One atom moved along a straight line: `x(s) = x(0) + s u`, s in Å from 0 to `length`."""

    structure: Structure
    atom: int
    direction: FloatArray
    length: float

    def at(self, s: float) -> Structure:
        return displaced(self.structure, self.atom, s * self.direction)

    def crossings(self, cutoff: float) -> FloatArray:
        """Ascending s at which another atom, or an image of one, is exactly at the cutoff."""
        others = _image_vectors(self.structure, self.atom, cutoff + self.length + 1.0)
        # |d + s u|^2 = cutoff^2 with d from the other atom to the dragged one.
        along = -others @ self.direction
        root = along**2 - (others**2).sum(axis=1) + cutoff**2
        real = root > 0
        s = np.concatenate([-along[real] - np.sqrt(root[real]), -along[real] + np.sqrt(root[real])])
        return np.sort(s[(s > 10 * STEP) & (s < self.length)])


def _image_vectors(structure: Structure, atom: int, reach: float) -> FloatArray:
    """Vectors from `atom` to every image of every other atom within `reach`, `[M, 3]` Å."""
    from eqcli.graph.neighbours import neighbour_list

    (sender, receiver), shift = neighbour_list(structure.positions, structure.cell, structure.pbc, reach)
    chosen = (receiver == atom) & (sender != atom)
    cell = structure.cell * structure.pbc[:, None]
    vectors: FloatArray = structure.positions[sender[chosen]] - structure.positions[atom] + shift[chosen] @ cell
    return vectors


@dataclass(frozen=True)
class Jumps:
    """Discontinuities at one crossing: energy in eV, force in eV/Å, force slope in eV/Å^2."""

    energy: float
    force: float
    slope: float


def jumps(subject: Subject, drag: Drag, crossings: FloatArray) -> list[Jumps]:
    """Discontinuities along a path, with the smooth change over the small steps taken out."""
    offsets = np.array([-2, -1, 1, 2]) * STEP
    outcomes = subject.predict([drag.at(s + h) for s in crossings for h in offsets])
    energy = np.array([outcome.interaction for outcome in outcomes]).reshape(-1, 4)
    pull = np.array([_pull(drag, outcome.forces) for outcome in outcomes]).reshape(-1, 4)
    # Straight lines from either side, met in the middle.
    energy_jump = (2 * energy[:, 2] - energy[:, 3]) - (2 * energy[:, 1] - energy[:, 0])
    force_jump = (2 * pull[:, 2] - pull[:, 3]) - (2 * pull[:, 1] - pull[:, 0])
    slope_jump = ((pull[:, 3] - pull[:, 2]) - (pull[:, 1] - pull[:, 0])) / STEP
    found = np.abs(np.stack([energy_jump, force_jump, slope_jump], axis=1))
    return [Jumps(*row) for row in found.tolist()]


def _pull(drag: Drag, forces: FloatArray | None) -> float:
    assert forces is not None
    return float(forces[drag.atom] @ drag.direction)


def drags(subject: Subject, structures: Sequence[Structure], seed: int) -> list[Drag]:
    """Paths that cross the cutoff: every pair of elements alone, and an atom of every structure."""
    numbers = sorted({int(z) for structure in structures for z in structure.numbers})
    pairs = [(a, b) for k, a in enumerate(numbers) for b in numbers[k:]]
    start = 0.9 * subject.cutoff
    paths = [Drag(dimer(a, b, start), 1, np.array([1.0, 0, 0]), 0.2 * subject.cutoff) for a, b in pairs]
    rng = np.random.default_rng([seed, 401])
    return paths + [_drag_from(structure, subject.cutoff, rng) for structure in structures if len(structure) > 1]


def _drag_from(structure: Structure, cutoff: float, rng: np.random.Generator) -> Drag:
    """The outermost atom of a molecule pulled out of reach; any atom of a crystal moved a little."""
    if structure.pbc.any():
        return Drag(structure, int(rng.integers(len(structure))), random_direction(rng), WINDOW)
    centred = structure.positions - structure.positions.mean(axis=0)
    distance = np.linalg.norm(centred, axis=1)
    atom = int(distance.argmax())
    # From the origin of the molecule outwards; any direction will do for an atom in its centre.
    direction = centred[atom] / distance[atom] if distance[atom] > 1e-3 else np.array([1.0, 0, 0])
    clean = bare(structure, positions=centred)
    return Drag(clean, atom, direction, cutoff + float(distance.max()) + 1.0)


def check_cutoff(subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int) -> list[Check]:
    """Jumps of energy, force and force slope at crossings of the cutoff, alone and among other atoms."""
    paths = drags(subject, structures, seed)
    rng = np.random.default_rng([seed, 402])
    found: list[Jumps] = []
    names: list[str] = []
    for path in paths:
        crossings = path.crossings(subject.cutoff)
        if len(crossings) > effort.crossings:
            crossings = np.sort(rng.choice(crossings, size=effort.crossings, replace=False))
        found += jumps(subject, path, crossings) if len(crossings) else []
        names += [_name(path)] * len(crossings)
    if not found:
        return []
    counted = f"{len(found)} crossings of the cutoff on {len(paths)} paths"
    curve = scan(subject, _longest(paths), effort.scan)
    checks = []
    for key, figure in (("cutoff_energy", "energy"), ("cutoff_forces", "force"), ("cutoff_curvature", "slope")):
        values = [getattr(jump, figure) for jump in found]
        check = Check(key, worst(values), counted, subject.precision, distribution=values)
        check.figures = {"step": STEP, "worst_at": names[int(np.argmax(values))]}
        checks.append(check)
    checks[0].curves["scan"] = curve
    return checks


def _name(path: Drag) -> str:
    return f"{path.structure.name}, atom {path.atom} ({SYMBOLS[int(path.structure.numbers[path.atom])]})"


def _longest(paths: list[Drag]) -> Drag:
    """The path to show: that of a whole structure where there is one."""
    return max(paths, key=lambda path: (not path.structure.pbc.any(), len(path.structure)))


def scan(subject: Subject, path: Drag, points: int) -> dict[str, Any]:
    """Energy and force along the whole path, for a plot; distances in Å."""
    s = np.linspace(0.0, path.length, points)
    outcomes = subject.predict([path.at(x) for x in s])
    energy = np.array([outcome.interaction for outcome in outcomes])
    return {
        "path": _name(path),
        "distance": s.tolist(),
        "energy": (energy - energy[-1]).tolist(),
        "force": [_pull(path, outcome.forces) for outcome in outcomes],
        "crossings": path.crossings(subject.cutoff).tolist(),
    }
