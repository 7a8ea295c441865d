"""Where a receptor has room for a ligand: pockets found from the positions of its atoms alone, without training.

The spheres that touch four atoms and have none inside (alpha shapes, Edelsbrunner and Mücke, ACM Trans. Graph. 13,
43 (1994)) fill the free space around a molecule: in a pocket they are neither as small as between packed atoms nor as
large as over an open surface. Each counts as the free space of its tetrahedron times the square of its burial, the
number of atoms around it; pockets are where most of that is found within the size of a ligand. All of it follows from
distances, so that pockets move with the receptor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError, cKDTree

FloatArray = NDArray[np.float64]

GAPS = (1.6, 5.2)
"""Å: the least and the largest distance from the middle of a sphere to the surfaces of the atoms that it touches."""

LARGEST_TETRAHEDRON = 20.0
"""Å^3: what a tetrahedron counts for at most; large ones span the mouths of pockets."""

BURIAL_REACH = 12.0
"""Å: atoms this near to the middle of a sphere bury it."""

SPREAD = 4.0
"""Å: standard deviation of the Gaussian that adds up the spheres around a point, about a ligand's extent."""

GATHER = 8.0
"""Å: spheres this near to the centre of a pocket are its points."""

APART = 6.0
"""Å: centres of different pockets are at least this far from each other."""

FLAT = 1e-3
"""Å^3: six times the volume below which a tetrahedron has no sphere to speak of."""


@dataclass(frozen=True)
class Pocket:
    """Free space in which a ligand may bind.

    Attributes
    ----------
    centre
        `[3]`, Å: mean of the points, those that are more buried counting more.
    points
        `[K, 3]`, Å: where there is room for an atom.
    score
        Buried free space around the place where it is densest; higher is better, and only pockets of one receptor
        can be compared.
    volume
        Å^3 between the atoms that line it.
    """

    centre: FloatArray
    points: FloatArray
    score: float
    volume: float


@dataclass(frozen=True)
class Spheres:
    """Spheres that touch four atoms: middles `[K, 3]`, volume of each tetrahedron `[K]`, and its weight `[K]`."""

    middles: FloatArray
    volumes: FloatArray
    weights: FloatArray


def find_pockets(positions: FloatArray, radii: FloatArray, *, count: int = 10) -> list[Pocket]:
    """The pockets of a receptor, best first.

    Parameters
    ----------
    positions
        Of its heavy atoms, `[M, 3]`, Å.
    radii
        Of the same atoms, `[M]`, Å.
    count
        How many to find at most; a receptor that is small or flat has fewer, or none.
    """
    x, r = np.asarray(positions, dtype=np.float64), np.asarray(radii, dtype=np.float64)
    if x.ndim != 2 or x.shape[1:] != (3,) or r.shape != x.shape[:1]:
        raise ValueError(f"positions {x.shape} and radii {r.shape} are not [M, 3] and [M]")
    spheres = touching_spheres(x, r)
    if len(spheres.weights) == 0:
        return []
    tree = cKDTree(spheres.middles)
    dense = _density(tree, spheres.weights)
    left = np.ones(len(dense), dtype=bool)
    pockets: list[Pocket] = []
    while len(pockets) < count and left.any():
        best = int(np.argmax(np.where(left, dense, -np.inf)))
        centre = _settled(spheres, tree, spheres.middles[best])
        for seen in (spheres.middles[best], centre):
            left[tree.query_ball_point(seen, APART)] = False
        if all(np.linalg.norm(centre - pocket.centre) >= APART for pocket in pockets):
            near = np.sort(tree.query_ball_point(centre, GATHER))
            volume = float(spheres.volumes[near].sum())
            pockets.append(Pocket(centre, spheres.middles[near], float(dense[best]), volume))
    return pockets


def touching_spheres(positions: FloatArray, radii: FloatArray) -> Spheres:
    """The spheres of `[M, 3]` atoms with radii `[M]` that are of a pocket's size."""
    try:
        corners = Delaunay(positions).simplices if len(positions) > 4 else np.zeros((0, 4), dtype=np.int64)
    except QhullError:
        # All atoms lie in a plane.
        corners = np.zeros((0, 4), dtype=np.int64)
    origin = positions[corners[:, 0]]
    edges = positions[corners[:, 1:]] - origin[:, None]
    six = np.abs(np.linalg.det(edges))
    solid = six > FLAT
    corners, origin, edges, volumes = corners[solid], origin[solid], edges[solid], six[solid] / 6
    offset = np.linalg.solve(edges, 0.5 * np.square(edges).sum(-1)[..., None])[..., 0]
    gap = np.linalg.norm(offset, axis=-1) - radii[corners].mean(-1)
    fits = (gap > GAPS[0]) & (gap < GAPS[1])
    middles, volumes = (origin + offset)[fits], volumes[fits]
    buried = cKDTree(positions).query_ball_point(middles, BURIAL_REACH, return_length=True)
    weights = np.minimum(volumes, LARGEST_TETRAHEDRON) * np.square(np.asarray(buried, dtype=np.float64) / 100)
    kept = weights > 0
    return Spheres(middles[kept], volumes[kept], weights[kept])


def _density(tree: cKDTree, weights: FloatArray) -> FloatArray:
    """Weight around each sphere, `[K]`; block by block, since pairs of a large receptor would fill the memory."""
    middles = np.asarray(tree.data)
    dense = np.empty(len(weights))
    for first in range(0, len(weights), 4096):
        block = cKDTree(middles[first : first + 4096])
        pairs = block.sparse_distance_matrix(tree, 3 * SPREAD, output_type="coo_matrix")
        felt = np.exp(-np.square(pairs.data) / (2 * SPREAD**2)) * weights[pairs.col]
        dense[first : first + block.n] = np.bincount(pairs.row, felt, minlength=block.n)
    return dense


def _settled(spheres: Spheres, tree: cKDTree, start: FloatArray) -> FloatArray:
    """Moves to the mean of the spheres around, until that stands still or has been done often enough."""
    centre = start
    for _ in range(10):
        near = tree.query_ball_point(centre, GATHER)
        mean = np.average(spheres.middles[near], axis=0, weights=spheres.weights[near])
        if np.linalg.norm(mean - centre) < 0.01:
            break
        centre = mean
    return centre
