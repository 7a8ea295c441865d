"""Candidate motions, scored against all matches at once.

The square of a residual, |R x + t - y|^2, is linear in 17 products of the coordinates, so that all residuals of
many motions are one matrix product; in float64 about the middles of both clouds its rounding is far below any
threshold in use (extent^2 times 1e-15).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.geometry.kabsch import align, optimal_rotation
from eqcli.geometry.motions import Motion, rotation_error
from eqcli.models.pointcloud.matches import Matches

BLOCK = 4_000_000
"""Residuals that are held at a time."""

DETERMINED = 1.5e-8
"""Smallest sum of two singular values over the largest with which matches fix a rotation."""

DIFFERENT_ANGLE = 15.0
"""Degrees beyond which two motions are different ones."""

DIFFERENT_SHIFT = 10.0
"""Thresholds beyond which the middle of the inliers lies elsewhere."""


@dataclass(frozen=True)
class Scores:
    """How well motions explain matches, `[H]` each.

    Attributes
    ----------
    soft
        Sum of weight (1 - r^2 / threshold^2) over the inliers: what hypotheses are chosen by.
    weight
        Sum of the weights of the inliers.
    count
        Number of inliers.
    """

    soft: Tensor
    weight: Tensor
    count: Tensor


def joined(motions: list[Motion], scores: list[Scores]) -> tuple[Motion, Scores]:
    """Batches of motions and their scores as one."""
    motion = Motion(torch.cat([m.rotation for m in motions]), torch.cat([m.translation for m in motions]))
    soft, weight = torch.cat([s.soft for s in scores]), torch.cat([s.weight for s in scores])
    return motion, Scores(soft, weight, torch.cat([s.count for s in scores]))


def squared_residuals(motions: Motion, matches: Matches) -> Tensor:
    """|R x + t - y|^2, `[H, M]`, of a batch of motions."""
    middle_source, middle_target = matches.source.mean(0), matches.target.mean(0)
    x, y = matches.source - middle_source, matches.target - middle_target
    turn = motions.rotation
    shift = motions.translation + turn @ middle_source - middle_target
    products = (y.unsqueeze(2) * x.unsqueeze(1)).flatten(1)
    own = (x.square().sum(1) + y.square().sum(1)).unsqueeze(1)
    terms = torch.cat([products, x, y, own, torch.ones_like(own)], dim=1)
    back = (shift.unsqueeze(1) @ turn).squeeze(1)
    one = torch.ones_like(shift[:, :1])
    size = shift.square().sum(1, keepdim=True)
    factors = torch.cat([-2 * turn.flatten(1), 2 * back, -2 * shift, one, size], dim=1)
    return (factors @ terms.T).clamp_(min=0)


def scored(motions: Motion, matches: Matches, threshold: float) -> Scores:
    """Scores of a batch of motions against all matches, in blocks of bounded memory."""
    step = max(1, BLOCK // max(1, len(matches)))
    parts = []
    for first in range(0, len(motions.translation), step):
        block = Motion(motions.rotation[first : first + step], motions.translation[first : first + step])
        closeness = 1 - squared_residuals(block, matches) / threshold**2
        inside = (closeness >= 0).to(closeness)
        soft = closeness.clamp_(min=0) @ matches.weights
        both = inside @ torch.stack([matches.weights, torch.ones_like(matches.weights)], dim=1)
        parts.append(torch.cat([soft.unsqueeze(1), both], dim=1))
    empty = matches.weights.new_zeros(0, 3)
    soft, weight, count = torch.cat([empty, *parts]).unbind(1)
    return Scores(soft, weight, count.long())


def inliers_of(motion: Motion, matches: Matches, threshold: float) -> tuple[Tensor, Tensor]:
    """Which matches a motion brings within the threshold, `[M]`, and their squared residuals, `[M]`."""
    square = (motion.apply(matches.source) - matches.target).square().sum(-1)
    return square <= threshold**2, square


def fitted(matches: Matches, weights: Tensor) -> Motion | None:
    """Weighted least squares motion (Kabsch); None where the matches of a positive weight do not determine it."""
    found = align(matches.source[None], matches.target[None], weights=weights[None])
    if int((weights > 0).sum()) < 3 or bool(found.undetermined[0]):
        return None
    return Motion(found.rotation[0], found.translation[0])


def polished(motion: Motion, matches: Matches, threshold: float, *, rounds: int = 5) -> Motion:
    """The motion after rounds of weighted least squares on its own inliers; never a worse one.

    A motion whose inliers are fewer than three, or lie on a line, stays as it is.
    """
    best, best_score = motion, _soft(motion, matches, threshold)
    before = torch.empty(0, dtype=torch.bool, device=matches.source.device)
    for _ in range(rounds):
        inside, _ = inliers_of(motion, matches, threshold)
        if torch.equal(inside, before):
            break
        before = inside
        found = fitted(matches, matches.weights * inside)
        if found is None:
            break
        motion, score = found, _soft(found, matches, threshold)
        if score > best_score:
            best, best_score = motion, score
    return best


def polished_together(motions: Motion, matches: Matches, thresholds: Sequence[float]) -> Motion:
    """Many motions `[H]`, each after one weighted least squares on its own inliers for each of the thresholds.

    A match counts the less the farther off it is. Unlike :func:`polished` a motion may become a worse one; one that
    no match determines stays as it is.
    """
    step = max(1, BLOCK // max(1, len(matches)))
    places = torch.arange(len(motions.translation), device=matches.source.device).split(step)
    parts = [motions.at(block) for block in places]
    for number, part in enumerate(parts):
        for threshold in thresholds:
            part = _fitted_together(part, matches, threshold)
        parts[number] = part
    if not parts:
        return motions
    return Motion(torch.cat([part.rotation for part in parts]), torch.cat([part.translation for part in parts]))


def _fitted_together(motions: Motion, matches: Matches, threshold: float) -> Motion:
    middles = matches.source.mean(0), matches.target.mean(0)
    x, y = matches.source - middles[0], matches.target - middles[1]
    weights = (1 - squared_residuals(motions, matches) / threshold**2).clamp_(min=0) * matches.weights
    total = weights.sum(1, keepdim=True)
    safe = torch.where(total > 0, total, torch.ones_like(total))
    mean_x, mean_y = (weights @ x) / safe, (weights @ y) / safe
    products = (weights @ (y.unsqueeze(2) * x.unsqueeze(1)).flatten(1)).unflatten(1, (3, 3)) / safe.unsqueeze(2)
    turn, gap = optimal_rotation(products - mean_y.unsqueeze(2) * mean_x.unsqueeze(1))
    shift = middles[1] + mean_y - (turn @ (middles[0] + mean_x).unsqueeze(2)).squeeze(2)
    kept = ((gap > DETERMINED) & ((weights > 0).sum(1) >= 3)).unsqueeze(1)
    return Motion(torch.where(kept.unsqueeze(2), turn, motions.rotation), torch.where(kept, shift, motions.translation))


def apart_from_another(motions: Motion, order: Tensor, centre: Tensor, threshold: float, count: int) -> list[int]:
    """Places of at most `count` motions in their order, each a :func:`different` one from all those before it."""
    kept: list[int] = []
    open_ = torch.ones(len(order), dtype=torch.bool, device=order.device)
    for place in order.tolist():
        if len(kept) == count:
            break
        if not open_[place]:
            continue
        kept.append(place)
        open_ &= different(motions, motions.at(place), centre, threshold)
    return kept


def different(motions: Motion, best: Motion, centre: Tensor, threshold: float) -> Tensor:
    """Which motions of a batch, `[H]`, are another solution than `best`, and not the same one less well.

    More than 15 degrees away, or with the point `centre` of the source more than 10 thresholds away.
    """
    angle = rotation_error(motions.rotation, best.rotation.expand_as(motions.rotation))
    place = motions.apply(centre.expand(len(angle), 1, 3)).squeeze(1)
    shift = torch.linalg.vector_norm(place - best.apply(centre[None]), dim=-1)
    return (angle > DIFFERENT_ANGLE) | (shift > DIFFERENT_SHIFT * threshold)


def _soft(motion: Motion, matches: Matches, threshold: float) -> float:
    inside, square = inliers_of(motion, matches, threshold)
    return float((matches.weights * inside * (1 - square / threshold**2)).sum())
