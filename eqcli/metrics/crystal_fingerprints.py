"""Fingerprints of crystals: vectors that are near where crystals are alike.

A fingerprint does not depend on the choice of the cell, on its size in cells, on rotation, reflection or the order of
the atoms.
"""

from __future__ import annotations

from functools import reduce
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.graph.neighbours import neighbour_list
from eqcli.io.structure import FloatArray, Structure
from eqcli.metrics.crystal_elements import element_table

SHELLS: Final = 24
"""Neighbours whose distances enter."""
DEGREES: Final = (2, 3, 4, 6, 8)
REACH: Final = 2.8
"""First cutoff in units of the edge of the cube that an atom has to itself; some 90 neighbours."""
ANGULAR_REACH: Final = 1.9
"""Same units: where the weight of a neighbour's direction is zero, some 28 neighbours."""
LONGEST: Final = 60.0
"""Å; a crystal whose neighbours are farther apart than this has no fingerprint."""


def structure_fingerprint(structure: Structure) -> FloatArray:
    """Distances to the nearest neighbours and their angular order, mean and spread over atoms, `[58]` float64.

    The means of the k-th distances are the average minimum distances (Widdowson et al., MATCH 2022, 87, 529), in Å.
    Angular order is Steinhardt's, of neighbours weighted with a smooth cutoff, so that nothing jumps where many are
    equally far. Elements do not enter. Every kind of entry is divided by the root of its number: a Euclidean distance
    of one is about 1 Å per distance.

    Raises
    ------
    InputError
        The structure has no atoms or no volume, or its atoms have too few neighbours.
    """
    spacing = _spacing(structure)
    vectors, lengths, present = _neighbours(structure, spacing)
    nearest = np.where(present, lengths, np.inf)
    nearest = np.sort(nearest, axis=1)[:, :SHELLS]
    order = _angular_order(vectors, lengths, np.where(present, _weight(lengths, ANGULAR_REACH * spacing), 0.0))
    parts = [nearest.mean(axis=0), nearest.std(axis=0), order.mean(axis=0), order.std(axis=0)]
    return np.concatenate([part / np.sqrt(len(part)) for part in parts])


def composition_fingerprint(structure: Structure) -> FloatArray:
    """Statistics of the elements' properties over the atoms: least, largest, range, mean, mean deviation and mode.

    `[6 * 19]`, in the units of the table. The mode is the property of the most frequent element.

    Raises
    ------
    InputError
        The structure has no atoms.
    MissingDependency
        pymatgen is not installed.
    """
    if not len(structure):
        raise InputError("a structure without atoms has no composition", structure.where)
    elements, counts = np.unique(structure.numbers, return_counts=True)
    counts = counts // reduce(gcd, counts.tolist())
    values = element_table()[elements]
    share = counts / counts.sum()
    mean = share @ values
    least, largest = values.min(axis=0), values.max(axis=0)
    mode = values[counts == counts.max()].min(axis=0)
    return np.concatenate([least, largest, largest - least, mean, share @ np.abs(values - mean), mode])


def _spacing(structure: Structure) -> float:
    """Edge of the cube that an atom has to itself, Å."""
    volume = structure.volume
    if not len(structure) or not structure.pbc.all() or not volume > 1e-3 * len(structure):
        raise InputError("a fingerprint needs atoms in a cell with a volume", structure.where)
    return float((volume / len(structure)) ** (1 / 3))


def _neighbours(structure: Structure, spacing: float) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Vectors `[N, M, 3]`, distances `[N, M]` and which of the M are there, at least SHELLS for every atom."""
    cutoff = REACH * spacing
    atoms = len(structure)
    while cutoff <= LONGEST:
        edges, shift = neighbour_list(structure.positions, structure.cell, structure.pbc, cutoff)
        counts = np.bincount(edges[1], minlength=atoms)
        if counts.min() >= SHELLS:
            break
        cutoff *= 1.4
    else:
        raise InputError(f"an atom has fewer than {SHELLS} neighbours within {LONGEST:g} Å", structure.where)
    between = structure.positions[edges[0]] - structure.positions[edges[1]] + shift @ structure.cell
    place = np.arange(len(between)) - np.repeat(np.cumsum(counts) - counts, counts)
    vectors = np.zeros((atoms, counts.max(), 3))
    vectors[edges[1], place] = between
    present: NDArray[np.bool_] = np.arange(counts.max()) < counts[:, None]
    lengths: FloatArray = np.linalg.norm(vectors, axis=2)
    return vectors, lengths, present


def _weight(lengths: FloatArray, cutoff: float) -> FloatArray:
    """One at no distance, zero with zero slope at the cutoff."""
    inside = np.clip(1 - (lengths / cutoff) ** 2, 0, None)
    found: FloatArray = inside**2
    return found


def _angular_order(vectors: FloatArray, lengths: FloatArray, weights: FloatArray) -> FloatArray:
    """Steinhardt's order parameters of the weighted directions, `[N, degrees]`, by the addition theorem."""
    from scipy.special import eval_legendre

    # Neighbours without weight would make the matrix of cosines large for nothing.
    used = int((weights > 0).sum(axis=1).max(initial=0))
    chosen = np.argsort(-weights, axis=1, kind="stable")[:, : max(used, 1)]
    weights = np.take_along_axis(weights, chosen, axis=1)
    lengths = np.take_along_axis(lengths, chosen, axis=1)
    units = np.take_along_axis(vectors, chosen[:, :, None], axis=1) / np.maximum(lengths, 1e-9)[:, :, None]
    cosines = np.clip(units @ units.transpose(0, 2, 1), -1, 1)
    total = np.maximum(weights.sum(axis=1), 1e-12)
    squares = [
        np.einsum("ni,nij,nj->n", weights, eval_legendre(degree, cosines), weights) / total**2 for degree in DEGREES
    ]
    return np.sqrt(np.clip(np.stack(squares, axis=1), 0, None))
