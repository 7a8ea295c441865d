"""What of a ligand turns, which of its atom pairs are scored, and the types of its atoms.

The rules are those by which ligands come to AutoDock Vina, so that scores are comparable: bonds turn as in Meeko
(Forli group, AutoDockTools' successor), atoms are typed and pairs and torsions counted as in Vina (Trott and Olson,
J. Comput. Chem. 31, 455 (2010); Eberhardt et al., J. Chem. Inf. Model. 61, 3891 (2021)). Rings are rigid, large ones
too: their shapes come from conformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.io.ligand_types import ligand_types
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.rotors import Axis, axes_of, rotor_tree

if TYPE_CHECKING:
    from eqcli.io.ligand import Ligand

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SEPARATION = 3
"""Atoms so many bonds apart, or fewer, have no score with each other."""


@dataclass(frozen=True)
class LigandTopology:
    """Numbers that a search over poses needs; atoms count from 0, in the order of the ligand.

    Attributes
    ----------
    types
        `AtomType` of each atom, -1 for hydrogens, `[N]`.
    rotatable
        Axes `i -> j`, `[T, 2]`. `i` and `j` are bonded, but for `R-C#C-R'`, where they are `R` and `R'`: the atoms
        between them lie on the axis. Rotors of hydrogens alone (methyl, hydroxyl, ammonium) are not among them.
    moved
        Atoms that turn about each axis, `[T, N]`: those beyond `j`, the smaller side, without `i` and `j`.
    quadruples
        Atoms `k, i, j, l` of the dihedral that stands for each axis, `[T, 4]`; heavy ones where there are any.
    pairs
        Heavy atoms whose intramolecular score counts, `[M, 2]`, `i < j`: more than three bonds apart and in different
        rigid pieces, as Vina takes the pieces.
    torsion_count
        Vina's number of torsions in `affinity = inter / (1 + 0.05846 torsion_count)`. An axis counts half for each of
        its two ends that has another heavy neighbour, so that hydroxyl and ammonium count half.
    heavy
        Whether each atom is heavier than hydrogen, `[N]`.
    """

    types: IntArray
    rotatable: IntArray
    moved: BoolArray
    quadruples: IntArray
    pairs: IntArray
    torsion_count: float
    heavy: BoolArray


def topology(ligand: Ligand) -> LigandTopology:
    """The topology of a ligand. Raises InputError where its molecule cannot be sanitised or an element has no type."""
    molecule = sanitised(molecule_of(ligand.structure))
    numbers = ligand.structure.numbers
    neighbours = [[a.GetIdx() for a in atom.GetNeighbors()] for atom in molecule.GetAtoms()]
    tree = rotor_tree(molecule)
    axes = axes_of(molecule, tree.turning)
    count = len(numbers)
    heavy = numbers > 1
    return LigandTopology(
        types=ligand_types(molecule),
        rotatable=np.array([(axis.i, axis.j) for axis in axes], dtype=np.int64).reshape(-1, 2),
        moved=_mask(axes, count),
        quadruples=np.array([_quadruple(axis, neighbours, heavy) for axis in axes], dtype=np.int64).reshape(-1, 4),
        pairs=_pairs(tree.pieces, neighbours, heavy),
        torsion_count=_torsion_count(tree.turning, neighbours, heavy),
        heavy=heavy,
    )


def _mask(axes: list[Axis], count: int) -> BoolArray:
    moved = np.zeros((len(axes), count), dtype=bool)
    for row, axis in zip(moved, axes, strict=True):
        row[axis.moved] = True
    return moved


def _quadruple(axis: Axis, neighbours: list[list[int]], heavy: BoolArray) -> tuple[int, int, int, int]:
    """The reference dihedral: the first heavy neighbour on each side, or else the first hydrogen."""
    on_axis = {axis.i, axis.j, *axis.between}
    ends = []
    for end in (axis.i, axis.j):
        candidates = [n for n in neighbours[end] if n not in on_axis]
        ends.append(min(candidates, key=lambda n: (not heavy[n], n)))
    return ends[0], axis.i, axis.j, ends[1]


def _pairs(pieces: list[set[int]], neighbours: list[list[int]], heavy: BoolArray) -> IntArray:
    free = np.triu(heavy[:, None] & heavy[None, :], k=1)
    for start in np.flatnonzero(heavy).tolist():
        free[start, list(_within(start, neighbours, SEPARATION))] = False
    for piece in pieces:
        atoms = sorted(piece)
        free[np.ix_(atoms, atoms)] = False
    return np.argwhere(free).astype(np.int64)


def _within(start: int, neighbours: list[list[int]], bonds: int) -> set[int]:
    """Atoms at most so many bonds away."""
    found = {start}
    edge = {start}
    for _ in range(bonds):
        edge = {n for atom in edge for n in neighbours[atom]} - found
        found |= edge
    return found


def _torsion_count(turning: list[tuple[int, int]], neighbours: list[list[int]], heavy: BoolArray) -> float:
    degree = [sum(bool(heavy[n]) for n in atoms) for atoms in neighbours]
    return 0.5 * sum((degree[a] > 1) + (degree[b] > 1) for a, b in turning if heavy[a] and heavy[b])
