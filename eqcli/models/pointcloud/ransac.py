"""Random sample consensus: motions of three matches each, drawn until a better one is improbable.

Fischler and Bolles, Comm. ACM 24, 381 (1981). Triples whose triangles differ are dropped before they are scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eqcli.geometry.motions import Motion
from eqcli.models.pointcloud.hypotheses import Scores, joined, scored
from eqcli.models.pointcloud.matches import Matches, checked
from eqcli.models.pointcloud.solved import Solved, chosen, unsolved

DRAWN = 8192
"""Triples that are drawn at a time, at most."""

FIRST_DRAWN = 512
"""Triples of the first block; each block is twice the one before."""


@dataclass(frozen=True)
class Ransac:
    """Three matches at a time.

    Parameters
    ----------
    limit
        Motions that are scored at most.
    draws
        Triples that are drawn at most; most of them fall to the comparison of their edges, at little cost.
    edge_ratio
        The shorter of two edges that correspond must be this share of the longer one, or differ from it by less
        than two thresholds.
    confidence
        Stops as soon as a triple of inliers of the best motion has been drawn with this probability; 1 never stops.
    rounds
        Rounds of weighted Procrustes on the inliers of the best.
    """

    limit: int = 50_000
    draws: int = 2_000_000
    edge_ratio: float = 0.95
    confidence: float = 0.999
    rounds: int = 5

    def solve(self, matches: Matches, threshold: float, generator: torch.Generator) -> Solved:
        """As many hypotheses as were scored; raises InputError as :func:`checked` says."""
        matches = checked(matches, threshold)
        trusted = matches.taken(matches.weights > 0)
        motions: list[Motion] = []
        scores: list[Scores] = []
        count, drawn, needed, block = 0, 0, float(self.draws), FIRST_DRAWN
        while count < self.limit and drawn < needed:
            triples = drawn_triples(len(trusted), block, generator).to(matches.source.device)
            good = triples[_edges_agree(trusted, triples, self.edge_ratio, threshold)][: self.limit - count]
            drawn, block = drawn + block, min(2 * block, DRAWN)
            if len(good) == 0:
                continue
            motions.append(triangle_motions(trusted.source[good], trusted.target[good]))
            scores.append(scored(motions[-1], matches, threshold))
            count += len(good)
            share = int(scores[-1].count.max()) / len(matches)
            needed = min(needed, draws_needed(share, self.confidence))
        if not motions:
            return unsolved(matches)
        candidates, known = joined(motions, scores)
        return chosen(candidates, matches, threshold, rounds=self.rounds, scores=known)


def draws_needed(share: float, confidence: float) -> float:
    """Triples until one of inliers alone has been drawn with a confidence, if `share` of the matches are inliers."""
    hit = share**3
    if hit <= 0 or confidence >= 1:
        return math.inf
    return math.log(1 - confidence) / math.log1p(-hit) if hit < 1 else 1.0


def drawn_triples(count: int, n: int, generator: torch.Generator) -> Tensor:
    """`n` triples `[n, 3]` of three different numbers below `count`, all equally probable."""
    device = generator.device
    draws = torch.rand(n, 3, generator=generator, dtype=torch.float64, device=device)
    sizes = torch.tensor([count, count - 1, count - 2], dtype=torch.float64, device=device)
    first, second, third = (draws * sizes).long().unbind(1)
    second = second + (second >= first).long()
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    third = third + (third >= low).long()
    return torch.stack([first, second, third + (third >= high).long()], dim=1)


def triangle_motions(source: Tensor, target: Tensor) -> Motion:
    """Least squares motions of triangles `[H, 3, 3]` (corner, coordinate) onto one another, in closed form.

    The planes are laid on one another and the turn within them is one arc tangent (Horn, J. Opt. Soc. Am. A 4,
    629, for coplanar points); the same as Kabsch's wherever the triangles agree better than their mirror images.
    """
    middle_source, middle_target = source.mean(1), target.mean(1)
    x, y = source - middle_source.unsqueeze(1), target - middle_target.unsqueeze(1)
    frame_source, frame_target = _triangle_frames(x), _triangle_frames(y)
    flat_x, flat_y = x @ frame_source[..., :2], y @ frame_target[..., :2]
    along = (flat_x * flat_y).sum((1, 2))
    across = (flat_x[..., 0] * flat_y[..., 1] - flat_x[..., 1] * flat_y[..., 0]).sum(1)
    angle = torch.atan2(across, along)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    turn = torch.stack([angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero, zero, zero, one], dim=1)
    rotation = frame_target @ turn.unflatten(1, (3, 3)) @ frame_source.transpose(1, 2)
    return Motion(rotation, middle_target - (rotation @ middle_source.unsqueeze(-1)).squeeze(-1))


def _triangle_frames(corners: Tensor) -> Tensor:
    """Right-handed axes `[H, 3, 3]` in columns: the first edge, across it in the plane, the normal."""
    edge = torch.nn.functional.normalize(corners[:, 1] - corners[:, 0], dim=-1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(edge, corners[:, 2] - corners[:, 0]), dim=-1)
    return torch.stack([edge, torch.linalg.cross(normal, edge), normal], dim=-1)


def _edges_agree(matches: Matches, triples: Tensor, ratio: float, threshold: float) -> Tensor:
    """Which triples, `[n]`, have triangles of like edges and of some height in both clouds."""
    x, y = matches.source[triples], matches.target[triples]
    lengths = [torch.linalg.vector_norm(p - p.roll(1, dims=1), dim=-1) for p in (x, y)]
    short, long = torch.minimum(*lengths), torch.maximum(*lengths)
    alike = (short >= ratio * long) | (long - short < 2 * threshold)
    areas = [torch.linalg.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]).norm(dim=-1) for p in (x, y)]
    flat = torch.minimum(*areas) <= 1e-3 * long.amax(1).square()
    return alike.all(1) & ~flat
