"""Hydrogens of atoms that no template knows, by the lengths and angles of their bonds.

Nitrogen, oxygen and sulphur of cofactors, nucleotides and modified residues. Acids are deprotonated, aliphatic amines
protonated, as at pH 7. Crystal structures are refined with restraints that keep these geometries apart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eqcli.io.receptor_bonds import Atoms

HYDROXYL = 1.30
"""Å. A single oxygen this far from its carbon is a hydroxyl group, and a carbonyl or carboxylate nearer."""

THIOL = 1.72
"""Å. The same of sulphur."""

IMINE = 1.30
"""Å. A carbon this near to nitrogen is bonded to it twice."""

ALIPHATIC = 1.42
"""Å. A carbon this far from nitrogen is no neighbour of pi electrons."""

NITRILE = 1.21
"""Å. A neighbour this near is bonded three times."""

RING_ANGLES = {6: 122.5, 5: 107.5}
"""Degrees. In rings of this size the angle at a nitrogen with a hydrogen is wider, and narrower without."""

FLAT = 348.0
"""Degrees. Sum of the angles at an atom with three neighbours from where it is flat."""


def hydrogens_by_geometry(atoms: Atoms, i: int) -> tuple[int, bool]:
    """How many hydrogens an atom has, and whether they lie in a plane with its neighbours."""
    rule = _RULES.get(int(atoms.numbers[i]))
    return (0, False) if rule is None or atoms.metal[i] else rule(atoms, i)


def angle_sum(atoms: Atoms, i: int, around: list[int]) -> float:
    """Sum of the angles between the bonds to three neighbours, degrees; 360 where all lie in a plane."""
    a, b, c = around
    return _angle(atoms, a, i, b) + _angle(atoms, b, i, c) + _angle(atoms, a, i, c)


def _angle(atoms: Atoms, a: int, i: int, b: int) -> float:
    u, v = atoms.positions[a] - atoms.positions[i], atoms.positions[b] - atoms.positions[i]
    cosine = float(u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _length(atoms: Atoms, i: int, j: int) -> float:
    return float(np.linalg.norm(atoms.positions[i] - atoms.positions[j]))


def _oxygen(atoms: Atoms, i: int) -> tuple[int, bool]:
    around = atoms.neighbours[i]
    if not around:
        return 2, False
    if len(around) > 1:
        return 0, False
    (j,) = around
    if atoms.numbers[j] in (5, 14):
        return 1, False
    if atoms.numbers[j] != 6 or _length(atoms, i, j) < HYDROXYL:
        return 0, False
    ends = [k for k in atoms.neighbours[j] if atoms.numbers[k] == 8 and len(atoms.neighbours[k]) == 1]
    return int(not (len(ends) == 2 and _flat(atoms, j))), False


def _flat(atoms: Atoms, j: int) -> bool:
    around = atoms.neighbours[j]
    return len(around) == 3 and angle_sum(atoms, j, around) > FLAT


def _sulphur(atoms: Atoms, i: int) -> tuple[int, bool]:
    around = atoms.neighbours[i]
    thiol = len(around) == 1 and atoms.numbers[around[0]] == 6 and _length(atoms, i, around[0]) > THIOL
    return int(thiol), False


def _nitrogen(atoms: Atoms, i: int) -> tuple[int, bool]:
    around = atoms.neighbours[i]
    if len(around) == 1:
        return _nitrogen_at_an_end(atoms, i, around[0])
    if len(around) == 2:
        return _nitrogen_between(atoms, i, around)
    if len(around) == 3:
        single = all(_length(atoms, i, j) > ALIPHATIC and atoms.numbers[j] == 6 for j in around)
        return int(single and angle_sum(atoms, i, around) < FLAT), False
    return 0, False


def _nitrogen_at_an_end(atoms: Atoms, i: int, j: int) -> tuple[int, bool]:
    length = _length(atoms, i, j)
    if length < NITRILE or atoms.numbers[j] == 7:
        return 0, False
    if atoms.numbers[j] != 6 or _flat(atoms, j) or length < ALIPHATIC - 0.04:
        return 2, True
    return 3, False


def _nitrogen_between(atoms: Atoms, i: int, around: list[int]) -> tuple[int, bool]:
    lengths = [_length(atoms, i, j) for j in around]
    angle = _angle(atoms, around[0], i, around[1])
    if angle > 150:
        return 0, False
    size = _ring(atoms, i)
    if size in RING_ANGLES and min(lengths) < ALIPHATIC:
        return int(_ring_hydrogen(atoms, i, size, angle)), True
    if all(length > ALIPHATIC and atoms.numbers[j] == 6 for length, j in zip(lengths, around, strict=True)):
        return 2, False
    double = min((d for d, j in zip(lengths, around, strict=True) if atoms.numbers[j] == 6), default=9.0) < IMINE
    return int(not double), True


def _ring_hydrogen(atoms: Atoms, i: int, size: int, angle: float) -> bool:
    """Of two such nitrogens in a ring of five the one with the wider angle has the hydrogen."""
    if angle <= RING_ANGLES[size]:
        return False
    if size == 6:
        return True
    rivals = [k for k in _reached(atoms, i, 2) if atoms.numbers[k] == 7 and len(atoms.neighbours[k]) == 2]
    rivals = [k for k in rivals if k != i and _ring(atoms, k) == 5 and not atoms.metal[k]]
    return all(_angle(atoms, atoms.neighbours[k][0], k, atoms.neighbours[k][1]) <= angle for k in rivals)


def _reached(atoms: Atoms, i: int, steps: int) -> set[int]:
    found = {i}
    for _ in range(steps):
        found |= {k for j in found for k in atoms.neighbours[j]}
    return found


def _ring(atoms: Atoms, i: int) -> int:
    """Size of the smallest ring of an atom with two neighbours, up to 7; 0 where there is none."""
    start, goal = atoms.neighbours[i]
    seen, edge = {i, start}, [start]
    for size in range(3, 8):
        edge = [k for j in edge for k in atoms.neighbours[j] if k not in seen]
        if goal in edge:
            return size
        seen.update(edge)
    return 0


_RULES: dict[int, Callable[[Atoms, int], tuple[int, bool]]] = {7: _nitrogen, 8: _oxygen, 16: _sulphur}
