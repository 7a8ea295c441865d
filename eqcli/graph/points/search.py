"""Exact nearest neighbours and radius search among points, of one cloud or of several that are concatenated.

On the CPU a k-d tree of scipy with as many threads as torch has; on CUDA all distances, in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from eqcli.errors import InputError
from eqcli.graph.points.checks import require_count, require_length, require_points

Counts = Sequence[int] | Tensor
Ragged = tuple[Tensor, Tensor, Tensor]

BLOCK = 2**27
"""Distances held at a time on CUDA."""

QUERIES = 2**15
"""Queries whose pairs are held at a time on the CPU."""


def nearest(
    queries: Tensor,
    points: Tensor,
    k: int,
    *,
    query_counts: Counts | None = None,
    point_counts: Counts | None = None,
) -> tuple[Tensor, Tensor]:
    """The k points nearest to each query, nearest first.

    A cloud with fewer than k points gives what it has: k is cut to the size of the (largest) cloud, and in a
    batch the places that a smaller cloud cannot fill have the distance inf and the index -1. Of points at the
    same distance any may come first.

    Parameters
    ----------
    queries, points
        `[Q, 3]`, `[N, 3]`, same device; a query that is itself one of the points finds itself.
    k
        How many neighbours.
    query_counts, point_counts
        The number of queries and of points of each cloud, when several are concatenated; a query sees the
        points of its own cloud alone.

    Returns
    -------
    distance
        `[Q, min(k, N)]`, dtype of the queries.
    index
        `[Q, min(k, N)]` int64, rows of `points`.

    Raises
    ------
    InputError
        No points, points that are not finite, k below 1, counts that do not add up.
    """
    require_count(k, "the number of neighbours")
    spans = _spans(queries, points, query_counts, point_counts)
    width = min(k, max(span[3] - span[2] for span in spans))
    distance = queries.new_full((len(queries), width), inf)
    index = torch.full((len(queries), width), -1, dtype=torch.int64, device=queries.device)
    for q0, q1, p0, p1 in spans:
        have = min(width, p1 - p0)
        find = _nearest_blocks if queries.is_cuda else _nearest_tree
        d, i = find(queries[q0:q1], points[p0:p1], have)
        distance[q0:q1, :have] = d.to(distance.dtype)
        index[q0:q1, :have] = i + p0
    return distance, index


def within(
    queries: Tensor,
    points: Tensor,
    radius: float,
    *,
    limit: int | None = None,
    query_counts: Counts | None = None,
    point_counts: Counts | None = None,
) -> Ragged:
    """The points at most `radius` from each query, nearest first, as one ragged list.

    Parameters
    ----------
    queries, points, query_counts, point_counts
        As for :func:`nearest`.
    radius
        Same unit as the points; a point at exactly this distance belongs to the list.
    limit
        The nearest so many at most; all when absent.

    Returns
    -------
    offsets
        `[Q + 1]` int64: the neighbours of query q are the entries `offsets[q]` to `offsets[q + 1]`.
    index
        `[E]` int64, rows of `points`.
    distance
        `[E]`, dtype of the queries.

    Raises
    ------
    InputError
        No points, points that are not finite, a radius that is not positive, a limit below 1.
    """
    require_length(radius, "the radius")
    if limit is not None:
        require_count(limit, "the limit of neighbours")
    found: list[Ragged] = []
    for q0, q1, p0, p1 in _spans(queries, points, query_counts, point_counts):
        for number, index, distance in _within(queries[q0:q1], points[p0:p1], radius, limit):
            found.append((number, index + p0, distance.to(queries.dtype)))
    number = torch.cat([queries.new_zeros(1, dtype=torch.int64), *(part[0] for part in found)])
    return number.cumsum(0), torch.cat([part[1] for part in found]), torch.cat([part[2] for part in found])


@dataclass(frozen=True)
class Block:
    """The neighbourhoods of consecutive points of a cloud."""

    rows: slice
    """Which points."""
    index: Tensor
    """`[B, k]` int64, rows of the cloud, nearest first; the point itself where there is no further neighbour."""
    distance: Tensor
    """`[B, k]`; inf where there is no further neighbour."""


def neighbour_blocks(points: Tensor, k: int, *, radius: float | None = None, rows: int = 2**15) -> Iterator[Block]:
    """The k nearest points of every point of one cloud, itself included, `rows` points at a time.

    What is held at a time does not grow with the cloud. With a `radius`, neighbours farther than it are absent.

    Raises
    ------
    InputError
        As :func:`nearest`; a radius that is not positive.
    """
    require_points(points)
    require_count(k, "the number of neighbours")
    if radius is not None:
        require_length(radius, "the radius")
    k = min(k, len(points))
    tree = None if points.is_cuda else _tree(points)
    for start in range(0, len(points), rows):
        block = points[start : start + rows]
        if tree is None:
            distance, index = _nearest_blocks(block, points, k)
        else:
            distance, index = _query(tree, block, k, radius)
        beyond = torch.isinf(distance) if radius is None else ~(distance <= radius)
        own = torch.arange(start, start + len(block), device=points.device).unsqueeze(1)
        index = torch.where(beyond, own, index)
        yield Block(slice(start, start + len(block)), index, distance.to(points.dtype).masked_fill(beyond, inf))


def _spans(
    queries: Tensor, points: Tensor, query_counts: Counts | None, point_counts: Counts | None
) -> list[tuple[int, int, int, int]]:
    """First and last-plus-one query and point of each cloud."""
    require_points(queries, "the set of queries")
    require_points(points)
    if (query_counts is None) != (point_counts is None):
        raise ValueError("a batch needs the counts of queries and of points")
    q = [len(queries)] if query_counts is None else [int(n) for n in query_counts]
    p = [len(points)] if point_counts is None else [int(n) for n in point_counts]
    if len(q) != len(p) or sum(q) != len(queries) or sum(p) != len(points) or min(q + p) < 0:
        raise InputError(f"the counts of the clouds do not add up to {len(queries)} queries and {len(points)} points")
    if any(a > 0 and b == 0 for a, b in zip(q, p, strict=True)):
        raise InputError("a cloud of the batch has no points")
    qs, ps = np.cumsum([0, *q]).tolist(), np.cumsum([0, *p]).tolist()
    return [(qs[i], qs[i + 1], ps[i], ps[i + 1]) for i in range(len(q)) if q[i] > 0]


def _tree(points: Tensor) -> Any:
    return cKDTree(points.detach().double().numpy())


def _query(tree: Any, queries: Tensor, k: int, radius: float | None = None) -> tuple[Tensor, Tensor]:
    """The k nearest; inf and the number of points where the radius ends earlier."""
    # The tree asks for less than its bound, the radius includes it.
    bound = inf if radius is None else float(np.nextafter(radius, inf))
    places, threads = np.arange(1, k + 1), torch.get_num_threads()
    distance, index = tree.query(
        queries.detach().double().numpy(), k=places, distance_upper_bound=bound, workers=threads
    )
    return torch.from_numpy(distance), torch.from_numpy(index)


def _nearest_tree(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    return _query(_tree(points), queries, k)


def _nearest_blocks(queries: Tensor, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    parts = [d.topk(k, dim=1, largest=False, sorted=True) for d in _distance_blocks(queries, points)]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def _distance_blocks(queries: Tensor, points: Tensor) -> Iterator[Tensor]:
    rows = max(1, BLOCK // len(points))
    for block in queries.detach().split(rows):
        # The form with a matrix product loses half of the digits of small distances.
        yield torch.cdist(block, points.detach(), compute_mode="donot_use_mm_for_euclid_dist")


def _within(
    queries: Tensor, points: Tensor, radius: float, limit: int | None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Blocks of (neighbours of each query, index, distance)."""
    if queries.is_cuda:
        for distance in _distance_blocks(queries, points):
            yield _packed(*_sorted_rows(distance, min(limit or len(points), len(points))), radius)
    elif limit is not None:
        tree = _tree(points)
        for block in queries.split(QUERIES):
            yield _packed(*_query(tree, block, min(limit, len(points)), radius), radius)
    else:
        tree = _tree(points)
        for block in queries.detach().double().split(QUERIES):
            yield _all_within(block, tree, radius)


def _sorted_rows(distance: Tensor, k: int) -> tuple[Tensor, Tensor]:
    best = distance.topk(k, dim=1, largest=False, sorted=True)
    return best.values, best.indices


def _packed(distance: Tensor, index: Tensor, radius: float) -> Ragged:
    keep = distance <= radius
    return keep.sum(1), index[keep], distance[keep]


def _all_within(block: Tensor, tree: Any, radius: float) -> Ragged:
    pairs = cKDTree(block.numpy()).sparse_distance_matrix(tree, radius, output_type="ndarray")
    order = np.lexsort((pairs["j"], pairs["v"], pairs["i"]))
    number = np.bincount(pairs["i"], minlength=len(block))
    index, distance = pairs["j"][order].astype(np.int64), np.ascontiguousarray(pairs["v"][order])
    return torch.from_numpy(number.astype(np.int64)), torch.from_numpy(index), torch.from_numpy(distance)
