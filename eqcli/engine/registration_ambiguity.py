"""What the surfaces leave open: free directions, and other motions that fit alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.engine.registration_candidates import Candidate
from eqcli.engine.registration_view import View
from eqcli.geometry.motions import Motion, rotation_error

WEAK = 0.05
"""Share of the mean eigenvalue of the information below which a direction is put to the test."""

SLIDE = 3.0
"""Voxels by which the surface is slid along a weak direction."""

KEPT = 0.9
"""Share of the touching points that must stay for the direction to be free."""

ALIKE_SURFACE = 0.9
"""Of the overlap and the agreement of the best motion, what another one that fits alike reaches."""

ALIKE_SCORE = 0.3
"""Of the score of the best motion, the same."""

FLAT = 0.5
"""Voxels of thickness (root mean square) below which a whole cloud is flat."""


@dataclass(frozen=True)
class Alternative:
    """Another motion that fits alike; `turn` is its angle to the best one in degrees."""

    motion: Motion
    turn: float


def free_directions(view: View, candidate: Candidate) -> Tensor:
    """Twists `[F, 6]` about the middle of the contact along which the surfaces slide.

    A twist is (translation, rotation times the radius of the contact). Weak directions of the point-to-plane
    information are tried: the source is slid along each to both sides, and if it touches as before the direction
    is free.
    """
    touching = candidate.contact.source
    moved = candidate.motion.apply(view.source.points)[touching]
    normal = candidate.motion.turn(view.source.normals)[touching]
    if len(moved) < 6:
        return torch.zeros(0, 6, dtype=torch.float64)
    centre = moved.mean(0)
    arm = moved - centre
    radius = float(arm.square().sum(1).mean().sqrt())
    rows = torch.cat([normal, torch.linalg.cross(arm, normal) / radius], dim=1)
    values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    weak = vectors.T[values < WEAK * values.mean()]
    free = [twist for twist in weak if _slides(view, candidate, twist, centre, radius)]
    return torch.stack(free) if free else torch.zeros(0, 6, dtype=torch.float64)


def _slides(view: View, candidate: Candidate, twist: Tensor, centre: Tensor, radius: float) -> bool:
    """Whether the surfaces touch as before once the source is slid along a twist, to both sides."""
    before = int(candidate.contact.source.sum() + candidate.contact.target.sum())
    for side in (-1.0, 1.0):
        moved = view.contact(slid(candidate.motion, side * SLIDE * view.voxel * twist, centre, radius))
        if int(moved.source.sum() + moved.target.sum()) < KEPT * before:
            return False
    return True


def slid(motion: Motion, twist: Tensor, centre: Tensor, radius: float) -> Motion:
    """A motion followed by a small one about `centre`; the rotation of the twist is a length at `radius`."""
    step = Motion.exp(torch.cat([torch.zeros(3, dtype=torch.float64), twist[3:] / radius]))
    about = Motion(step.rotation, centre + twist[:3] - step.rotation @ centre)
    return motion.then(about)


def told_free(free: Tensor) -> str | None:
    """Free directions in words."""
    if len(free) == 0:
        return None
    turns = int(torch.linalg.matrix_rank(free[:, 3:], atol=0.5))
    shifts = len(free) - turns
    words = " and ".join(_counted(n, word) for n, word in ((shifts, "translation"), (turns, "turn")) if n)
    shape = {(2, 1): "planar", (1, 1): "cylindrical", (0, 3): "spherical", (0, 1): "round", (1, 0): "drawn out"}
    name = shape.get((shifts, turns), "smooth")
    return f"{name}: {words} {'is' if len(free) == 1 else 'are'} free"


def _counted(number: int, word: str) -> str:
    return f"{('one', 'two', 'three', 'four', 'five', 'six')[number - 1]} {word}{'s' if number > 1 else ''}"


def alternatives(best: Candidate, others: list[Candidate]) -> list[Alternative]:
    """Those of the other candidates whose surfaces and matches fit like those of the best one."""
    found = []
    for other in others:
        mine, its = best.evidence, other.evidence
        surface = its.overlap >= ALIKE_SURFACE * mine.overlap and its.agreement >= ALIKE_SURFACE * mine.agreement
        if surface and its.score >= ALIKE_SCORE * mine.score:
            found.append(Alternative(other.motion, float(rotation_error(best.motion.rotation, other.motion.rotation))))
    return found


def told_alike(found: list[Alternative]) -> str | None:
    """Other motions that fit alike in words."""
    if not found:
        return None
    turns = ", ".join(f"{one.turn:.1f}" for one in found)
    return f"symmetric: at least {len(found) + 1} motions fit alike; the others differ by turns of {turns} degrees"


def told_flat(source: Tensor, target: Tensor, voxel: float) -> str | None:
    """What is free between clouds one of which is flat as a whole."""
    flat = [name for name, points in (("source", source), ("target", target)) if thickness(points) < FLAT * voxel]
    if not flat:
        return None
    lie = f"{' and the '.join(flat)} {'lies' if len(flat) == 1 else 'lie'}"
    return f"planar: the {lie} in a plane, along which two translations and one turn are free"


def thickness(points: Tensor) -> float:
    """Root mean square distance from the best plane."""
    centred = points - points.mean(0)
    return float(torch.linalg.eigvalsh(centred.T @ centred / len(points))[0].clamp(min=0).sqrt())
