"""Candidate motions from matches, each refined and given its evidence, best first."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from eqcli.engine.registration_evidence import Evidence, gathered
from eqcli.engine.registration_settings import RegistrationSettings
from eqcli.engine.registration_view import Contact, View
from eqcli.errors import InputError
from eqcli.geometry.motions import Motion, rotation_error
from eqcli.models.pointcloud.hypotheses import different
from eqcli.models.pointcloud.matches import Matches
from eqcli.models.pointcloud.solving import SOLVERS, make_solver

FALLING = (4.0, 2.0, 1.0)
"""Distances of the refinement in voxels, one after the other."""

LEAST_INLIERS = 4
"""Below, what a solver found is not worth a refinement: three matches always fit."""

PEELED = 4
"""Motions that one solver is asked for: the inliers of each are taken away before the next."""


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
    """A motion that a solver found."""

    motion: Motion
    solver: str


def candidates(
    view: View,
    matches: Matches,
    method: str,
    settings: RegistrationSettings,
    *,
    spacing: float,
    generator: torch.Generator,
    start: Motion | None = None,
) -> list[Candidate]:
    """Motions that explain matches, different ones, best first; empty where the matches have none in common."""
    matches = matches.double()
    proposals, tried = proposed(matches, settings, settings.threshold * view.voxel, generator)
    if start is not None:
        proposals.insert(0, Proposal(start, "start"))
    found = []
    for proposal in proposals[: settings.hypotheses]:
        motion = refined(view, proposal.motion, settings)
        contact = view.contact(motion)
        evidence = replace(gathered(motion, contact, matches, view, spacing), hypotheses=tried)
        found.append(Candidate(motion, contact, evidence, matches, method, proposal.solver))
    return with_runner_up(distinct(found, view), view)


def refined(view: View, start: Motion, settings: RegistrationSettings) -> Motion:
    """The start moved so that the surfaces touch, unless nothing is to be refined."""
    if settings.refinement == "none" or not view.refinable:
        return start
    return view.refine(start, settings.refinement, FALLING).motion


def proposed(
    matches: Matches, settings: RegistrationSettings, threshold: float, generator: torch.Generator
) -> tuple[list[Proposal], int]:
    """Motions of the solvers, the best of each first, and how many hypotheses they scored."""
    lists, tried = [], 0
    for name in _solvers(matches, settings):
        motions, count = _peeled(matches, name, threshold, generator)
        lists.append([Proposal(motion, name) for motion in motions])
        tried += count
    longest = max((len(motions) for motions in lists), default=0)
    turns = [motions[rank] for rank in range(longest) for motions in lists if rank < len(motions)]
    kept: list[Proposal] = []
    for proposal in turns:
        if all(_differ(proposal.motion, other.motion, matches, threshold) for other in kept):
            kept.append(proposal)
    return kept, tried


def _solvers(matches: Matches, settings: RegistrationSettings) -> list[str]:
    if settings.solver is not None:
        return [settings.solver]
    names = ["clique", "ransac"] if matches.rotations is None else ["one-match", "clique"]
    return [name for name in names if name in SOLVERS]


def _peeled(matches: Matches, name: str, threshold: float, generator: torch.Generator) -> tuple[list[Motion], int]:
    """Motions of one solver, each from the matches that those before it do not explain."""
    solver = make_solver(name)
    motions, tried = [], 0
    for _ in range(PEELED):
        if len(matches) < LEAST_INLIERS:
            break
        try:
            solved = solver.solve(matches, threshold, generator)
        except InputError:
            # What is left lies on a line or is too little.
            if tried == 0 and name != "one-match" and len(matches) > LEAST_INLIERS:
                raise
            break
        tried += solved.hypotheses
        if int(solved.inliers.sum()) < LEAST_INLIERS:
            break
        motions.append(solved.motion)
        matches = matches.taken(~solved.inliers)
    return motions, tried


def distinct(found: list[Candidate], view: View) -> list[Candidate]:
    """Best first, without those that are the same motion as a better one."""
    kept: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: (-c.evidence.score, -c.evidence.overlap)):
        if all(apart(candidate.motion, other.motion, view) for other in kept):
            kept.append(candidate)
    return kept


def with_runner_up(found: list[Candidate], view: View) -> list[Candidate]:
    """The same with each score of the best different motion noted in the evidence."""
    scores = [candidate.evidence.score for candidate in found]
    noted = []
    for place, candidate in enumerate(found):
        rival = max((score for other, score in enumerate(scores) if other != place), default=0.0)
        own = max(candidate.evidence.score, 1e-9)
        noted.append(replace(candidate, evidence=replace(candidate.evidence, runner_up=rival / own)))
    return noted


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
