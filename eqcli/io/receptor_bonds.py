"""Which atoms of a receptor are bonded, by their distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from eqcli.elements import COVALENT_RADII
from eqcli.io.atom_types import METALS
from eqcli.io.receptor_groups import Group
from eqcli.io.structure import FloatArray

ALLOWANCE = 1.15
"""Atoms nearer than this times the sum of their covalent radii are bonded."""

DISULFIDE = 2.5
"""Å. Two sulphurs nearer than this are bonded."""

COORDINATED = 2.8
"""Å. Nitrogen, oxygen and sulphur nearer than this to a metal are bound to it."""

HYDROGEN = 1.5
"""Å. The longest way from a hydrogen to its atom."""


@dataclass
class Atoms:
    """The atoms of a receptor with their bonds, metals apart.

    Attributes
    ----------
    numbers, positions, names, residue
        Per atom: atomic number, Å, name, index of its residue.
    groups
        The residues.
    neighbours
        Heavy atoms bonded to each heavy atom; empty for metals and hydrogens.
    hydrogens
        Hydrogens on each heavy atom.
    metal
        Whether a metal binds the atom.
    """

    numbers: NDArray[np.int64]
    positions: FloatArray
    names: list[str]
    residue: NDArray[np.int64]
    groups: list[Group]
    neighbours: list[list[int]]
    hydrogens: list[list[int]]
    metal: NDArray[np.bool_]


def atoms_of(groups: list[Group]) -> Atoms:
    """The atoms of residues in their order, with bonds."""
    atoms = [atom for group in groups for atom in group.atoms]
    numbers = np.array([atom.number for atom in atoms], dtype=np.int64)
    positions = np.array([atom.position for atom in atoms], dtype=np.float64).reshape(-1, 3)
    residue = np.repeat(np.arange(len(groups), dtype=np.int64), [len(group.atoms) for group in groups])
    names = [atom.name for atom in atoms]
    return Atoms(
        numbers=numbers,
        positions=positions,
        names=names,
        residue=residue,
        groups=groups,
        neighbours=_heavy_bonds(numbers, positions),
        hydrogens=_hydrogens(numbers, positions, residue),
        metal=_near_metal(numbers, positions),
    )


def _heavy_bonds(numbers: NDArray[np.int64], positions: FloatArray) -> list[list[int]]:
    bonds: list[list[int]] = [[] for _ in range(len(numbers))]
    heavy = np.flatnonzero((numbers > 1) & ~np.isin(numbers, list(METALS)))
    if len(heavy) < 2:
        return bonds
    radii = np.array(COVALENT_RADII)[numbers]
    longest = max(DISULFIDE, 2 * ALLOWANCE * float(radii[heavy].max()))
    pairs = heavy[cKDTree(positions[heavy]).query_pairs(longest, output_type="ndarray")]
    i, j = pairs[:, 0], pairs[:, 1]
    limit = ALLOWANCE * (radii[i] + radii[j])
    limit[(numbers[i] == 16) & (numbers[j] == 16)] = DISULFIDE
    near = np.linalg.norm(positions[i] - positions[j], axis=1) < limit
    for first, second in sorted(pairs[near].tolist()):
        bonds[first].append(second)
        bonds[second].append(first)
    return bonds


def _hydrogens(numbers: NDArray[np.int64], positions: FloatArray, residue: NDArray[np.int64]) -> list[list[int]]:
    """Each hydrogen belongs to the nearest heavy atom of its residue."""
    carried: list[list[int]] = [[] for _ in range(len(numbers))]
    hydrogens, heavy = np.flatnonzero(numbers == 1), np.flatnonzero(numbers > 1)
    if not len(hydrogens) or not len(heavy):
        return carried
    count = min(4, len(heavy))
    distances, nearest = cKDTree(positions[heavy]).query(positions[hydrogens], k=count, distance_upper_bound=HYDROGEN)
    for h, d, near in zip(hydrogens.tolist(), distances.reshape(-1, count), nearest.reshape(-1, count), strict=True):
        for k in near[np.isfinite(d)].tolist():
            if residue[heavy[k]] == residue[h]:
                carried[heavy[k]].append(h)
                break
    return carried


def _near_metal(numbers: NDArray[np.int64], positions: FloatArray) -> NDArray[np.bool_]:
    metals = np.isin(numbers, list(METALS))
    bound = np.zeros(len(numbers), dtype=bool)
    takers = np.flatnonzero(np.isin(numbers, (7, 8, 16)))
    if metals.any() and len(takers):
        distances, _ = cKDTree(positions[metals]).query(positions[takers], distance_upper_bound=COORDINATED)
        bound[takers[distances < COORDINATED]] = True
    return bound
