"""Cliques of a graph: grown greedily, and the largest one by branch and bound within a limit of work.

Tomita and Seki, DMTCS 2003 (bounds by greedy colouring). Sets of nodes are the bits of Python's integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SMALL = 600
"""Nodes of the pruned graph beyond which no proof is attempted."""


def grown_clique(joined: BoolArray, start: list[int]) -> IntArray:
    """The clique around `start`, itself a clique, by adding the node with the most neighbours among the candidates."""
    candidates = np.flatnonzero(np.logical_and.reduce(joined[start]))
    clique = list(start)
    inner = joined[np.ix_(candidates, candidates)]
    degree = inner.sum(axis=1)
    alive = np.ones(len(candidates), dtype=np.bool_)
    while alive.any():
        best = int(np.where(alive, degree, -1).argmax())
        clique.append(int(candidates[best]))
        gone = np.flatnonzero(alive & ~inner[best])
        if len(gone) > 1 or gone[0] != best:
            degree = degree - inner[:, gone].sum(axis=1)
        alive[gone] = False
    return np.sort(np.array(clique, dtype=np.int64))


def core(joined: BoolArray, degree: int) -> IntArray:
    """Nodes that remain when those with fewer neighbours than `degree` are taken away again and again."""
    nodes = np.arange(len(joined))
    while True:
        kept = joined[np.ix_(nodes, nodes)].sum(axis=1) >= degree
        if kept.all():
            return nodes
        nodes = nodes[kept]


def maximum_clique(joined: BoolArray, known: IntArray, *, work: int) -> tuple[IntArray, bool]:
    """The largest clique, and whether that is proven.

    `known` is a clique to begin with. Only nodes of the core that a larger one needs are looked at; where these
    are more than 600, or after `work` branches, the best that was found is given and nothing proven.
    """
    nodes = core(joined, len(known))
    if len(nodes) <= len(known):
        return known, True
    if len(nodes) > SMALL:
        return known, False
    inner = joined[np.ix_(nodes, nodes)]
    order = np.argsort(inner.sum(axis=1), kind="stable")[::-1]
    search = _Search(inner[np.ix_(order, order)], len(known), work)
    proven = search.run()
    return (np.sort(nodes[order[search.best]]) if search.best else known), proven


class _Search:
    def __init__(self, joined: BoolArray, size: int, work: int) -> None:
        rows = np.packbits(joined, axis=1, bitorder="little")
        self.neighbours = [int.from_bytes(row.tobytes(), "little") for row in rows]
        self.best: list[int] = []
        self.size, self.work = size, work

    def run(self) -> bool:
        """Whether all of it was searched."""
        self._expand([], (1 << len(self.neighbours)) - 1)
        return self.work > 0

    def _expand(self, clique: list[int], candidates: int) -> None:
        order, bounds = self._coloured(candidates, self.size - len(clique))
        for node, bound in zip(reversed(order), reversed(bounds), strict=True):
            if len(clique) + bound <= self.size or self.work <= 0:
                return
            self.work -= 1
            grown, left = [*clique, node], candidates & self.neighbours[node]
            if left:
                self._expand(grown, left)
            elif len(grown) > self.size:
                self.best, self.size = grown, len(grown)
            candidates &= ~(1 << node)

    def _coloured(self, candidates: int, needed: int) -> tuple[list[int], list[int]]:
        """Candidates by colour, with the number of colours up to each; those that cannot exceed `needed` left out."""
        order: list[int] = []
        bounds: list[int] = []
        colour, left = 0, candidates
        while left:
            colour, free = colour + 1, left
            while free:
                bit = free & -free
                node = bit.bit_length() - 1
                left ^= bit
                free &= ~(self.neighbours[node] | bit)
                if colour > needed:
                    order.append(node)
                    bounds.append(colour)
        return order, bounds
