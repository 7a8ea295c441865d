"""Pairs of geometric graphs that a model can only tell apart if it is expressive enough.

The tests of Joshi et al. (ICML 2023, arXiv:2301.09308), with counterexamples of
every body order made in one way (after Pozdnyakov et al., Phys. Rev. Lett. 125,
166001). Lengths are in units of the cutoff; edges are given, not found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eqcli.io.structure import FloatArray
from eqcli.models.potentials.base import Capabilities

CHAINS = (2, 3, 4, 5, 6)
STARS = (2, 3, 4, 5, 10)
BODIES = (2, 3, 4)

BOND = 0.4
"""Length of bonds in units of the cutoff."""


@dataclass(frozen=True)
class GeometricGraph:
    """Points `[N, 3]` and undirected edges `[M, 2]`."""

    points: FloatArray
    edges: list[tuple[int, int]]


@dataclass(frozen=True)
class Pair:
    """Two graphs that differ, and what a model needs to see it.

    Attributes
    ----------
    key, title
        Name for files and for people.
    one_layer
        Whether the question is put to a single layer of the model.
    needs
        What it takes, in words.
    possible
        Whether a model with these capabilities can tell the two apart.
    """

    key: str
    title: str
    first: GeometricGraph
    second: GeometricGraph
    one_layer: bool
    needs: str
    possible: Callable[[Capabilities], bool]


def pairs() -> list[Pair]:
    """All pairs: chains by depth, stars by degree, counterexamples by body order."""
    return [
        *(chains(k) for k in CHAINS),
        *(stars(fold) for fold in STARS),
        *(counterexample(factors) for factors in BODIES),
    ]


def chains(k: int) -> Pair:
    """k points in a line with an end at right angles on either side, the ends alike or opposite."""
    depth = k // 2 + 1
    return Pair(
        f"chain-{k}",
        f"{k}-chain",
        _chain(k, 1.0),
        _chain(k, -1.0),
        one_layer=False,
        needs=f"{depth} layers that pass vectors on",
        possible=lambda c: c.depth >= depth and c.message_degree >= 1 and c.edge_degree >= 1 and c.factors >= 2,
    )


def _chain(k: int, side: float) -> GeometricGraph:
    line = [[x, 0.0, 0.0] for x in range(k)]
    points = BOND * np.array([*line, [0.0, 1.0, 0.0], [k - 1.0, side, 0.0]])
    return GeometricGraph(points, [*((i, i + 1) for i in range(k - 1)), (k, 0), (k - 1, k + 1)])


def stars(fold: int) -> Pair:
    """A star of `fold` points about a centre, turned by half its period against one further point.

    The centre sees the turn through cos(fold * angle) alone, which harmonics of lower degree do not hold.
    """
    return Pair(
        f"star-{fold}",
        f"{fold}-fold star",
        _star(fold, 0.0),
        _star(fold, 0.5),
        one_layer=True,
        needs=f"harmonics of degree {fold}",
        possible=lambda c: c.edge_degree >= fold and c.factors >= 2,
    )


def _star(fold: int, turn: float) -> GeometricGraph:
    angle = 2 * np.pi * (np.arange(fold) + turn) / fold
    ring = BOND * np.stack([np.cos(angle), np.sin(angle), np.zeros(fold)], axis=1)
    return _about_centre([*ring, np.array([0.75, 0.0, 0.0])])


def counterexample(factors: int) -> Pair:
    """Two environments that agree in all sets of fewer than `factors` neighbours and differ in those of `factors`.

    One neighbour stands on each of factors - 1 axes, at its own distance. The others fill those corners of
    a cube in these axes that have an even (first) or odd (second) number of negative coordinates. Mirroring
    one axis takes the corners of one into those of the other and leaves all axis neighbours but its own:
    so no set that lacks one of the axis neighbours, or all of the corners, differs.
    """
    axes = factors - 1
    return Pair(
        f"body-{factors + 1}",
        f"{factors + 1}-body counterexample",
        _corners(axes, 1),
        _corners(axes, -1),
        one_layer=True,
        needs=f"products of {factors} neighbours, with harmonics of degree {axes}",
        possible=lambda c: c.factors >= factors and c.edge_degree >= axes,
    )


def _corners(axes: int, sign: int) -> GeometricGraph:
    corners = [signs for signs in np.ndindex(*(2,) * axes) if (-1) ** sum(signs) == sign]
    points = np.zeros((len(corners) + axes, 3))
    points[: len(corners), :axes] = BOND * (1 - 2 * np.array(corners)) / np.sqrt(axes)
    if axes == 1:
        # On a line there would be nothing but collinear neighbours; bend it.
        points[0] = BOND * np.array([sign * np.cos(1.1), np.sin(1.1), 0.0])
    for axis in range(axes):
        points[len(corners) + axis, axis] = BOND * (0.7 + 0.15 * axis)
    return _about_centre(list(points))


def _about_centre(neighbours: list[FloatArray]) -> GeometricGraph:
    points = np.array([np.zeros(3), *neighbours])
    return GeometricGraph(points, [(0, i) for i in range(1, len(points))])
