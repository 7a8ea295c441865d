"""Where poses begin from: spanning trees of trusted pairs, of which the one that other pairs agree with is taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from eqcli.models.pointcloud.rigid_algebra import adjoint, inverse, logarithm

if TYPE_CHECKING:
    from eqcli.models.pointcloud.pose_graph import Edge

FloatArray = NDArray[np.float64]

TREES = 32
"""Spanning trees that are tried: that of the most trusted edges, and others drawn about it."""

TRIANGLES = 100_000
"""Closed loops of three edges that are looked at."""


def components(count: int, edges: Sequence[Edge]) -> NDArray[np.int64]:
    """The number of the connected component of each of `count` clouds."""
    ends = np.array([(edge.source, edge.target) for edge in edges], dtype=np.int64).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def best_tree(
    count: int,
    edges: Sequence[Edge],
    reference: int,
    cost: Callable[[FloatArray], float],
    limit: float,
    generator: np.random.Generator,
) -> FloatArray:
    """The poses `[count, 4, 4]` along the spanning tree with the least cost, in the frame of `reference`.

    Trees follow the edges that are trusted most, which those are that close triangles with others; further trees are
    drawn, since one wrong edge in a tree carries away all that hangs on it.

    Parameters
    ----------
    cost
        Of poses, over all edges.
    limit
        Squared misfit in standard deviations above which a triangle does not close.

    Every cloud must be connected to the reference.
    """
    trust = np.array([edge.weight for edge in edges]) * _agreement(edges, limit)
    noise = generator.exponential(size=(TREES - 1, len(edges)))
    found = [_along_tree(count, edges, reference, one) for one in (trust, *(trust * noise))]
    return min(found, key=cost)


def _along_tree(count: int, edges: Sequence[Edge], reference: int, trust: FloatArray) -> FloatArray:
    """Poses along the maximum spanning tree."""
    best: dict[tuple[int, int], int] = {}
    for k, edge in enumerate(edges):
        ends = (min(edge.source, edge.target), max(edge.source, edge.target))
        if ends not in best or trust[k] > trust[best[ends]]:
            best[ends] = k
    pairs, kept = np.array(list(best)), np.array(list(best.values()))
    # Ranks in place of trusts: equal ones are told apart, and none is zero, which would be no edge.
    length = np.empty(len(kept))
    length[np.argsort(-trust[kept], kind="stable")] = np.arange(1, len(kept) + 1)
    tree = minimum_spanning_tree(coo_matrix((length, (pairs[:, 0], pairs[:, 1])), shape=(count, count)))
    order, parent = breadth_first_order(tree, reference, directed=False)
    poses = np.tile(np.eye(4), (count, 1, 1))
    for node in order[1:]:
        above = int(parent[node])
        edge = edges[best[min(node, above), max(node, above)]]
        step = edge.motion if edge.source == node else inverse(edge.motion)
        poses[node] = poses[above] @ step
    return poses


def _agreement(edges: Sequence[Edge], limit: float) -> FloatArray:
    """For each edge, by how much the triangles that close around it outnumber those that do not."""
    loops = np.array(list(islice(_triangles(edges), TRIANGLES)), dtype=np.int64).reshape(-1, 6)
    closed, gaping = np.ones(len(edges)), np.ones(len(edges))
    if len(loops):
        gaps = _squared_gaps(edges, loops)
        for k in range(3):
            np.add.at(gaping, loops[gaps > limit, k], 1.0)
            np.add.at(closed, loops[gaps <= limit, k], 1.0)
    return np.asarray(closed / gaping)


def _squared_gaps(edges: Sequence[Edge], loops: NDArray[np.int64]) -> FloatArray:
    """By how much each triangle misses the identity, squared, in standard deviations of its three edges together."""
    motions = np.stack([edge.motion for edge in edges])
    covariances = np.stack([edge.covariance for edge in edges])
    both = np.stack([motions, inverse(motions)])
    first, second, third = (both[loops[:, 3 + k], loops[:, k]] for k in range(3))
    around = first @ second @ third
    # The covariance of an edge stands in the frame of its target: where its step ends, or, backwards, begins.
    ends = [(np.broadcast_to(np.eye(4), first.shape), first), (first, first @ second), (first @ second, around)]
    total = np.zeros((len(loops), 6, 6))
    for k, (end, begin) in enumerate(ends):
        carry = adjoint(np.where((loops[:, 3 + k] == 0)[:, None, None], end, begin))
        total += carry @ covariances[loops[:, k]] @ np.swapaxes(carry, -1, -2)
    twists = logarithm(around)
    return np.asarray(np.einsum("ni,ni->n", twists, np.linalg.solve(total, twists[..., None])[..., 0]))


def _triangles(edges: Sequence[Edge]) -> Iterator[tuple[int, ...]]:
    """Edges a, b, c along target <- source, source <- third, third <- target of a; then 1 for each run backwards."""
    at: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for k, edge in enumerate(edges):
        at[edge.source][edge.target].append(k)
        at[edge.target][edge.source].append(k)
    for a, edge in enumerate(edges):
        for third in sorted(at[edge.source].keys() & at[edge.target].keys()):
            for b, c in product(at[edge.source][third], at[edge.target][third]):
                if a < b and a < c:
                    yield a, b, c, 0, int(edges[b].source != third), int(edges[c].target != third)
