"""The search for a motion between two clouds: over voxels, kinds of features and solvers, until one is believed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from eqcli.engine.registration_ambiguity import alternatives
from eqcli.engine.registration_candidates import Candidate, candidates, distinct, refined, solvers_for
from eqcli.engine.registration_evidence import Evidence, doubts, gathered
from eqcli.engine.registration_features import Features, FpfhFeatures
from eqcli.engine.registration_input import LEAST_POINTS
from eqcli.engine.registration_settings import RegistrationSettings
from eqcli.engine.registration_view import View
from eqcli.engine.ume_features import UmeFeatures
from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.progress import Reporter

LEVELS = (1.0, 1.5, 0.7)
"""Voxels that are tried in turn, in multiples of the automatic one."""

LEAST_SPACINGS = 1.4
"""A voxel below this number of spacings of the sparser cloud is not tried: grids no longer even out the density."""


@dataclass
class Run:
    """One registration on its way."""

    source: Tensor
    target: Tensor
    settings: RegistrationSettings
    report: Reporter
    spacings: tuple[float, float]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the seconds of a block to those of its stage."""
        begin = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin


def features_of(settings: RegistrationSettings, given: Features | None) -> dict[str, Features]:
    """By the name of their method."""
    histograms: dict[str, Features] = {"fpfh": FpfhFeatures(settings.descriptor)}
    if settings.method == "fpfh":
        return histograms
    if settings.method == "ume" and given is None:
        return {"ume": UmeFeatures(settings.descriptor)}
    if settings.method == "auto":
        # Matches of histograms bring no rotation, which this solver needs.
        bare = {} if settings.solver == "one-match" and given is not None else histograms
        return bare if given is None else {**bare, getattr(given, "name", "pare-net"): given}
    if given is None:
        raise InputError(f"the method '{settings.method}' needs features", hint="Give a model, or use --method auto.")
    return {settings.method: given}


def refined_start(run: Run, voxel: float, start: Motion | None) -> tuple[View, list[Candidate]]:
    """Refinement alone."""
    view = _thinned(run, voxel)
    with run.timed("refine"):
        motion = refined(view, start or Motion.identity(), run.settings)
        contact = view.contact(motion)
    evidence = replace(gathered(motion, contact, None, view, run.spacings[1]), hypotheses=1)
    return view, [Candidate(motion, contact, evidence, None, "icp", "")]


def searched(
    run: Run, voxel: float, features: dict[str, Features], start: Motion | None
) -> tuple[View, list[Candidate]]:
    """The best candidates of the first voxel with a reliable one, or of the voxel with the best."""
    best: tuple[View, list[Candidate]] | None = None
    for level in _levels(run, voxel):
        view = _thinned(run, level * voxel)
        for method, kind in features.items():
            found = _found_by(run, view, method, kind, start)
            if found and (best is None or _rank(found) > _rank(best[1])):
                best = view, found
            best = best or (view, found)
        if best is not None and best[1] and not doubted(best[1]):
            break
        run.report.message(f"no reliable motion at a voxel of {level * voxel:.4g}")
    assert best is not None
    return best


def _thinned(run: Run, voxel: float) -> View:
    """Both clouds at a voxel. Raises InputError where one that was asked for leaves too few points."""
    with run.timed("thin"):
        view = View(run.source, run.target, voxel, threads=run.settings.threads)
    for name, side in (("source", view.source), ("target", view.target)):
        if run.settings.voxel is not None and len(side.points) < LEAST_POINTS:
            found = f"a voxel of {voxel:g} leaves {len(side.points)} points of the {name}; {LEAST_POINTS} are needed"
            raise InputError(found, hint="Choose a smaller voxel, or leave it out.")
    return view


def _levels(run: Run, voxel: float) -> list[float]:
    """Multiples of the voxel that are worth a try."""
    if run.settings.voxel is not None:
        return [1.0]
    return [level for level in LEVELS if level >= 1 or level * voxel >= LEAST_SPACINGS * max(run.spacings)]


def _found_by(run: Run, view: View, method: str, kind: Features, start: Motion | None) -> list[Candidate]:
    """The candidates of one kind of features at one voxel, by the first solver with a reliable one."""
    generator = torch.Generator().manual_seed(run.settings.seed)
    with run.timed(method):
        matches, _ = kind.matches(run.source.numpy(), run.target.numpy(), view.voxel, generator)
    found: list[Candidate] = []
    for solver in solvers_for(matches, run.settings):
        with run.timed("solve"):
            more = candidates(
                view,
                matches.double(),
                method,
                solver,
                run.settings,
                threshold=getattr(kind, "threshold", run.settings.threshold),
                spacing=run.spacings[1],
                generator=generator,
                start=None if found else start,
            )
        found = distinct([*found, *more], view)
        if found and not doubted(found):
            break
    return found


def _rank(found: list[Candidate]) -> tuple[bool, float]:
    return (bool(found) and not doubted(found), found[0].evidence.support if found else 0.0)


def doubted(found: list[Candidate]) -> tuple[str, ...]:
    """Doubts about the best of some candidates."""
    return doubts(with_runner_up(found), by_matches=found[0].matches is not None)


def with_runner_up(found: list[Candidate]) -> Evidence:
    """The evidence of the best with its strongest rival; motions that fit alike are no rivals."""
    own = found[0].evidence
    alike = {id(one.motion) for one in alternatives(found[0], found[1:])}
    rivals = [one.evidence.score for one in found[1:] if id(one.motion) not in alike]
    return replace(own, runner_up=max(rivals, default=0.0) / max(own.score, 1e-9))
