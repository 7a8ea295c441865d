"""Distances between the atoms of crystals: exact for any cell, with numpy alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

IMAGES = np.array(list(itertools.product((-1, 0, 1), repeat=3)), dtype=np.float64)  # [27, 3]
LARGEST_BLOCK = 1_000_000
"""Vectors between atoms that are formed at once."""
STEPS = 200
"""More than a reduction takes: each step shortens a vector, most by half or more."""


def shortest_basis(cell: Array) -> Array:
    """The lattice of `cell` `[3, 3]` by its shortest vectors: reduced in the sense of Minkowski, sorted by length.

    For such a basis the image of an atom that is nearest to another is one cell away at most. The greedy algorithm
    of Semaev (Cryptography and Lattices, 2001): the longest vector is brought as near to zero as the other two can.
    """
    basis = np.array(cell, dtype=np.float64)
    for _ in range(STEPS):
        basis = basis[np.argsort((basis**2).sum(axis=1), kind="stable")]
        pair = _shortest_pair(basis[0], basis[1])
        shortened = _nearest_to_zero(basis[2], pair)
        done = not shortened @ shortened < (1 - 1e-12) * (basis[2] @ basis[2])
        basis = np.array([*pair, basis[2] if done else shortened])
        if done:
            break
    return basis


def _shortest_pair(first: Array, second: Array) -> tuple[Array, Array]:
    """Gauss's reduction of two vectors, the shorter one first."""
    for _ in range(STEPS):
        if second @ second < first @ first:
            first, second = second, first
        shortened = second - np.round((first @ second) / (first @ first)) * first
        if not shortened @ shortened < (1 - 1e-12) * (second @ second):
            break
        second = shortened
    return first, second


def _nearest_to_zero(vector: Array, pair: tuple[Array, Array]) -> Array:
    """The shortest of `vector` plus multiples of a reduced pair."""
    plane = np.array(pair)
    centre = np.linalg.solve(plane @ plane.T, plane @ vector)
    steps = np.array(list(itertools.product((-1, 0, 1), repeat=2)), dtype=np.float64)
    candidates = vector - (np.round(centre) + steps) @ plane
    shortest: Array = candidates[np.argmin((candidates**2).sum(axis=1))]
    return shortest


def smallest_distance(cell: Array, positions: Array) -> float:
    """The smallest distance in Å of an atom from another or from an image of itself, in a crystal.

    Parameters
    ----------
    cell
        Rows are the lattice vectors, `[3, 3]`, Å; independent.
    positions
        Cartesian, `[N, 3]`, anywhere.
    """
    basis = shortest_basis(cell)
    smallest = float((basis[0] ** 2).sum())  # of an atom and its own image
    if len(positions) > 1:
        smallest = min(smallest, *(float(block.min()) for block in _squares(basis, positions)))
    return float(np.sqrt(smallest))


def sorted_distances(cell: Array, positions: Array, count: int) -> Array:
    """Distances in Å of each atom from its `count` nearest neighbours and images, ascending, `[N, count]`.

    Looks one cell far in a reduced basis; farther neighbours, which matter for one or two atoms in the cell and
    `count` above 12, are missing.
    """
    basis = shortest_basis(cell)
    own = np.sort(((IMAGES @ basis) ** 2).sum(axis=1))[1:]  # [26]
    rows = []
    for block in _squares(basis, positions):
        squares = np.concatenate([np.broadcast_to(own, (len(block), 26)), block.reshape(len(block), -1)], axis=1)
        rows.append(np.sort(squares, axis=1)[:, :count])
    nearest = np.concatenate(rows)
    return np.sqrt(np.pad(nearest, ((0, 0), (0, count - nearest.shape[1])), mode="edge"))


def _squares(basis: Array, positions: Array) -> Iterator[Array]:
    """Squared distances of every atom from all images of all others, in blocks of rows `[rows, N - 1, 27]`."""
    fractions = np.linalg.solve(basis.T, positions.T).T
    shifts = IMAGES @ basis
    atoms = len(positions)
    rows = max(1, LARGEST_BLOCK // (27 * atoms))
    others = np.arange(1, atoms)
    for start in range(0, atoms, rows):
        atom = np.arange(start, min(start + rows, atoms))[:, None]
        steps = fractions[(atom + others) % atoms] - fractions[atom]  # [rows, N - 1, 3]
        vectors = (steps - np.round(steps)) @ basis
        yield ((vectors[:, :, None, :] + shifts) ** 2).sum(axis=-1)
