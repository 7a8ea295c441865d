"""Atoms of a pose that lie too near: to the receptor, or to each other.

Both rules are PoseBusters' (Buttenschoen et al., Chem. Sci. 15, 3130 (2024)), which judges a pose by its worst pair;
here the pairs are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.io.atom_types import METALS
from eqcli.io.rdkit_molecule import molecule_of, sanitised

if TYPE_CHECKING:
    from eqcli.io.ligand import Ligand
    from eqcli.io.receptor import Receptor

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NEAREST = 0.75
"""Heavy atoms of ligand and receptor clash below this times the sum of their van der Waals radii."""

NEAREST_WITHIN = 0.7
"""Heavy atoms of one ligand clash below this times the lower bound of distance geometry."""


def receptor_clashes(ligand: Ligand, positions: FloatArray, receptor: Receptor) -> list[int]:
    """Pairs of heavy atoms, ligand and receptor, that clash in each pose `[P, N, 3]`.

    Metals and their neighbours are bonded: covalent radii stand for van der Waals radii there.
    """
    from scipy.spatial import cKDTree

    chosen = ligand.structure.numbers > 1
    mine, theirs = ligand.structure.numbers[chosen], receptor.structure.numbers[receptor.heavy]
    tree = cKDTree(receptor.structure.positions[receptor.heavy])
    loose, tight = _radii(mine), _radii(theirs)
    reach = NEAREST * (loose[0].max(initial=0.0) + tight[0].max(initial=0.0))
    counts = []
    for pose in positions:
        near = cKDTree(pose[chosen]).sparse_distance_matrix(tree, reach, output_type="ndarray")
        i, j = near["i"], near["j"]
        kind = np.isin(mine[i], _METALS) | np.isin(theirs[j], _METALS)
        sums = np.where(kind, loose[1][i] + tight[1][j], loose[0][i] + tight[0][j])
        counts.append(int((near["v"] < NEAREST * sums).sum()))
    return counts


def self_clashes(ligand: Ligand, positions: FloatArray) -> list[int]:
    """Pairs of heavy atoms of the ligand that clash in each pose `[P, N, 3]`, at least three bonds apart.

    Raises InputError where the molecule of the ligand cannot be sanitised.
    """
    from rdkit.Chem import GetDistanceMatrix
    from rdkit.Chem.rdDistGeom import GetMoleculeBoundsMatrix
    from rdkit.DistanceGeometry import DoTriangleSmoothing

    molecule = sanitised(molecule_of(ligand.structure))
    bounds = GetMoleculeBoundsMatrix(molecule, set15bounds=True, scaleVDW=True, doTriangleSmoothing=False)
    DoTriangleSmoothing(bounds)
    heavy = ligand.structure.numbers > 1
    counted = np.triu(heavy[:, None] & heavy[None, :] & (GetDistanceMatrix(molecule) > 2), k=1)
    i, j = np.nonzero(counted)
    lowest = np.asarray(bounds)[j, i]
    distances = np.linalg.norm(positions[:, i] - positions[:, j], axis=2)
    return [int(count) for count in (distances < NEAREST_WITHIN * lowest).sum(axis=1)]


_METALS = np.array(sorted(METALS), dtype=np.int64)


def _radii(numbers: IntArray) -> tuple[FloatArray, FloatArray]:
    """Van der Waals and covalent radii in Å."""
    from rdkit.Chem import GetPeriodicTable

    table = GetPeriodicTable()
    known = {int(z): (table.GetRvdw(int(z)), table.GetRcovalent(int(z))) for z in np.unique(numbers)}
    return np.array([known[int(z)][0] for z in numbers]), np.array([known[int(z)][1] for z in numbers])
