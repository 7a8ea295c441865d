"""Hydrogens of atoms that no template knows, by the lengths and angles of their bonds.

Nitrogen, oxygen and sulphur of cofactors, nucleotides and modified residues. Acids are deprotonated, aliphatic amines
protonated, as at pH 7. Crystal structures are refined with restraints that keep these geometries apart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eqcli.io.receptor_bonds import Atoms
from eqcli.io.receptor_groups import Kind

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

LACTIM, AZINE = 121.5, 122.5
"""Degrees. In rings of six the angle at a nitrogen with a hydrogen is wider: beside a carbonyl group, and elsewhere."""

OXIME = 1.34
"""Å. An oxygen this far from its nitrogen is a hydroxyl group."""

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
        return (2 if atoms.groups[int(atoms.residue[i])].kind is Kind.WATER else 0), False
    if len(around) > 1:
        return 0, False
    (j,) = around
    if atoms.numbers[j] == 7:
        return int(len(atoms.neighbours[j]) == 2 and _length(atoms, i, j) > OXIME), False
    if atoms.numbers[j] in (5, 14):
        return 1, False
    if atoms.numbers[j] != 6 or _length(atoms, i, j) < HYDROXYL:
        return 0, False
    return int(not (len(_ends(atoms, j)) == 2 and _flat(atoms, j))), False


def _ends(atoms: Atoms, j: int) -> list[int]:
    """Oxygens that are bonded to this atom alone."""
    return [k for k in atoms.neighbours[j] if atoms.numbers[k] == 8 and len(atoms.neighbours[k]) == 1]


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
    carbons = [(d, j) for d, j in zip(lengths, around, strict=True) if atoms.numbers[j] == 6]
    if angle > 150:
        return 0, False
    if len(carbons) == 2 and min(lengths) > ALIPHATIC and not any(_flat(atoms, j) for j in around):
        return 2, False
    ring = _ring(atoms, i)
    if len(ring) == 5:
        return int(_in_ring_of_five(atoms, i, ring, angle)), True
    if len(ring) == 6:
        carbonyls = sum(any(_length(atoms, j, k) < HYDROXYL for k in _ends(atoms, j)) for j in around)
        return int(angle > (0.0, LACTIM, AZINE)[2 - carbonyls]), True
    double = [j for d, j in carbons if d < IMINE]
    # An amidine or guanidine is protonated.
    amidine = any(sum(atoms.numbers[k] == 7 for k in atoms.neighbours[j]) > 1 for j in double)
    return int(not double or amidine), True


def _in_ring_of_five(atoms: Atoms, i: int, ring: list[int], angle: float) -> bool:
    """The nitrogen with the widest angle has the hydrogen, unless another atom of the ring gives its electrons."""
    numbers = atoms.numbers[ring]
    if np.isin(numbers, (8, 16)).any() or (numbers == 7).sum() > 3:
        return False
    nitrogens = [k for k in ring if atoms.numbers[k] == 7]
    if any(len(atoms.neighbours[k]) > 2 for k in nitrogens):
        return False
    angles = {k: _angle(atoms, atoms.neighbours[k][0], k, atoms.neighbours[k][1]) for k in nitrogens}
    return all(angles[k] <= angle or atoms.metal[k] for k in nitrogens)


def _ring(atoms: Atoms, i: int) -> list[int]:
    """The smallest ring of an atom with two neighbours, up to six atoms; empty where there is none."""
    start, goal = atoms.neighbours[i]
    paths = [[i, start]]
    for _ in range(4):
        paths = [[*path, k] for path in paths for k in atoms.neighbours[path[-1]] if k not in path]
        closed = next((path for path in paths if path[-1] == goal), None)
        if closed is not None:
            return closed
    return []


_RULES: dict[int, Callable[[Atoms, int], tuple[int, bool]]] = {7: _nitrogen, 8: _oxygen, 16: _sulphur}
