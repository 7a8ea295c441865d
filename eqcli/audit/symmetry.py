"""Rotations, reflections, translations, permutations, the choice of cell and of its origin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from eqcli.audit import transforms
from eqcli.audit.character import characterise
from eqcli.audit.compare import Difference, difference, worst
from eqcli.audit.effort import Effort
from eqcli.audit.laws import OUTPUTS, Law, Motion
from eqcli.audit.result import Check
from eqcli.audit.subject import Outcome, Subject
from eqcli.io.structure import FloatArray, Structure

KINDS = ("rotation", "reflection", "translation", "permutation", "periodicity", "origin")


@dataclass(frozen=True)
class Operation:
    """A structure under a symmetry operation, and the motion that predictions follow."""

    kind: str
    structure: Structure
    motion: Motion = field(default_factory=Motion)

    def act_on(self, outcome: Outcome, laws: Mapping[str, Law] = OUTPUTS) -> Outcome:
        """The prediction that symmetry demands, from that of the structure before the operation."""
        moved = {name: laws[name].act(self.motion, value) for name, value in outcome.values.items()}
        others = {name: moved[name] for name in outcome.others}
        interaction = float(moved.get("energy", outcome.interaction))
        forces, stress = moved.get("forces"), moved.get("stress")
        return Outcome(outcome.energy, interaction, forces, stress, others, outcome.has_energy)


@dataclass(frozen=True)
class OperationError:
    """Error of one operation on the structure of that index."""

    operation: Operation
    structure: int
    error: Difference


def operations(structure: Structure, effort: Effort, rng: np.random.Generator) -> Iterator[Operation]:
    """Random operations of every kind that the structure has."""
    for _ in range(effort.rotations):
        yield rotated("rotation", structure, transforms.random_rotation(rng))
    for k in range(effort.others):
        # The inversion first: it is the one that random mirror planes never make.
        improper = -np.eye(3) if k == 0 else -transforms.random_rotation(rng)
        yield rotated("reflection", structure, improper)
    for k in range(effort.others):
        length = 100.0 if k == 0 else float(10 ** rng.uniform(-1, 2))
        shift = length * transforms.random_direction(rng)
        yield Operation("translation", transforms.translate(structure, shift), Motion(shift=shift))
    for _ in range(effort.others):
        order = rng.permutation(len(structure))
        yield Operation("permutation", transforms.permute(structure, order), Motion(order=order))
    if structure.pbc.any():
        images = rng.integers(-2, 3, size=(len(structure), 3))
        yield Operation("periodicity", transforms.other_images(structure, images))
        for _ in range(effort.others):
            yield Operation("periodicity", transforms.other_basis(structure, rng))
        for _ in range(effort.others):
            yield Operation("origin", transforms.other_origin(structure, rng.uniform(size=3)))


def rotated(kind: str, structure: Structure, matrix: FloatArray) -> Operation:
    """A structure under an orthogonal matrix, proper or not."""
    return Operation(kind, transforms.rotate(structure, matrix), Motion(matrix))


def symmetry_errors(
    subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int
) -> list[OperationError]:
    """The error of every operation on every structure; the operations depend on the seed alone."""
    errors = []
    for index, structure in enumerate(structures):
        tried = list(operations(structure, effort, np.random.default_rng([seed, index])))
        tried = [operation for operation in tried if subject.reflections or operation.kind != "reflection"]
        errors += [
            OperationError(operation, index, error)
            for operation, error in zip(tried, operation_errors(subject, structure, tried), strict=True)
        ]
    return errors


def operation_errors(subject: Subject, structure: Structure, tried: Sequence[Operation]) -> list[Difference]:
    """Errors of operations on one structure, relative to its own prediction."""
    moved = [operation.structure for operation in tried]
    plain, *found = subject.predict([structure, *moved], stress=bool(structure.pbc.all()))
    return [
        difference(outcome, operation.act_on(plain, subject.outputs), len(structure), subject.floors)
        for operation, outcome in zip(tried, found, strict=True)
    ]


def check_symmetry(subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int) -> list[Check]:
    """One check for each kind of operation that occurs, in the precision of `subject`."""
    errors = symmetry_errors(subject, structures, effort, seed)
    present = [kind for kind in KINDS if any(e.operation.kind == kind for e in errors)]
    random = subject.is_random(structures[0])
    checks = []
    for kind in present:
        check = _check(kind, [e for e in errors if e.operation.kind == kind], subject.precision)
        _characterise(check, subject, structures, [e for e in errors if e.operation.kind == kind], random)
        checks.append(check)
    return checks


def _characterise(
    check: Check, subject: Subject, structures: Sequence[Structure], errors: list[OperationError], random: bool
) -> None:
    """Says whether a symmetry is exact, approximate or holds in expectation, with the figures."""
    at = max(errors, key=lambda e: e.error.worst)
    structure, operation = structures[at.structure], at.operation

    def draw() -> FloatArray:
        plain, moved = subject.predict([structure, operation.structure])
        expected = operation.act_on(plain, subject.outputs).values
        return np.concatenate([np.ravel(value - expected[name]) for name, value in moved.values.items()])

    character = characterise(check.value, subject.limit(check.key), random, draw)
    check.figures |= {"character": character.kind, "expectation": character.as_dict()}
    check.found += f"; {character}"


def check_run_symmetry(subject: Subject, structures: Sequence[Structure], effort: Effort, seed: int) -> Check:
    """All operations in one check, in the precision the model runs in."""
    errors = symmetry_errors(subject, structures, effort, seed)
    check = _check("run_symmetry", errors, subject.precision)
    present = [kind for kind in KINDS if any(e.operation.kind == kind for e in errors)]
    check.curves["kinds"] = {kind: [e.error.worst for e in errors if e.operation.kind == kind] for kind in present}
    return check


def _check(key: str, errors: list[OperationError], precision: str) -> Check:
    distribution = [e.error.worst for e in errors]
    structures = len({e.structure for e in errors})
    names = list(dict.fromkeys(name for e in errors for name in e.error.figures))
    figures = {name: worst([e.error.figures[name] for e in errors if name in e.error.figures]) for name in names}
    return Check(
        key,
        worst(distribution),
        f"{len(errors)} operations on {structures} structure{'s' if structures > 1 else ''}",
        precision,
        figures={**figures, "median": float(np.median(distribution)), "operations": len(errors)},
        distribution=distribution,
    )
