"""Matches between two clouds from descriptors of their points."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from eqcli.errors import InputError
from eqcli.graph.points.checks import require_count

MEASURES = ("euclidean", "cosine", "hellinger")

BLOCK = 2**24
"""Distances held at a time."""


def candidates(source: Tensor, target: Tensor, k: int, *, measure: str = "euclidean") -> tuple[Tensor, Tensor]:
    """The k target descriptors nearest to each source descriptor, nearest first.

    Exact, all distances in blocks: trees do not help in tens of dimensions.

    Parameters
    ----------
    source, target
        `[N, C]`, `[M, C]`, same device. A row of zeros describes nothing and is never a candidate.
    k
        Cut to M.
    measure
        `euclidean`; `cosine`: the distance between the unit vectors; `hellinger`: that between the square roots,
        for histograms, where it keeps full bins from deciding alone.

    Returns
    -------
    distance
        `[N, k]`; inf where there is no candidate.
    index
        `[N, k]` int64, rows of the target.

    Raises
    ------
    InputError
        No descriptors, numbers that are not finite, different widths, an unknown measure, k below 1.
    """
    _require_descriptors(source, target, measure)
    require_count(k, "the number of candidates")
    there, here = target.square().sum(1) > 0, source.square().sum(1) > 0
    source, target = _measured(source, measure), _measured(target, measure)
    k = min(k, len(target))
    distance = source.new_empty(len(source), k)
    index = torch.empty(len(source), k, dtype=torch.int64, device=source.device)
    rows = max(1, BLOCK // len(target))
    # The product form of the distance needs vectors about their common mean.
    mean = target.mean(0)
    target, source = target - mean, source - mean
    norm = torch.where(there, target.square().sum(1), torch.inf)
    for start in range(0, len(source), rows):
        block = source[start : start + rows]
        squared = torch.addmm(norm.unsqueeze(0), block, target.T, alpha=-2)
        best = squared.topk(k, dim=1, largest=False, sorted=True)
        distance[start : start + rows] = _lengths(block, target, best.indices, best.values)
        index[start : start + rows] = best.indices
    return distance.masked_fill(~here.unsqueeze(1), torch.inf), index


def mutual_matches(
    source: Tensor,
    target: Tensor,
    *,
    mutual: bool = True,
    ratio: float | None = None,
    count: int | None = None,
    k: int = 1,
    measure: str = "euclidean",
) -> tuple[Tensor, Tensor]:
    """Pairs of a source and a target point whose descriptors are near.

    Parameters
    ----------
    source, target
        Descriptors `[N, C]`, `[M, C]`, as for :func:`candidates`.
    mutual
        Keep a pair only if each is among the k candidates of the other.
    ratio
        Keep a pair only if its distance is below this part of the distance to the source's candidate k + 1
        (Lowe, IJCV 2004).
    count
        The best so many, by distance.
    k
        Candidates of each point; 1 is the nearest alone.

    Returns
    -------
    index
        `[P, 2]` int64, source and target rows, by growing distance (then by row).
    distance
        `[P]`.

    Raises
    ------
    InputError
        As :func:`candidates`; a ratio outside 0 to 1, a count below 1. No match at all is an empty result.
    """
    if ratio is not None and not 0 < ratio <= 1:
        raise InputError(f"the ratio of distances is {ratio:g}; it is above 0 and at most 1")
    if count is not None:
        require_count(count, "the number of matches")
    distance, index = candidates(source, target, k if ratio is None else k + 1, measure=measure)
    width = min(k, index.shape[1])
    keep = torch.isfinite(distance[:, :width])
    if ratio is not None and index.shape[1] > k:
        keep &= distance[:, :width] < ratio * distance[:, k : k + 1]
    first = torch.arange(len(source), device=source.device).unsqueeze(1).expand(-1, width)[keep]
    second, apart = index[:, :width][keep], distance[:, :width][keep]
    if mutual:
        back = candidates(target, source, k, measure=measure)[1]
        agreed = (back[second] == first.unsqueeze(1)).any(1)
        first, second, apart = first[agreed], second[agreed], apart[agreed]
    order = apart.argsort(stable=True)[:count]
    return torch.stack([first, second], dim=1)[order], apart[order]


def _measured(values: Tensor, measure: str) -> Tensor:
    """What the Euclidean distance is to be taken of."""
    if measure == "cosine":
        return normalize(values, dim=1)
    return values.sqrt() if measure == "hellinger" else values


def _lengths(block: Tensor, target: Tensor, index: Tensor, squared: Tensor) -> Tensor:
    """The distances to the chosen targets, from differences: the product form rounds small ones away."""
    length = torch.stack([(block - target[column]).norm(dim=1) for column in index.T], dim=1)
    return torch.where(torch.isfinite(squared), length, torch.inf)


def _require_descriptors(source: Tensor, target: Tensor, measure: str) -> None:
    if measure not in MEASURES:
        raise InputError(f"there is no measure '{measure}' of descriptors; there are {', '.join(MEASURES)}")
    for what, values in (("source", source), ("target", target)):
        if values.dim() != 2 or 0 in values.shape:
            raise InputError(f"the {what} has no descriptors: their shape is {tuple(values.shape)}")
        if not torch.isfinite(values).all():
            raise InputError(f"the {what} has descriptors that are not finite")
        if measure == "hellinger" and bool((values < 0).any()):
            raise InputError(f"the {what} has descriptors below zero, which are no histograms")
    if source.shape[1] != target.shape[1]:
        raise InputError(f"descriptors of {source.shape[1]} and of {target.shape[1]} numbers cannot be compared")
