"""How far a pose lies from the crystal's, where atoms that symmetry makes the same may be exchanged.

Two atoms are the same where an automorphism of the graph of heavy atoms (`eqcli.io.molecule_graph`) takes one to the
other. There is no superposition, but in `kabsch_rmsd`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.geometry.superposed import superposed_rmsds
from eqcli.io.molecule_graph import plain_graph
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from rdkit.Chem import Mol

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LIMIT = 100_000
"""Exchanges that are tried one by one."""

_BLOCK = 4_000_000
"""Numbers held at once."""


@dataclass(frozen=True)
class Symmetry:
    """The ways in which the heavy atoms of a pose stand for those of a reference.

    Attributes
    ----------
    reference
        Heavy atoms of the reference, `[n]`.
    mappings
        Atoms of the pose in their place, one row for each way, `[A, n]`, the first `LIMIT` of them.
    classes
        The class of each reference atom, `[n]`; only atoms of one class are ever exchanged.
    exact
        Whether `mappings` has all ways. Where it has not, `symmetric_rmsd` is a lower bound, the best assignment
        within classes whatever the bonds, and `kabsch_rmsd` an upper bound.
    """

    reference: IntArray
    mappings: IntArray
    classes: IntArray
    exact: bool


def symmetry(reference: Structure, pose: Structure | None = None, *, limit: int = LIMIT) -> Symmetry:
    """The symmetry of a molecule, or how the atoms of a pose from another file stand for those of the reference.

    Where the two state different bonds (another tautomer, another program), elements and neighbours alone decide.

    Raises
    ------
    InputError
        They are not the same molecule, one has no bonds, or no heavy atoms.
    """
    other = reference if pose is None else pose
    first, second = np.flatnonzero(reference.numbers > 1), np.flatnonzero(other.numbers > 1)
    if len(first) == 0:
        raise InputError("the molecule has no heavy atoms", reference.where)
    if sorted(reference.numbers[first]) != sorted(other.numbers[second]):
        raise InputError("the pose and the reference have different heavy atoms", other.where)
    for kinds in (True, False):
        graph = plain_graph(reference, kinds=kinds)[0]
        target = graph if pose is None else plain_graph(other, kinds=kinds)[0]
        matches = target.GetSubstructMatches(graph, uniquify=False, useChirality=False, maxMatches=limit + 1)
        if matches and graph.GetNumBonds() == target.GetNumBonds():
            return Symmetry(first, second[np.array(matches[:limit], dtype=np.int64)], _classes(graph),
                            len(matches) <= limit)  # fmt: skip
    raise InputError("the pose and the reference are not the same molecule: their bonds differ", other.where)


def _classes(graph: Mol) -> IntArray:
    from rdkit import Chem

    ranks = Chem.CanonicalRankAtoms(graph, breakTies=False, includeChirality=False)
    return np.array(list(ranks), dtype=np.int64)


def symmetric_rmsd(found: Symmetry, reference: FloatArray, poses: FloatArray) -> FloatArray:
    """Å over heavy atoms, the least over all exchanges, `[P]`.

    Parameters
    ----------
    found
        Of the reference and the poses.
    reference
        `[N, 3]`, all atoms of the reference.
    poses
        `[P, M, 3]`, all atoms of each pose.
    """
    target = reference[found.reference]
    if not found.exact:
        return np.array([_assigned(found, target, pose) for pose in poses])
    count = found.mappings.shape[1]
    squares = [_least_squares(target, pose, found.mappings) for pose in poses]
    return np.sqrt(np.array(squares, dtype=np.float64) / count)


def _least_squares(target: FloatArray, pose: FloatArray, mappings: IntArray) -> float:
    """Least sum of squared distances over the mappings, in blocks."""
    squares = ((target[:, None] - pose[None]) ** 2).sum(axis=2)
    rows = np.arange(len(target))
    step = max(1, _BLOCK // len(target))
    return min(float(squares[rows, mappings[k : k + step]].sum(axis=1).min()) for k in range(0, len(mappings), step))


def _assigned(found: Symmetry, target: FloatArray, pose: FloatArray) -> float:
    """RMSD of the best assignment within classes: never above that of any exchange."""
    from scipy.optimize import linear_sum_assignment

    moved = pose[found.mappings[0]]
    total = 0.0
    for kind in np.unique(found.classes):
        members = found.classes == kind
        squares = ((target[members][:, None] - moved[members][None]) ** 2).sum(axis=2)
        total += float(squares[linear_sum_assignment(squares)].sum())
    return float(np.sqrt(total / len(target)))


def centroid_distance(found: Symmetry, reference: FloatArray, poses: FloatArray) -> FloatArray:
    """Å between the means of the heavy atoms, `[P]`; shapes as in `symmetric_rmsd`."""
    atoms = found.mappings[0]
    return np.linalg.norm(poses[:, atoms].mean(axis=1) - reference[found.reference].mean(axis=0), axis=1)


def kabsch_rmsd(found: Symmetry, reference: FloatArray, poses: FloatArray) -> FloatArray:
    """Å after the best superposition (no mirror images), the least over all exchanges, `[P]`."""
    target = reference[found.reference]
    step = max(1, _BLOCK // (10 * len(target)))
    blocks = range(0, len(found.mappings), step)
    return np.array(
        [min(superposed_rmsds(target, pose[found.mappings[k : k + step]]).min() for k in blocks) for pose in poses]
    )
