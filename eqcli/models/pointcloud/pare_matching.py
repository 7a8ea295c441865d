"""From features to matches: superpoints first, then the points of their patches; and the rotation of each match."""

from __future__ import annotations

import torch
from torch import Tensor

from eqcli.geometry.kabsch import optimal_rotation
from eqcli.graph.segments import segment_counts

FEWEST_SCORES = 1e-12


def superpoint_scores(first: Tensor, second: Tensor) -> Tensor:
    """How alike unit features `[n, C]` and `[m, C]` are, `[n, m]`: exp(-|f - g|^2), normalised along both sides."""
    alike = torch.exp(-(2.0 - 2.0 * first @ second.T).clamp(min=0.0))
    return (alike / alike.sum(1, keepdim=True)) * (alike / alike.sum(0, keepdim=True))


def best_pairs(scores: Tensor, count: int) -> Tensor:
    """The pairs with the highest scores, `[S, 2]`, best first; fewer where there are fewer."""
    flat = scores.flatten()
    chosen = flat.topk(min(count, len(flat))).indices
    return torch.stack([chosen // scores.shape[1], chosen % scores.shape[1]], dim=1)


def patches(points: Tensor, centres: Tensor, owner: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The points of each superpoint's patch: indices `[n, size]` and which of them are real.

    Parameters
    ----------
    points, centres
        `[N, 3]` and `[n, 3]`.
    owner
        `[N]`, the superpoint of each point.
    size
        Of larger patches the points nearest to the superpoint are kept.
    """
    distance = (points - centres[owner]).square().sum(1)
    order = distance.argsort(stable=True)
    order = order[owner[order].argsort(stable=True)]
    counts = segment_counts(owner, len(centres))
    rank = torch.arange(len(points), device=points.device) - (counts.cumsum(0) - counts)[owner[order]]
    size = min(size, int(counts.max()))
    kept = rank < size
    index = torch.zeros(len(centres), size, dtype=torch.long, device=points.device)
    real = torch.zeros(len(centres), size, dtype=torch.bool, device=points.device)
    index[owner[order][kept], rank[kept]] = order[kept]
    real[owner[order][kept], rank[kept]] = True
    return index, real


def patch_log_likelihood(
    first: Tensor,
    second: Tensor,
    first_real: Tensor,
    second_real: Tensor,
    first_open: Tensor,
    second_open: Tensor,
    hidden: Tensor | None = None,
) -> Tensor:
    """Log likelihood `[S, p, q]` that two points of a pair of patches match.

    The softmax over either side times the likelihoods that either point has a match at all.

    Parameters
    ----------
    first, second
        Features `[S, p, F]` and `[S, q, F]`.
    first_real, second_real
        Which entries are points, `[S, p]` and `[S, q]`.
    first_open, second_open
        Logits of having a match, `[S, p]` and `[S, q]`.
    hidden
        Pairs `[S, p, q]` that are left out, as if one of the points were none.
    """
    logits = first @ second.transpose(1, 2)
    both = first_real.unsqueeze(2) & second_real.unsqueeze(1)
    if hidden is not None:
        both = both & ~hidden
    logits = logits.masked_fill(~both, -1e9)
    open_ = torch.nn.functional.logsigmoid(first_open).unsqueeze(2) + torch.nn.functional.logsigmoid(
        second_open
    ).unsqueeze(1)
    return (logits.log_softmax(1) + logits.log_softmax(2) + open_).masked_fill(~both, -1e9)


def point_matches(
    likelihood: Tensor, first: Tensor, second: Tensor, candidates: int, least: float
) -> tuple[Tensor, Tensor]:
    """Matches of points from those within pairs of patches: `[M, 2]` and their likelihood, the highest first.

    A match is among the `candidates` best of either of its points. The same two points in several pairs of patches
    are one match, with the highest of its likelihoods.

    Parameters
    ----------
    likelihood
        `[S, p, q]`.
    first, second
        Indices of the points, `[S, p]` and `[S, q]`.
    least
        Matches below are dropped.
    """
    rows = likelihood >= _kth_largest(likelihood, candidates, 2)
    columns = likelihood >= _kth_largest(likelihood, candidates, 1)
    chosen = rows & columns & (likelihood > max(least, FEWEST_SCORES))
    s, i, j = chosen.nonzero(as_tuple=True)
    index = torch.stack([first[s, i], second[s, j]], dim=1)
    return unique_matches(index, likelihood[s, i, j], int(second.max()) + 1 if second.numel() else 1)


def cloud_matches(first: Tensor, second: Tensor, candidates: int, prior: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Matches of points of whole clouds, features `[n, F]` and `[m, F]`: `[M, 2]` and their likelihood, highest first.

    The likelihood is the product of the softmaxes over either cloud. A match is among the `candidates` best of both of
    its points.

    Parameters
    ----------
    prior
        `[n, m]`, positive; likelihoods are multiplied by its root before they are compared.
    """
    logits = first @ second.T
    likelihood = logits.log_softmax(1) + logits.log_softmax(0)
    if prior is not None:
        likelihood = likelihood + 0.5 * (prior + FEWEST_SCORES).log()
    among = (likelihood >= _kth_largest(likelihood, candidates, 1)) & (
        likelihood >= _kth_largest(likelihood, candidates, 0)
    )
    index = among.nonzero()
    return unique_matches(index, likelihood[among].exp(), len(second))


def unique_matches(index: Tensor, likelihood: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Matches `[M, 2]` without repetitions, with the highest of their likelihoods, the highest first.

    `count` is the number of points of the second cloud.
    """
    order = likelihood.argsort(descending=True, stable=True)
    unique, place = (index[order, 0] * count + index[order, 1]).unique(return_inverse=True)
    # The first of equal ones is the likeliest.
    where = torch.full((len(unique),), len(order), dtype=torch.long, device=index.device)
    where.scatter_reduce_(0, place, torch.arange(len(order), device=index.device), "amin")
    kept = order[where.sort().values]
    return index[kept], likelihood[kept]


def _kth_largest(values: Tensor, k: int, dim: int) -> Tensor:
    count = min(k, values.shape[dim])
    return values.topk(count, dim=dim).values.narrow(dim, count - 1, 1)


def match_rotations(first: Tensor, second: Tensor) -> Tensor:
    """The rotation that best turns the vectors `[M, 3, V]` of each match's source point to those of its target."""
    return optimal_rotation(second @ first.transpose(1, 2))[0]
