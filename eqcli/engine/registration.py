"""Registration of two clouds of points: matches, several motions, refinement, and the evidence that decides.

Clouds are thinned, described and matched at one voxel; the solvers' motions are refined there and compared by
what they explain: matches that agree and surfaces that touch. The best is refined on denser clouds. Where the
first voxel gives no reliable motion a coarser and a finer one are tried.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from eqcli.engine.registration_ambiguity import alternatives, free_directions, told_alike, told_flat, told_free
from eqcli.engine.registration_candidates import Candidate
from eqcli.engine.registration_evidence import Evidence, doubts, gathered, grounds, hopeless
from eqcli.engine.registration_features import Features, FpfhFeatures
from eqcli.engine.registration_fine import finest, undetermined
from eqcli.engine.registration_input import Cloud, points_of
from eqcli.engine.registration_result import Registered, no_matches
from eqcli.engine.registration_search import Run, features_of, refined_start, searched, with_runner_up
from eqcli.engine.registration_settings import RegistrationSettings
from eqcli.engine.registration_view import View
from eqcli.geometry.motions import Motion
from eqcli.graph.points.spacing import automatic_voxel, spacing
from eqcli.models.pointcloud.hypotheses import inliers_of
from eqcli.progress import Reporter, Silent

__all__ = ["Evidence", "Features", "FpfhFeatures", "Registered", "RegistrationSettings", "register_clouds"]

COVERING = 0.5
"""Share of both clouds that must touch for their surfaces alone to say what is free."""


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
    first, second = points_of(source, "source"), points_of(target, "target")
    run = Run(first, second, settings, report or Silent(), (spacing(first), spacing(second)))
    with run.timed("scale"):
        voxel = settings.voxel or automatic_voxel(first, second)
    if settings.method == "icp":
        view, found = refined_start(run, voxel, start)
    else:
        view, found = searched(run, voxel, features_of(settings, features), start)
    flat = told_flat(first, second, view.voxel)
    return _finished(run, view, found, flat) if found else _nothing(run, view, flat)


def _finished(run: Run, view: View, found: list[Candidate], flat: str | None) -> Registered:
    """The result of the best candidate."""
    best = found[0]
    by_matches = best.matches is not None
    motion, covariance = best.motion, undetermined()
    if not hopeless(best.evidence, by_matches=by_matches):
        with run.timed("refine"):
            motion, covariance = finest(run.source, run.target, view, best.motion, run.settings)
    evidence = _of_the_last(run, view, found, motion)
    reasons = list(doubts(evidence, by_matches=by_matches))
    with run.timed("ambiguities"):
        # Each of many motions that fit alike has but a share of the matches, and none is believed.
        telling = not reasons or _covering(evidence)
        free = told_free(free_directions(view, best)) if telling else None
        others = alternatives(best, found[1:]) if telling and not (reasons and free) else []
    open_ways = tuple(told for told in (flat or free, told_alike(others)) if told)
    if flat or free:
        reasons.append(open_ways[0])
        covariance = undetermined()
    evidence = replace(evidence, reasons=tuple(reasons) or grounds(evidence))
    matches = best.matches if best.matches is not None else no_matches()
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


def _of_the_last(run: Run, view: View, found: list[Candidate], motion: Motion) -> Evidence:
    """The evidence for the motion that is given back, which the last refinement has changed a little."""
    evidence = gathered(motion, view.contact(motion), found[0].matches, view, run.spacings[1])
    known = with_runner_up(found)
    return replace(evidence, runner_up=known.runner_up, hypotheses=known.hypotheses)


def _covering(evidence: Evidence) -> bool:
    return min(evidence.overlap, evidence.target_overlap) >= COVERING


def _nothing(run: Run, view: View, flat: str | None) -> Registered:
    """The result where no solver found a motion."""
    motion, matches = Motion.identity(), no_matches()
    reasons = ("no motion is common to at least four matches",) + ((flat,) if flat else ())
    evidence = replace(gathered(motion, view.contact(motion), matches, view, run.spacings[1]), reasons=reasons)
    return Registered(
        motion=motion,
        reliable=False,
        evidence=evidence,
        covariance=undetermined(),
        matches=matches,
        inliers=torch.zeros(0, dtype=torch.bool),
        ambiguities=(flat,) if flat else (),
        alternatives=(),
        seconds=run.seconds,
        method=run.settings.method,
        solver="",
        refinement="none",
    )
