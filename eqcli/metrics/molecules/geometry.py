"""The internal coordinates of molecules by type, and how often they show each element, bond, size and ring.

Types are written as in SMILES: `-` single, `=` double, `#` triple, `:` aromatic. Where RDKit sanitises a molecule,
aromatic bonds are those that it finds, so that Kekulé and aromatic forms of one molecule have the same types; where
it does not, bonds are taken as they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.errors import InputError
from eqcli.io.rdkit_molecule import molecule_of, sanitised
from eqcli.io.structure import Structure
from eqcli.metrics.work import Outcome, measure
from eqcli.progress import Reporter

if TYPE_CHECKING:
    from rdkit.Chem import Mol

FloatArray = NDArray[np.float64]
Bonds = Sequence[Sequence[float]]
Neighbours = list[dict[int, float]]
"""For each atom the order of the bond to each neighbour."""

ORDERS = {0.0: "~", 1.0: "-", 1.5: ":", 2.0: "=", 3.0: "#", 4.0: "$"}
STRAIGHT = 175.0
"""Degrees. A torsion about a bond with an angle beyond it (or below 180° less it) turns freely and says nothing."""


@dataclass(frozen=True)
class Geometry:
    """The internal coordinates of one molecule and what it is made of.

    Attributes
    ----------
    lengths
        Å by type of bond, e.g. `C=O`; carbon stands first, hydrogen last, others by the alphabet.
    angles
        Degrees, 0 to 180, by the two bonds about the middle atom, e.g. `C-C=O`.
    torsions
        Degrees, -180 to 180, by type of the middle bond; every pair of neighbours of its ends counts.
    elements, bond_orders, ring_sizes
        How often there is each; rings are a smallest set of smallest rings.
    hybridisations
        How often RDKit finds each, e.g. `SP2`; None where it cannot sanitise the molecule.
    n_atoms, rings
        Numbers of atoms, hydrogens among them, and of rings.
    """

    lengths: dict[str, FloatArray]
    angles: dict[str, FloatArray]
    torsions: dict[str, FloatArray]
    elements: dict[str, int]
    bond_orders: dict[str, int]
    ring_sizes: dict[int, int]
    hybridisations: dict[str, int] | None
    n_atoms: int
    rings: int


def geometry_of(structure: Structure, bonds: Bonds | None = None) -> Geometry:
    """The internal coordinates with the given bonds, or else those of `info["bonds"]`.

    Raises
    ------
    InputError
        There are no bonds or no atoms, or they are not bonds of these atoms; a position is not finite; bonded atoms
        lie upon each other.
    """
    if len(structure) == 0:
        raise InputError("it has no atoms", structure.where)
    molecule = molecule_of(structure, bonds=bonds)
    hybridised: Counter[str] | None = None
    try:
        molecule = sanitised(molecule)
        hybridised = Counter(str(atom.GetHybridization()) for atom in molecule.GetAtoms())
    except InputError:
        pass  # It is measured as it stands; that it is invalid is said elsewhere.
    neighbours, order_counts = _neighbours(molecule)
    sizes = _ring_sizes(molecule)
    return Geometry(
        *_coordinates(structure, neighbours),
        elements=dict(Counter(SYMBOLS[z] for z in structure.numbers.tolist())),
        bond_orders=order_counts,
        ring_sizes=dict(Counter(sizes)),
        hybridisations=None if hybridised is None else dict(hybridised),
        n_atoms=len(structure),
        rings=len(sizes),
    )


def geometries(
    structures: Sequence[Structure],
    bonds: Sequence[Bonds] | None = None,
    *,
    workers: int | None = None,
    timeout: float | None = 10.0,
    report: Reporter | None = None,
) -> list[Outcome[Geometry]]:
    """`geometry_of` each structure with its bonds, or why it has none."""
    given: Iterable[Bonds | None] = [None] * len(structures) if bonds is None else bonds
    items = list(zip(structures, given, strict=True))
    return measure(_of_pair, items, workers=workers, timeout=timeout, label="geometry", report=report)


def _of_pair(item: tuple[Structure, Bonds | None]) -> Geometry:
    return geometry_of(*item)


def _neighbours(molecule: Mol) -> tuple[Neighbours, dict[str, int]]:
    neighbours: Neighbours = [{} for _ in range(molecule.GetNumAtoms())]
    counts: Counter[str] = Counter()
    for bond in molecule.GetBonds():
        i, j, order = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondTypeAsDouble()
        neighbours[i][j] = neighbours[j][i] = order
        counts[ORDERS.get(order, "~")] += 1
    return neighbours, dict(counts)


def _ring_sizes(molecule: Mol) -> list[int]:
    from rdkit import Chem

    # Sanitising finds a symmetric set, which has more rings in cages; all molecules are to be counted alike.
    return [len(ring) for ring in Chem.GetSSSR(Chem.Mol(molecule))]


def _coordinates(
    structure: Structure, neighbours: Neighbours
) -> tuple[dict[str, FloatArray], dict[str, FloatArray], dict[str, FloatArray]]:
    """Lengths, angles and torsions by type."""
    places, symbols = structure.positions, [SYMBOLS[z] for z in structure.numbers.tolist()]
    pairs = [(i, j) for i, near in enumerate(neighbours) for j in near if i < j]
    triples = [(i, j, k) for j, near in enumerate(neighbours) for i, k in combinations(near, 2)]
    fours = [
        (i, j, k, m) for j, k in pairs for i in neighbours[j] if i != k for m in neighbours[k] if m != j and m != i
    ]

    def bond_type(i: int, j: int) -> str:
        one, other = sorted((symbols[i], symbols[j]), key=_rank)
        return one + ORDERS.get(neighbours[i][j], "~") + other

    def angle_type(i: int, j: int, k: int) -> str:
        ends = sorted(((i, neighbours[j][i]), (k, neighbours[j][k])), key=lambda end: (_rank(symbols[end[0]]), end[1]))
        (first, one), (last, other) = ends
        return symbols[first] + ORDERS.get(one, "~") + symbols[j] + ORDERS.get(other, "~") + symbols[last]

    lengths = np.linalg.norm(_between(places, pairs, 0, 1), axis=1)
    if (lengths < 1e-6).any():
        i, j = pairs[int(lengths.argmin())]
        raise InputError(f"the bonded atoms {i + 1} and {j + 1} lie upon each other", structure.where)
    angles = _angles(_between(places, triples, 1, 0), _between(places, triples, 1, 2))
    torsions, bent = _torsions(places, fours)
    return (
        _by_type([bond_type(*pair) for pair in pairs], lengths),
        _by_type([angle_type(*triple) for triple in triples], angles),
        _by_type([bond_type(four[1], four[2]) for four, is_bent in zip(fours, bent, strict=True) if is_bent], torsions),
    )


def _rank(symbol: str) -> tuple[bool, bool, str]:
    """Carbon first, hydrogen last."""
    return symbol != "C", symbol == "H", symbol


def _between(places: FloatArray, rows: Sequence[tuple[int, ...]], start: int, end: int) -> FloatArray:
    """Vectors from one column of atoms to another, `[n, 3]`."""
    if not rows:
        return np.zeros((0, 3))
    atoms = np.array(rows, dtype=np.int64)
    return places[atoms[:, end]] - places[atoms[:, start]]


def _angles(first: FloatArray, second: FloatArray) -> FloatArray:
    """Degrees between vectors; the arctangent is exact near 0 and 180°, where the cosine is not."""
    sine = np.linalg.norm(np.cross(first, second), axis=1)
    return np.degrees(np.arctan2(sine, (first * second).sum(axis=1)))


def _torsions(places: FloatArray, fours: Sequence[tuple[int, ...]]) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Degrees of those torsions that are defined, and which these are; IUPAC's sign, clockwise positive."""
    a, b, c = (_between(places, fours, k, k + 1) for k in range(3))
    one, other = _angles(-a, b), _angles(-b, c)
    bent = (one < STRAIGHT) & (other < STRAIGHT) & (one > 180 - STRAIGHT) & (other > 180 - STRAIGHT)
    a, b, c = a[bent], b[bent], c[bent]
    left, right = np.cross(a, b), np.cross(b, c)
    sine = (np.cross(left, right) * b).sum(axis=1) / np.linalg.norm(b, axis=1)
    return np.degrees(np.arctan2(sine, (left * right).sum(axis=1))), bent


def _by_type(types: Sequence[str], values: FloatArray) -> dict[str, FloatArray]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(types):
        rows.setdefault(name, []).append(row)
    return {name: values[chosen] for name, chosen in rows.items()}
