"""What every solver gives back, and how it is made from scored hypotheses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.covariance import motion_covariance
from eqcli.models.pointcloud.hypotheses import Scores, different, inliers_of, polished, scored
from eqcli.models.pointcloud.matches import Matches

POLISHED = 8
"""Best hypotheses that are refined before the best of them is chosen."""

RIVALS = 4
"""Hypotheses that are refined to find the best different motion."""


@dataclass(frozen=True)
class Solved:
    """A motion with the reasons to believe it.

    Attributes
    ----------
    motion
        float64.
    inliers
        `[M]` bool: the matches that the motion brings within the threshold.
    covariance
        `[6, 6]` of the perturbation (translation, rotation vector) on the left of the motion, in the target frame;
        units^2 and rad^2; infinite on its diagonal where the inliers do not determine the motion.
    hypotheses
        How many candidate motions were scored against all matches.
    rmse
        Root of the weighted mean square residual of the inliers; 0 without any.
    runner_up
        Weight of the inliers of the best *different* motion among the hypotheses (more than 15 degrees away, or the
        middle of the inliers more than 10 thresholds away) over that of the motion; 0 where there was none.
    """

    motion: Motion
    inliers: Tensor
    covariance: Tensor
    hypotheses: int
    rmse: float
    runner_up: float


class Solver(Protocol):
    """Matches in, motion out.

    Raises
    ------
    InputError
        As :func:`eqcli.models.pointcloud.matches.checked` says. Matches without any common motion are no error:
        few of them are inliers then.
    """

    def solve(self, matches: Matches, threshold: float, generator: torch.Generator) -> Solved: ...


def chosen(
    candidates: Motion, matches: Matches, threshold: float, *, rounds: int = 5, scores: Scores | None = None
) -> Solved:
    """The best of a batch of candidate motions, polished on its inliers; `matches` as :func:`checked` gives them.

    `scores` are those of the candidates where they are known already. Without any candidate the motion is the
    identity with no inliers.
    """
    scores = scored(candidates, matches, threshold) if scores is None else scores
    if len(scores.soft) == 0:
        return unsolved(matches)
    best, best_soft = candidates.at(0), -1.0
    for index in torch.topk(scores.soft, min(POLISHED, len(scores.soft))).indices.tolist():
        motion = polished(candidates.at(index), matches, threshold, rounds=rounds)
        soft = float(scored(_batch(motion), matches, threshold).soft[0])
        if soft > best_soft:
            best, best_soft = motion, soft
    rival = _runner_up(candidates, scores.weight, best, matches, threshold)
    return assembled(best, matches, threshold, hypotheses=len(scores.soft), rival=rival)


def assembled(motion: Motion, matches: Matches, threshold: float, *, hypotheses: int, rival: float = 0.0) -> Solved:
    """The result for a motion; `rival` is the inlier weight of the best different motion."""
    inside, square = inliers_of(motion, matches, threshold)
    weights = matches.weights * inside
    total = float(weights.sum())
    rmse = float(((weights @ square) / total).sqrt()) if total > 0 else 0.0
    covariance = motion_covariance(motion, matches, inside)
    return Solved(motion, inside, covariance, hypotheses, rmse, min(1.0, rival / total) if total > 0 else 0.0)


def unsolved(matches: Matches, *, hypotheses: int = 0) -> Solved:
    """The result where no candidate motion was found: the identity, without inliers."""
    device = matches.source.device
    none = torch.zeros(len(matches), dtype=torch.bool, device=device)
    motion = Motion.identity(device=device)
    return Solved(motion, none, motion_covariance(motion, matches, none), hypotheses, 0.0, 0.0)


def _runner_up(candidates: Motion, weight: Tensor, best: Motion, matches: Matches, threshold: float) -> float:
    """Inlier weight of the best different motion; a few are polished, since `best` was polished too."""
    inside, _ = inliers_of(best, matches, threshold)
    centre = matches.source[inside].mean(0) if bool(inside.any()) else matches.source.mean(0)
    others = different(candidates, best, centre, threshold)
    if not bool(others.any()):
        return 0.0
    ranked = torch.where(others, weight, torch.full_like(weight, -1.0))
    top = torch.topk(ranked, min(RIVALS, int(others.sum())))
    found = float(top.values[0])
    for index in top.indices.tolist():
        motion = polished(candidates.at(index), matches, threshold, rounds=2)
        if bool(different(_batch(motion), best, centre, threshold)[0]):
            found = max(found, float(scored(_batch(motion), matches, threshold).weight[0]))
    return found


def _batch(motion: Motion) -> Motion:
    return Motion(motion.rotation[None], motion.translation[None])
