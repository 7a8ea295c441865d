"""Candidate motions from matches, each refined and given its evidence, best first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from eqcli.engine.kiss_peer import any_solver
from eqcli.engine.registration_evidence import Evidence, gathered, hopeless
from eqcli.engine.registration_settings import RegistrationSettings
from eqcli.engine.registration_view import Contact, View
from eqcli.errors import InputError
from eqcli.geometry.motions import Motion, rotation_error
from eqcli.models.pointcloud.hypotheses import different
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.one_match import OneMatch

FALLING = (4.0, 2.0, 1.0)
"""Distances of the refinement in voxels, one after the other."""

LEAST_INLIERS = 4
"""Below, what a solver found is not worth a refinement: three matches always fit."""

LEAST_SHARE = 0.1
"""Of the inliers of the best proposal, what another one needs to be refined."""

PEELED = 4
"""Motions that one solver is asked for: the inliers of each are taken away before the next."""

SEVERAL = 40
"""Motions of single matches that are refined and verified: at low overlap the right one is seldom the first."""

CLOSER = 3
"""Motions that are refined through all distances; the others through the first alone."""

ROUGH = 12
"""Steps at that first distance: a motion that needs more is none."""

SETTINGS: dict[str, dict[str, Any]] = {"ransac": {"limit": 10_000, "draws": 200_000}}
"""Of solvers, where they stand beside another one and need not be thorough."""


@dataclass(frozen=True)
class Candidate:
    """A refined motion with what speaks for it."""

    motion: Motion
    contact: Contact
    evidence: Evidence
    matches: Matches | None
    method: str
    solver: str


@dataclass(frozen=True)
class Proposal:
    """A motion that a solver found, and how many matches agree."""

    motion: Motion
    inliers: int
    solver: str


def candidates(
    view: View,
    matches: Matches,
    method: str,
    solver: str,
    settings: RegistrationSettings,
    *,
    threshold: float,
    spacing: float,
    generator: torch.Generator,
    start: Motion | None = None,
) -> list[Candidate]:
    """Motions that explain matches, different ones, best first; empty where the matches have none in common.

    `threshold` is that of the solver, in voxels. Points may have several matches; the evidence asks the best of each.
    """
    witnesses = matches.mutual()
    proposals, tried = proposed(matches, solver, settings, threshold * view.voxel, generator)
    proposals = proposals[: settings.hypotheses if matches.rotations is None else SEVERAL]
    if start is not None:
        proposals.insert(0, Proposal(start, 0, "start"))

    def judged(motion: Motion, solver: str) -> Candidate:
        contact = view.contact(motion)
        evidence = replace(gathered(motion, contact, witnesses, view, spacing), hypotheses=tried)
        return Candidate(motion, contact, evidence, matches, method, solver)

    if settings.refinement == "none" or not view.refinable:
        return distinct([judged(one.motion, one.solver) for one in proposals], view)
    rough = []
    for proposal in proposals:
        near = view.refine(proposal.motion, settings.refinement, FALLING[:1], iterations=ROUGH)
        rough.append(judged(near.motion, proposal.solver))
    rough = distinct(rough, view)
    for place, one in enumerate(rough[:CLOSER]):
        if hopeless(one.evidence):
            continue
        closer = judged(view.refine(one.motion, settings.refinement, FALLING[1:]).motion, one.solver)
        # Closer distances leave out parts of the overlap that would hold the motion in place.
        rough[place] = closer if closer.evidence.score >= one.evidence.score else one
    return distinct(rough, view)


def refined(view: View, start: Motion, settings: RegistrationSettings) -> Motion:
    """The start moved so that the surfaces touch, unless nothing is to be refined."""
    if settings.refinement == "none" or not view.refinable:
        return start
    return view.refine(start, settings.refinement, FALLING).motion


def proposed(
    matches: Matches, solver: str, settings: RegistrationSettings, threshold: float, generator: torch.Generator
) -> tuple[list[Proposal], int]:
    """Different motions of a solver, the best first, and how many hypotheses it scored."""
    found, tried = _peeled(matches, solver, {} if settings.solver else SETTINGS.get(solver, {}), threshold, generator)
    found.sort(key=lambda one: -one.inliers)
    kept: list[Proposal] = []
    for one in found:
        strong = one.inliers >= LEAST_SHARE * found[0].inliers
        if strong and all(_differ(one.motion, other.motion, matches, threshold) for other in kept):
            kept.append(one)
    return kept, tried


def solvers_for(matches: Matches, settings: RegistrationSettings) -> list[str]:
    """The solvers in turn: the next one is asked where the motion of the one before is not believed."""
    if settings.solver is not None:
        return [settings.solver]
    return ["clique", "ransac"] if matches.rotations is None else ["one-match", "clique"]


def _peeled(
    matches: Matches, name: str, settings: dict[str, Any], threshold: float, generator: torch.Generator
) -> tuple[list[Proposal], int]:
    """Motions of one solver, each from the matches that those before it do not explain."""
    solver = any_solver(name, **settings)
    if isinstance(solver, OneMatch) and matches.rotations is not None and len(matches) > LEAST_INLIERS:
        several, tried = solver.several(matches, threshold, SEVERAL)
        return [Proposal(motion, count, name) for motion, count in several if count >= LEAST_INLIERS], tried
    found: list[Proposal] = []
    tried = 0
    while len(found) < PEELED and len(matches) > LEAST_INLIERS:
        try:
            solved = solver.solve(matches, threshold, generator)
        except InputError:
            # Nothing but matches on a line, which determine no motion.
            if name == "one-match" and matches.rotations is None:
                raise
            break
        tried += solved.hypotheses
        count = int(solved.inliers.sum())
        if count < LEAST_INLIERS:
            break
        found.append(Proposal(solved.motion, count, name))
        matches = matches.taken(~solved.inliers)
    return found, tried


def distinct(found: list[Candidate], view: View) -> list[Candidate]:
    """Best first, without those that are the same motion as a better one."""
    kept: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: (-c.evidence.score, -c.evidence.overlap)):
        if all(apart(candidate.motion, other.motion, view) for other in kept):
            kept.append(candidate)
    return kept


def apart(first: Motion, second: Motion, view: View) -> bool:
    """Whether two refined motions lay the source differently: by 5 degrees, or its middle by 4 voxels."""
    centre = view.source.points.mean(0)
    angle = _angle(first, second)
    return angle > 5.0 or float((first.apply(centre[None]) - second.apply(centre[None])).norm()) > 4.0 * view.voxel


def _angle(first: Motion, second: Motion) -> float:
    return float(rotation_error(first.rotation, second.rotation))


def _differ(first: Motion, second: Motion, matches: Matches, threshold: float) -> bool:
    batch = Motion(first.rotation[None], first.translation[None])
    return bool(different(batch, second, matches.source.mean(0), threshold)[0])
