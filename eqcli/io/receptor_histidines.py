"""Which nitrogen of a neutral histidine has the hydrogen: the one whose hydrogen finds an acceptor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from eqcli.io.receptor_bonds import Atoms
from eqcli.io.receptor_groups import Kind
from eqcli.io.receptor_residues import PARENTS
from eqcli.io.structure import FloatArray

REACH = 3.4
"""Å. Longest hydrogen bond of a ring nitrogen that counts."""

NARROW = 0.6
"""Least cosine between the bond's direction and that of the lone pair or hydrogen."""

MARGIN = 0.2
"""By how much HD1 must bond better than HE2 to be chosen."""

_RINGS = {"ND1": ("CG", "CE1"), "NE2": ("CD2", "CE1")}
_HYDROXYLS = frozenset((("SER", "OG"), ("THR", "OG1"), ("TYR", "OH")))


def delta_histidines(atoms: Atoms) -> set[int]:
    """Residues whose hydrogen is on ND1 if they are neutral histidines; for all others HE2 is as good or better.

    A bond counts the more the shorter and straighter it is; one with a donor in the place of an acceptor counts
    against the nitrogen. Hydroxyl groups and waters, which do either, do not count.
    """
    rings = _histidines(atoms)
    if not rings:
        return set()
    character = _character(atoms)
    partners = np.flatnonzero(character)
    tree = cKDTree(atoms.positions[partners]) if len(partners) else None
    chosen = set()
    for residue, index in rings.items():
        if tree is not None:
            scores = [_score(atoms, index, name, partners, character, tree) for name in ("ND1", "NE2")]
            if scores[0] - scores[1] > MARGIN:
                chosen.add(residue)
    return chosen


def _histidines(atoms: Atoms) -> dict[int, dict[str, int]]:
    rings: dict[int, dict[str, int]] = {}
    for i, residue in enumerate(atoms.residue.tolist()):
        name = atoms.groups[residue].name
        if PARENTS.get(name, name) == "HIS" and atoms.numbers[i] > 1:
            rings.setdefault(residue, {})[atoms.names[i]] = i
    return {k: index for k, index in rings.items() if {"ND1", "NE2", "CG", "CE1", "CD2"} <= set(index)}


def _character(atoms: Atoms) -> NDArray[np.int64]:
    """1 for oxygens that accept alone, -1 for nitrogens of amino acids that give, 0 for all else, `[N]`."""
    signs = np.zeros(len(atoms.numbers), dtype=np.int64)
    for i in np.flatnonzero(np.isin(atoms.numbers, (7, 8))).tolist():
        group = atoms.groups[int(atoms.residue[i])]
        parent = PARENTS.get(group.name, group.name)
        if atoms.numbers[i] == 8:
            signs[i] = group.kind is not Kind.WATER and (parent, atoms.names[i]) not in _HYDROXYLS
        elif group.kind is Kind.AMINO_ACID and not (parent == "HIS" and atoms.names[i] in _RINGS):
            signs[i] = -1
    return signs


def _score(
    atoms: Atoms,
    index: dict[str, int],
    name: str,
    partners: NDArray[np.int64],
    character: NDArray[np.int64],
    tree: cKDTree,
) -> float:
    x: FloatArray = atoms.positions
    i = index[name]
    behind = (x[index[_RINGS[name][0]]] + x[index[_RINGS[name][1]]]) / 2
    outwards = (x[i] - behind) / np.linalg.norm(x[i] - behind)
    total = 0.0
    for j in partners[tree.query_ball_point(x[i], REACH)].tolist():
        if atoms.residue[j] != atoms.residue[i]:
            length = float(np.linalg.norm(x[j] - x[i]))
            cosine = float((x[j] - x[i]) @ outwards) / length
            total += float(character[j]) * cosine * (4.0 - length) if cosine > NARROW else 0.0
    return total
