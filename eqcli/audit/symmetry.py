"""Rotations, reflections, translations, permutations and the choice of cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from eqcli.audit import transforms
from eqcli.audit.compare import Difference, difference, worst
from eqcli.audit.effort import Effort
from eqcli.audit.result import Check
from eqcli.audit.subject import Outcome, Subject
from eqcli.io.structure import FloatArray, Structure

KINDS = ("rotation", "reflection", "translation", "permutation", "periodicity")


@dataclass(frozen=True)
class Operation:
    """A structure under a symmetry operation and how predictions follow.

    Forces turn with `matrix` and are then reordered by `order`.
    """

    kind: str
    structure: Structure
    matrix: FloatArray = field(default_factory=lambda: np.eye(3))
    order: np.ndarray | None = None

    def act_on(self, outcome: Outcome) -> Outcome:
        """The prediction that symmetry demands, from that of the structure before the operation."""
        forces = outcome.forces
        if forces is not None:
            forces = forces @ self.matrix.T
            forces = forces if self.order is None else forces[self.order]
        stress = None if outcome.stress is None else self.matrix @ outcome.stress @ self.matrix.T
        return Outcome(outcome.energy, outcome.interaction, forces, stress)


@dataclass(frozen=True)
class OperationError:
    """Error of one operation on the structure of that index."""

    kind: str
    structure: int
    error: Difference


def operations(structure: Structure, effort: Effort, rng: np.random.Generator) -> Iterator[Operation]:
    """Random operations of every kind that the structure has."""
    for _ in range(effort.rotations):
        yield _orthogonal("rotation", structure, transforms.random_rotation(rng))
    for k in range(effort.others):
        # The inversion first: it is the one that random mirror planes never make.
        improper = -np.eye(3) if k == 0 else -transforms.random_rotation(rng)
        yield _orthogonal("reflection", structure, improper)
    for k in range(effort.others):
        length = 100.0 if k == 0 else float(10 ** rng.uniform(-1, 2))
        shift = length * transforms.random_direction(rng)
        yield Operation("translation", transforms.translate(structure, shift))
    for _ in range(effort.others):
        order = rng.permutation(len(structure))
        yield Operation("permutation", transforms.permute(structure, order), order=order)
    if structure.pbc.any():
        images = rng.integers(-2, 3, size=(len(structure), 3))
        yield Operation("periodicity", transforms.other_images(structure, images))
        for _ in range(effort.others):
            yield Operation("periodicity", transforms.other_basis(structure, rng))


def _orthogonal(kind: str, structure: Structure, matrix: FloatArray) -> Operation:
    return Operation(kind, transforms.rotate(structure, matrix), matrix=matrix)


def symmetry_errors(
    subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int
) -> list[OperationError]:
    """The error of every operation on every structure; the operations depend on the seed alone."""
    errors = []
    for index, structure in enumerate(structures):
        tried = list(operations(structure, effort, np.random.default_rng([seed, index])))
        plain, *found = subject.predict([structure, *(operation.structure for operation in tried)], stress=True)
        for operation, outcome in zip(tried, found, strict=True):
            error = difference(outcome, operation.act_on(plain))
            errors.append(OperationError(operation.kind, index, error))
    return errors


def check_symmetry(subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int) -> list[Check]:
    """One check for each kind of operation that occurs, in the precision of `subject`."""
    errors = symmetry_errors(subject, structures, effort, seed)
    return [_check(kind, kind, errors, subject.precision) for kind in KINDS if any(e.kind == kind for e in errors)]


def check_run_symmetry(subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int) -> Check:
    """All operations in one check, in the precision the model runs in."""
    errors = symmetry_errors(subject, structures, effort, seed)
    check = _check("run_symmetry", None, errors, subject.precision)
    check.curves["kinds"] = {
        kind: [e.error.worst for e in errors if e.kind == kind] for kind in KINDS if any(e.kind == kind for e in errors)
    }
    return check


def _check(key: str, kind: str | None, errors: list[OperationError], precision: str) -> Check:
    chosen = [e for e in errors if kind in (None, e.kind)]
    distribution = [e.error.worst for e in chosen]
    stresses = [e.error.stress for e in chosen if not np.isnan(e.error.stress)]
    structures = len({e.structure for e in chosen})
    return Check(
        key,
        worst(distribution),
        f"{len(chosen)} operations on {structures} structure{'s' if structures > 1 else ''}",
        precision,
        figures={
            "energy": worst([e.error.energy for e in chosen]),
            "forces": worst([e.error.forces for e in chosen]),
            "stress": worst(stresses) if stresses else None,
            "median": float(np.median(distribution)),
            "operations": len(chosen),
        },
        distribution=distribution,
    )
