"""All audits of one model on a few structures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from eqcli.audit.chirality import check_handedness
from eqcli.audit.compare import rms
from eqcli.audit.cutoff import check_cutoff
from eqcli.audit.dimers import check_dimers
from eqcli.audit.drift import check_drift
from eqcli.audit.effort import Effort
from eqcli.audit.expressivity import check_expressivity, require_testable
from eqcli.audit.gradients import check_forces, check_stress
from eqcli.audit.groups import STRUCTURES, applicable, require_outputs
from eqcli.audit.hessian import check_hessian
from eqcli.audit.limits import check_batch, check_determinism, check_extensivity, check_isolated, check_supercell
from eqcli.audit.orbit import aggregate_view, circle, orbits, single_view
from eqcli.audit.result import AuditReport, Check
from eqcli.audit.subject import Subject
from eqcli.audit.symmetry import check_run_symmetry, check_symmetry
from eqcli.audit.tolerances import RATTLE_BELOW, TOLERANCES
from eqcli.audit.transforms import bare, rattled
from eqcli.audit.worst import as_structures, worst_rotations
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
    n_structures: int = STRUCTURES,
    groups: Sequence[str] | None = None,
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
    groups
        Names of `groups.GROUPS`; None takes those made by default that the model has the outputs for.

    Raises
    ------
    InputError
        A group was named that needs an output which the model does not declare.
    """
    report = report or Silent()
    begun = time.monotonic()
    run, exact = _subjects(potential)
    if groups is None:
        groups = applicable(run.outputs)
    require_outputs(list(run.outputs), groups)
    if "expressivity" in groups:
        require_testable(potential)
    known, failures = _known(structures, run)
    chosen = [bare(structure) for structure in choose(known, n_structures, seed)]
    result = AuditReport([], [structure.name for structure in chosen], seed, run.precision, failures)
    result.groups = list(groups)
    if chosen:
        audit = _Audit(potential, run, exact, Effort.of(chosen), seed)
        result.checks = audit.checks(chosen, groups, report)
        result.worst_rotations, result.worst_frames = audit.worst_rotations, audit.worst_frames
        result.skipped, result.slack, result.note = audit.skipped, run.slack, run.note
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
    names = ", ".join(SYMBOLS[z] for z in subject.elements)
    for structure in structures:
        unknown = sorted({int(z) for z in structure.numbers} - set(subject.elements))
        if unknown:
            found = ", ".join(SYMBOLS[z] for z in unknown)
            reason = f"not audited: the model does not know {found}; it was made for {names}"
            failures.append(Failure(structure.name, reason, structure.where))
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


Stage = Callable[[list[Structure]], Sequence[Check | None]]


@dataclass
class _Audit:
    """One audit under way: `run` computes as the model runs, `exact` in float64."""

    potential: Potential | Subject
    run: Subject
    exact: Subject
    effort: Effort
    seed: int

    def __post_init__(self) -> None:
        self.worst_rotations: list[dict[str, object]] = []
        self.worst_frames: list[Structure] = []
        self.skipped: dict[str, str] = {}

    def stages(self) -> list[tuple[str, Stage]]:
        """The first check that each stage makes, and the stage."""
        run, exact, effort, seed = self.run, self.exact, self.effort, self.seed
        return [
            ("rotation", lambda s: check_symmetry(exact, s, effort, seed)),
            ("handedness", lambda s: [check_handedness(exact, s)]),
            ("run_symmetry", lambda s: [self._run_symmetry(s)]),
            ("determinism", lambda s: [check_determinism(run, s)]),
            ("forces_fd", lambda s: [check_forces(exact, s, effort, seed)]),
            ("stress_fd", lambda s: [check_stress(exact, s)]),
            ("hessian", lambda s: check_hessian(exact, s, effort, seed)),
            ("drift", lambda s: check_drift(exact, s, effort, seed)),
            ("cutoff_energy", lambda s: check_cutoff(exact, s, effort, seed)),
            ("dimer_repulsion", lambda s: check_dimers(exact, s, effort)),
            ("extensivity", lambda s: [check_extensivity(exact, s)]),
            ("supercell", lambda s: [check_supercell(exact, s, effort, seed)]),
            ("isolated", lambda s: [check_isolated(exact, s)]),
            ("batch", lambda s: [check_batch(exact, s)]),
            ("gwl", lambda s: [check_expressivity(require_testable(self.potential), seed)]),
        ]

    def checks(self, chosen: list[Structure], groups: Sequence[str], report: Reporter) -> list[Check]:
        """Whether the output is finite, then every stage of the groups, one after the other."""
        asked = [(key, stage) for key, stage in self.stages() if TOLERANCES[key].group in groups]
        wanted = [(key, stage) for key, stage in asked if key not in self.run.skips]
        self.skipped = {key: self.run.skips[key] for key, _ in asked if key in self.run.skips}
        report.start("audit", len(wanted) + 1, "checks")
        finite, off_centre = self._finite(chosen)
        checks = [finite]
        report.advance()
        for key, stage in wanted:
            checks += self._carry_out(key, stage, off_centre)
            report.advance()
        report.finish()
        return checks

    def _carry_out(self, key: str, stage: Stage, structures: list[Structure]) -> list[Check]:
        """The checks of one stage; a model that raises has failed it, and the other stages go on."""
        for subject in (self.run, self.exact):
            subject.nonfinite.clear()
        try:
            checks = [check for check in stage(structures) if check is not None]
        except Exception as error:
            found = "the model could not be evaluated"
            return [Check(key, math.nan, found, error=f"{type(error).__name__}: {error}")]
        places = list(dict.fromkeys(place for subject in (self.run, self.exact) for place in subject.nonfinite))
        for check in checks:
            check.nonfinite = places
            if (limit := self.exact.limit(check.key)) > check.tolerance.limit:
                check.limit = limit
        return checks

    def _finite(self, structures: list[Structure]) -> tuple[Check, list[Structure]]:
        """Whether predictions are numbers, and the structures with those moved off centre whose forces vanish."""
        (check,) = self._carry_out("finite", lambda s: [_check_finite(self.exact, s)], structures)
        forces = check.curves.pop("forces", [math.inf] * len(structures))
        rng = np.random.default_rng([self.seed, 2])
        moved = [
            rattled(structure, RATTLE, rng) if scale < RATTLE_BELOW else structure
            for structure, scale in zip(structures, forces, strict=True)
        ]
        check.figures["rattled"] = int(sum(scale < RATTLE_BELOW for scale in forces))
        return check, moved

    def _run_symmetry(self, structures: list[Structure]) -> Check:
        """The check in the run precision, with the error over the rotation group, which is shown and not judged."""
        run, effort = self.run, self.effort
        check = check_run_symmetry(run, structures, effort, self.seed)
        every = orbits(run, structures, effort)
        shown = every[-1].structure
        subjects = {self.exact.precision: self.exact, run.precision: run}
        check.curves["circle"] = {name: circle(each, shown, effort.orbit, self.seed) for name, each in subjects.items()}
        check.curves["orbit"] = single_view(every[-1])
        check.curves["orbits"] = aggregate_view(every[:-1])
        worst = worst_rotations(every)
        self.worst_rotations = [rotation.as_dict() for rotation in worst]
        self.worst_frames = as_structures(run, worst)
        check.figures["worst_at"] = str(worst[0])
        return check


def _check_finite(subject: Subject, structures: list[Structure]) -> Check:
    outcomes = subject.predict(structures, stress=True)
    count = len(subject.nonfinite)
    values = sum(value.size for outcome in outcomes for value in outcome.values.values())
    scales = [rms(outcome.forces) if outcome.forces is not None else math.inf for outcome in outcomes]
    found = f"{values} values on {len(structures)} structures"
    return Check("finite", float(count), found, subject.precision, curves={"forces": scales})
