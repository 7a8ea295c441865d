"""Why a motion between two clouds is believed, or is not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from eqcli.engine.registration_view import Contact, View
from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.hypotheses import inliers_of
from eqcli.models.pointcloud.matches import Matches

WITHIN = 2.0
"""Voxels within which the refined motion must bring a match that counts as an inlier."""

APART = 5.0
"""Voxels between inliers that count as different places: descriptors of nearer points see the same surface."""

LEAST_SUPPORT = 0.1
"""Share of the matches that start on the common surface and must end where the motion says, at the lower bound."""

BOUND = 2.0
"""Standard deviations of the lower bound (Wilson's): a share of few matches says little."""

LEAST_PLACES = 4
"""Different places at which matches agree with the motion."""

LEAST_AGREEMENT = 0.35
"""Share of the points near the other cloud that must lie on its surface."""

LEAST_OVERLAP = 0.05
"""Share of the less covered cloud that must lie on the surface of the other."""

DEVIATIONS = 5.0
"""Standard deviations by which inliers must exceed what random pairing of the same points gives."""

MOST_RUNNER_UP = 0.65
"""Score of the best different motion, as a share of the best, beyond which neither is believed."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for a motion. Lengths are in the unit of the target.

    Attributes
    ----------
    matches
        Matches of descriptors between the thinned clouds.
    inliers
        Those that the motion brings within the threshold.
    expected_by_chance
        Inliers on average if the same source and target points were paired at random.
    places
        Inliers that are at least 5 voxels apart from one another: independent places that agree.
    support
        Of the matches that start on the common surface, the share that are inliers.
    least_support
        Lower bound of that share at two standard deviations (Wilson's interval), given how many they are.
    overlap, target_overlap
        Share of the source (target) points that lie on the surface of the other cloud, normals agreeing.
    agreement
        Of the points of both clouds that come near the other, the share that lie on its surface.
    rmse
        Root mean square distance of the overlapping source points from the target's surface.
    spacing
        Median distance between neighbouring points of the target.
    voxel
        To which the clouds were thinned for all of this.
    threshold
        Of the inliers.
    runner_up
        Score of the best different motion (inliers times agreement times support) as a share of this one's.
    hypotheses
        Candidate motions that were scored.
    reasons
        Sentences: why it is believed, or why it is not.
    """

    matches: int
    inliers: int
    expected_by_chance: float
    places: int
    support: float
    least_support: float
    overlap: float
    target_overlap: float
    agreement: float
    rmse: float
    spacing: float
    voxel: float
    threshold: float
    runner_up: float = 0.0
    hypotheses: int = 0
    reasons: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """By which motions are compared: inliers, on surfaces that fit, where most other matches agree as well.

        The share of agreeing matches counts, since a symmetric surface may have more of itself in common with its
        mirror image than two scans of it have with one another.
        """
        return self.inliers * self.agreement * self.least_support


def gathered(motion: Motion, contact: Contact, matches: Matches | None, view: View, spacing: float) -> Evidence:
    """The evidence for one refined motion, without reasons."""
    threshold = WITHIN * view.voxel
    inliers, chance, places, support, bound = 0, 0.0, 0, 0.0, 0.0
    if matches is not None and len(matches):
        inside, _ = inliers_of(motion, matches, threshold)
        inliers = int(inside.sum())
        chance = paired_at_random(motion, matches, threshold)
        places = separate(matches.source[inside], APART * view.voxel)
        # The places of matches need not be points of this view.
        _, nearest = view.source.tree.query(matches.source.numpy())
        started = contact.source[torch.from_numpy(nearest)]
        agreed, asked = int((inside & started).sum()), int(started.sum())
        support, bound = agreed / max(1, asked), lower_bound(agreed, asked)
    source, target = contact.overlaps
    return Evidence(
        matches=0 if matches is None else len(matches),
        inliers=inliers,
        expected_by_chance=chance,
        places=places,
        support=support,
        least_support=bound,
        overlap=source,
        target_overlap=target,
        agreement=contact.agreement,
        rmse=contact.rmse,
        spacing=spacing,
        voxel=view.voxel,
        threshold=threshold,
    )


def paired_at_random(motion: Motion, matches: Matches, threshold: float) -> float:
    """Inliers on average over all pairings of the same source points with the same target points."""
    moved = cKDTree(motion.apply(matches.source).numpy())
    return float(moved.count_neighbors(cKDTree(matches.target.numpy()), threshold)) / len(matches)


def lower_bound(hits: int, trials: int, deviations: float = BOUND) -> float:
    """Wilson's lower bound of a share, J. Am. Stat. Assoc. 22, 209; 0 without trials."""
    if trials == 0:
        return 0.0
    share, square = hits / trials, deviations**2
    spread = deviations * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    return max(0.0, (share + square / (2 * trials) - spread) / (1 + square / trials))


def separate(points: Tensor, distance: float) -> int:
    """How many of `points [N, 3]` can be chosen, in their order, at least `distance` apart."""
    chosen = points.new_empty(0, 3)
    for point in points:
        if not bool(((chosen - point).norm(dim=1) < distance).any()):
            chosen = torch.cat([chosen, point[None]])
    return len(chosen)


def doubts(evidence: Evidence, *, by_matches: bool = True) -> tuple[str, ...]:
    """Why a motion is not believed, one sentence for each rule that it breaks; empty when it is.

    Without matches (`by_matches` false) the surfaces alone have to speak.
    """
    found = []
    if by_matches:
        found += _match_doubts(evidence)
    overlap = min(evidence.overlap, evidence.target_overlap)
    if overlap < LEAST_OVERLAP:
        found.append(f"only {overlap:.1%} of the surfaces lie on one another (at least {LEAST_OVERLAP:.0%})")
    if evidence.agreement < LEAST_AGREEMENT:
        found.append(
            f"of the points near the other cloud only {evidence.agreement:.0%} lie on its surface "
            f"(at least {LEAST_AGREEMENT:.0%}): the surfaces cross"
        )
    return tuple(found)


def hopeless(evidence: Evidence, *, by_matches: bool = True) -> bool:
    """Whether a motion is so far from being believed that no further refinement can make it so.

    Its surfaces cross, and no matches at several places hold against that: each figure is below half of what is
    asked, or not there at all. Refinement moves a motion by a voxel or so, within which a right one has far more.
    """
    crossing = evidence.agreement < LEAST_AGREEMENT / 2
    return crossing and not (
        by_matches and evidence.places >= LEAST_PLACES and evidence.least_support >= LEAST_SUPPORT / 2
    )


def _match_doubts(evidence: Evidence) -> list[str]:
    found = []
    needed = evidence.expected_by_chance + DEVIATIONS * math.sqrt(max(evidence.expected_by_chance, 1.0))
    if evidence.inliers < needed:
        found.append(
            f"{evidence.inliers} of {evidence.matches} matches agree with the motion, "
            f"{evidence.expected_by_chance:.1f} would by chance (at least {math.ceil(needed)} are needed)"
        )
    if evidence.places < LEAST_PLACES:
        found.append(f"matches agree at {evidence.places} separate places (at least {LEAST_PLACES})")
    if evidence.least_support < LEAST_SUPPORT:
        found.append(
            f"of the matches on the common surface only {evidence.support:.0%} agree with the motion, surely "
            f"{evidence.least_support:.0%} (at least {LEAST_SUPPORT:.0%})"
        )
    if evidence.runner_up > MOST_RUNNER_UP:
        found.append(f"a different motion has {evidence.runner_up:.0%} of the score of the best")
    return found


def grounds(evidence: Evidence) -> tuple[str, ...]:
    """Why a motion is believed, for people."""
    told = []
    if evidence.matches:
        told.append(
            f"{evidence.inliers} of {evidence.matches} matches agree at {evidence.places} separate places; "
            f"{evidence.expected_by_chance:.1f} would by chance"
        )
    told.append(
        f"{evidence.overlap:.0%} of the source lies on the target's surface, and {evidence.agreement:.0%} of all "
        "points near the other cloud lie on it"
    )
    return tuple(told)
