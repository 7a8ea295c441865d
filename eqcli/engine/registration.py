"""Registration of two clouds of points: matches, several motions, refinement, and the evidence that decides.

Clouds are thinned, described and matched at one voxel; the solvers' motions are refined there and compared by
what they explain: matches that agree and surfaces that touch. The best is refined on denser clouds. Where the
first voxel gives no reliable motion a finer and a coarser one are tried.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eqcli.engine.registration_ambiguity import (
    Alternative,
    alternatives,
    free_directions,
    told_alike,
    told_flat,
    told_free,
)
from eqcli.engine.registration_candidates import Candidate, candidates, distinct, refined, solvers_for
from eqcli.engine.registration_evidence import Evidence, doubts, gathered, grounds
from eqcli.engine.registration_features import Features, FpfhFeatures
from eqcli.engine.registration_fine import finest
from eqcli.engine.registration_settings import RegistrationSettings
from eqcli.engine.registration_view import View
from eqcli.engine.ume_features import UmeFeatures
from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.graph.points.spacing import automatic_voxel, spacing
from eqcli.models.pointcloud.hypotheses import inliers_of
from eqcli.models.pointcloud.matches import Matches
from eqcli.progress import Reporter, Silent

__all__ = ["Evidence", "Features", "FpfhFeatures", "Registered", "RegistrationSettings", "register_clouds"]

LEVELS = (1.0, 0.7, 1.5)
"""Voxels that are tried in turn, in multiples of the automatic one."""

LINE = 1e-3
"""Second principal extent over the first below which a cloud is a line."""

LEAST_POINTS = 4


class HasPoints(Protocol):
    """A cloud; nothing but its points is used."""

    points: NDArray[np.float64]


Cloud = HasPoints | NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Registered:
    """The motion between two clouds and what speaks for it.

    Attributes
    ----------
    motion
        float64, source points onto target points. Of no meaning where it is not reliable.
    reliable
        Whether the motion is believed.
    evidence
        Why.
    covariance
        `[6, 6]` of a perturbation (translation, rotation vector) on the left, in the target's frame; infinite on
        the diagonal where the surfaces do not determine the motion.
    matches
        Between the thinned clouds; empty where none were used.
    inliers
        `[M]`, those that agree with the motion.
    ambiguities
        What is left open, in words.
    alternatives
        Other motions that fit alike.
    seconds
        By stage.
    method, solver, refinement
        What was used.
    """

    motion: Motion
    reliable: bool
    evidence: Evidence
    covariance: Tensor
    matches: Matches
    inliers: Tensor
    ambiguities: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    seconds: dict[str, float]
    method: str
    solver: str
    refinement: str


@dataclass
class _Run:
    """One registration on its way."""

    source: Tensor
    target: Tensor
    settings: RegistrationSettings
    report: Reporter
    spacing: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin


def register_clouds(
    source: Cloud,
    target: Cloud,
    settings: RegistrationSettings | None = None,
    *,
    features: Features | None = None,
    start: Motion | None = None,
    report: Reporter | None = None,
) -> Registered:
    """The motion that takes `source` onto `target`, with the evidence for it.

    Parameters
    ----------
    source, target
        Clouds, or points `[N, 3]`, in one unit of length. Points that are not finite are left out.
    features
        What the method `pare-net` takes matches from; `auto` takes both it and histograms.
    start
        Where `icp` begins (the identity when absent); other methods try it as one motion among others.

    Raises
    ------
    InputError
        Fewer than 4 distinct finite points, all points on one line, a method without its features.
    """
    settings = settings or RegistrationSettings()
    run = _Run(_points(source, "source"), _points(target, "target"), settings, report or Silent())
    with run.timed("scale"):
        run.spacing = spacing(run.target)
        voxel = settings.voxel or automatic_voxel(run.source, run.target)
    if settings.method == "icp":
        view, found = _refined_start(run, voxel, start)
    else:
        view, found = _searched(run, voxel, _chosen_features(settings, features), start)
    return _finished(run, view, found)


def _points(cloud: Cloud, name: str) -> Tensor:
    array = np.asarray(getattr(cloud, "points", cloud), dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(f"the {name} has the shape {array.shape}; points are [N, 3]")
    points = torch.from_numpy(np.ascontiguousarray(array[np.isfinite(array).all(axis=1)]))
    distinct = len(torch.unique(points[:: max(1, len(points) // 1000)], dim=0)) if len(points) else 0
    if distinct < LEAST_POINTS:
        distinct = len(torch.unique(points, dim=0)) if len(points) else 0
    if distinct < LEAST_POINTS:
        raise InputError(f"the {name} has {distinct} distinct finite points; at least {LEAST_POINTS} are needed")
    centred = points - points.mean(0)
    variances = torch.linalg.eigvalsh(centred.T @ centred)
    if variances[1] <= LINE**2 * variances[2]:
        raise InputError(f"all points of the {name} lie on one line: a turn about it cannot be found")
    return points


def _chosen_features(settings: RegistrationSettings, given: Features | None) -> dict[str, Features]:
    """By the name of their method."""
    histograms: dict[str, Features] = {"fpfh": FpfhFeatures(settings.descriptor)}
    if settings.method == "fpfh":
        return histograms
    if settings.method == "ume" and given is None:
        return {"ume": UmeFeatures(settings.descriptor)}
    if settings.method == "auto":
        return histograms if given is None else {**histograms, getattr(given, "name", "pare-net"): given}
    if given is None:
        raise InputError(f"the method '{settings.method}' needs features", hint="Give a model, or use --method auto.")
    return {settings.method: given}


def _refined_start(run: _Run, voxel: float, start: Motion | None) -> tuple[View, list[Candidate]]:
    """Refinement alone."""
    with run.timed("thin"):
        view = View(run.source, run.target, voxel, threads=run.settings.threads)
    with run.timed("refine"):
        motion = refined(view, start or Motion.identity(), run.settings)
        contact = view.contact(motion)
    evidence = replace(gathered(motion, contact, None, view, run.spacing), hypotheses=1)
    return view, [Candidate(motion, contact, evidence, None, "icp", "")]


def _searched(
    run: _Run, voxel: float, features: dict[str, Features], start: Motion | None
) -> tuple[View, list[Candidate]]:
    """The best candidates of the first voxel with a reliable one, or of the voxel with the best."""
    best: tuple[View, list[Candidate]] | None = None
    for level in LEVELS if run.settings.voxel is None else (1.0,):
        with run.timed("thin"):
            view = View(run.source, run.target, level * voxel, threads=run.settings.threads)
        for method, kind in features.items():
            found = _found_by(run, view, method, kind, start)
            if found and (best is None or _rank(found) > _rank(best[1])):
                best = view, found
            best = best or (view, found)
        if best is not None and best[1] and not _doubted(best[1]):
            break
        run.report.message(f"no reliable motion at a voxel of {level * voxel:.4g}")
    assert best is not None
    return best


def _found_by(run: _Run, view: View, method: str, kind: Features, start: Motion | None) -> list[Candidate]:
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
                spacing=run.spacing,
                generator=generator,
                start=None if found else start,
            )
        found = distinct([*found, *more], view)
        if found and not _doubted(found):
            break
    return found


def _rank(found: list[Candidate]) -> tuple[bool, float]:
    return (bool(found) and not _doubted(found), found[0].evidence.support if found else 0.0)


def _doubted(found: list[Candidate]) -> tuple[str, ...]:
    """Doubts about the best of some candidates."""
    return doubts(_with_runner_up(found), by_matches=found[0].matches is not None)


def _with_runner_up(found: list[Candidate]) -> Evidence:
    """The evidence of the best with its strongest rival; motions that fit alike are no rivals."""
    own = found[0].evidence
    alike = {id(one.motion) for one in alternatives(found[0], found[1:])}
    rivals = [one.evidence.score for one in found[1:] if id(one.motion) not in alike]
    return replace(own, runner_up=max(rivals, default=0.0) / max(own.score, 1e-9))


def _finished(run: _Run, view: View, found: list[Candidate]) -> Registered:
    """The result of the best candidate."""
    flat = told_flat(run.source, run.target, view.voxel)
    if not found:
        return _nothing(run, view, flat)
    best, reasons = found[0], list(_doubted(found))
    with run.timed("ambiguities"):
        free, _ = free_directions(view, best)
        others = alternatives(best, found[1:])
    with run.timed("refine"):
        motion, covariance = finest(run.source, run.target, view, best.motion, run.settings)
    open_ways = tuple(told for told in (flat or told_free(free), told_alike(others)) if told)
    if flat or len(free):
        reasons.append(open_ways[0])
        covariance = torch.diag(torch.full((6,), float("inf"), dtype=torch.float64))
    evidence = replace(_with_runner_up(found), reasons=tuple(reasons) or grounds(best.evidence))
    matches = best.matches if best.matches is not None else _no_matches()
    return Registered(
        motion=motion,
        reliable=not reasons,
        evidence=evidence,
        covariance=covariance,
        matches=matches,
        inliers=inliers_of(motion, matches, evidence.threshold)[0],
        ambiguities=open_ways,
        alternatives=tuple(others),
        seconds=run.seconds,
        method=best.method,
        solver=best.solver,
        refinement=run.settings.refinement,
    )


def _nothing(run: _Run, view: View, flat: str | None) -> Registered:
    """The result where no solver found a motion."""
    motion, matches = Motion.identity(), _no_matches()
    reasons = ("no motion is common to at least four matches",) + ((flat,) if flat else ())
    evidence = replace(gathered(motion, view.contact(motion), matches, view, run.spacing), reasons=reasons)
    infinite = torch.diag(torch.full((6,), float("inf"), dtype=torch.float64))
    return Registered(
        motion=motion,
        reliable=False,
        evidence=evidence,
        covariance=infinite,
        matches=matches,
        inliers=torch.zeros(0, dtype=torch.bool),
        ambiguities=(flat,) if flat else (),
        alternatives=(),
        seconds=run.seconds,
        method=run.settings.method,
        solver="",
        refinement="none",
    )


def _no_matches() -> Matches:
    return Matches.of(torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, 3, dtype=torch.float64))
