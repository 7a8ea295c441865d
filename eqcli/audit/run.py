"""All audits of one model on a few structures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from eqcli.audit.compare import rms
from eqcli.audit.cutoff import check_cutoff
from eqcli.audit.dimers import check_dimers
from eqcli.audit.drift import check_drift
from eqcli.audit.effort import Effort
from eqcli.audit.gradients import check_forces, check_stress
from eqcli.audit.limits import check_batch, check_determinism, check_extensivity, check_isolated
from eqcli.audit.orbit import circle, sphere
from eqcli.audit.result import AuditReport, Check
from eqcli.audit.subject import Subject
from eqcli.audit.symmetry import check_run_symmetry, check_symmetry
from eqcli.audit.tolerances import RATTLE_BELOW
from eqcli.audit.transforms import bare, rattled
from eqcli.elements import SYMBOLS
from eqcli.errors import Failure
from eqcli.io.structure import Structure, formula
from eqcli.models.potentials.base import Potential
from eqcli.progress import Reporter, Silent

SMALL = 64
"""Atoms: larger structures are audited only when there are no smaller ones."""

RATTLE = 0.05
"""Å, displacement of structures whose forces vanish."""


def run_audit(
    potential: Potential | Subject,
    structures: Iterable[Structure],
    *,
    seed: int = 0,
    n_structures: int = 4,
    report: Reporter | None = None,
) -> AuditReport:
    """Measures what a potential claims, in float64 and in the precision it runs in.

    Parameters
    ----------
    potential
        The model, or a :class:`Subject` for anything else that maps graphs to predictions.
    structures
        Candidates; `n_structures` of them are drawn, small ones and different compositions first.
    seed
        Of the draw and of every random operation.
    """
    report = report or Silent()
    begun = time.monotonic()
    run, exact = _subjects(potential)
    known, failures = _known(structures, run)
    chosen = [bare(structure) for structure in choose(known, n_structures, seed)]
    result = AuditReport([], [structure.name for structure in chosen], seed, run.precision, failures)
    if chosen:
        result.checks = _all_checks(run, exact, chosen, seed, report)
    result.seconds = time.monotonic() - begun
    return result


def _subjects(potential: Potential | Subject) -> tuple[Subject, Subject]:
    if isinstance(potential, Subject):
        return potential, potential
    import torch

    return Subject.of(potential), Subject.of(potential, torch.float64)


def _known(structures: Iterable[Structure], subject: Subject) -> tuple[list[Structure], list[Failure]]:
    """The structures whose elements the model knows, and the others as failures."""
    known, failures = [], []
    for structure in structures:
        unknown = sorted({int(z) for z in structure.numbers} - set(subject.elements))
        if unknown:
            names = ", ".join(SYMBOLS[z] for z in unknown)
            failures.append(Failure(structure.name, f"not audited: the model does not know {names}", structure.where))
        elif len(structure):
            known.append(structure)
    return known, failures


def choose(structures: Sequence[Structure], count: int, seed: int) -> list[Structure]:
    """`count` structures: small before large, several atoms before one, new compositions before known ones."""
    order = np.random.default_rng([seed, 1]).permutation(len(structures))
    seen: dict[str, int] = {}
    ranked = []
    for place, index in enumerate(order):
        structure = structures[index]
        key = formula(structure.numbers)
        seen[key] = seen.get(key, 0) + 1
        oversize = len(structure) if len(structure) > SMALL else 0
        ranked.append(((oversize, len(structure) < 2, seen[key], place), int(index)))
    return [structures[index] for _, index in sorted(ranked)[:count]]


def _all_checks(run: Subject, exact: Subject, chosen: list[Structure], seed: int, report: Reporter) -> list[Check]:
    effort = Effort.of(chosen)
    stages: list[tuple[str, Callable[[list[Structure]], list[Check | None]]]] = [
        ("rotation", lambda s: [*check_symmetry(exact, s, effort, seed)]),
        ("run_symmetry", lambda s: [_run_symmetry(run, exact, s, effort, seed)]),
        ("forces_fd", lambda s: [check_forces(exact, s, effort, seed)]),
        ("stress_fd", lambda s: [check_stress(exact, s)]),
        ("extensivity", lambda s: [check_extensivity(exact, s)]),
        ("isolated", lambda s: [check_isolated(exact, s)]),
        ("batch", lambda s: [check_batch(exact, s)]),
        ("cutoff_energy", lambda s: [*check_cutoff(exact, s, effort, seed)]),
        ("determinism", lambda s: [check_determinism(run, s)]),
        ("drift", lambda s: [*check_drift(exact, s, effort, seed)]),
        ("dimer_repulsion", lambda s: [*check_dimers(exact, s, effort)]),
    ]
    report.start("audit", len(stages) + 1, "checks")
    finite, off_centre = _check_finite(exact, chosen, seed)
    checks = [finite]
    report.advance()
    for key, stage in stages:
        checks += _carry_out(key, stage, off_centre, (run, exact))
        report.advance()
    report.finish()
    return checks


def _carry_out(
    key: str,
    stage: Callable[[list[Structure]], list[Check | None]],
    structures: list[Structure],
    subjects: tuple[Subject, Subject],
) -> list[Check]:
    """The checks of one stage; a model that raises has failed it, and the other stages go on."""
    for subject in subjects:
        subject.nonfinite.clear()
    try:
        checks = [check for check in stage(structures) if check is not None]
    except Exception as error:
        found = "the model could not be evaluated"
        return [Check(key, math.nan, found, error=f"{type(error).__name__}: {error}")]
    places = list(dict.fromkeys(place for subject in subjects for place in subject.nonfinite))
    for check in checks:
        check.nonfinite = places
    return checks


def _check_finite(subject: Subject, structures: list[Structure], seed: int) -> tuple[Check, list[Structure]]:
    """Whether predictions are numbers, and the structures with those moved off centre whose forces vanish."""
    checks = _carry_out("finite", lambda s: [_finite(subject, s)], structures, (subject, subject))
    forces = checks[0].curves.pop("forces", [math.inf] * len(structures))
    rng = np.random.default_rng([seed, 2])
    moved = [
        rattled(structure, RATTLE, rng) if scale < RATTLE_BELOW else structure
        for structure, scale in zip(structures, forces, strict=True)
    ]
    checks[0].figures["rattled"] = int(sum(scale < RATTLE_BELOW for scale in forces))
    return checks[0], moved


def _finite(subject: Subject, structures: list[Structure]) -> Check:
    outcomes = subject.predict(structures, stress=True)
    count = len(subject.nonfinite)
    values = sum(1 + (outcome.forces.size if outcome.forces is not None else 0) for outcome in outcomes)
    scales = [rms(outcome.forces) if outcome.forces is not None else 0.0 for outcome in outcomes]
    found = f"{values} values on {len(structures)} structures"
    return Check("finite", float(count), found, subject.precision, curves={"forces": scales})


def _run_symmetry(run: Subject, exact: Subject, structures: list[Structure], effort: Effort, seed: int) -> Check:
    """The check in the run precision, with the curves over orbits, which are shown and not judged."""
    check = check_run_symmetry(run, structures, effort, seed)
    structure = next((s for s in structures if len(s) > 1), structures[0])
    subjects = {exact.precision: exact, run.precision: run}
    check.curves["circle"] = {name: circle(each, structure, effort.orbit, seed) for name, each in subjects.items()}
    check.curves["sphere"] = sphere(run, structure, effort.axes)
    return check
