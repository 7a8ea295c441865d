"""Which atoms of two molecules may stand for each other: by their graphs, or by the largest graph that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.io.molecule_graph import plain_graph
from eqcli.io.structure import Structure

if TYPE_CHECKING:
    from rdkit.Chem import Mol

IntArray = NDArray[np.int64]

LIMIT = 20_000
"""Mappings of heavy atoms that are tried one by one."""

LIMIT_ALL = 5_000
"""The same with hydrogens; beyond it, these follow the heavy atoms."""

SEARCH = 20
"""Seconds that the search for the largest common substructure may take."""


@dataclass(frozen=True)
class AtomMappings:
    """Ways in which atoms of the target stand for atoms of the source.

    Attributes
    ----------
    atoms
        Source atoms, one row for each way, `[A, n]`.
    others
        The target atom of each, `[A, n]`.
    exact
        Whether these are all ways.
    """

    atoms: IntArray
    others: IntArray
    exact: bool = True


def graph_mappings(source: Structure, target: Structure, *, hydrogens: bool, kinds: bool) -> AtomMappings | None:
    """All ways for molecules with the same graph; None where the graphs differ. Both must have bonds.

    Where `kinds` of bonds count but differ (another tautomer, another program), elements and neighbours decide.
    """
    limit = LIMIT_ALL if hydrogens else LIMIT
    for strict in (True, False) if kinds else (False,):
        one, atoms = plain_graph(source, kinds=strict, hydrogens=hydrogens)
        other, others = plain_graph(target, kinds=strict, hydrogens=hydrogens)
        if one.GetNumAtoms() != other.GetNumAtoms() or one.GetNumBonds() != other.GetNumBonds() or not len(atoms):
            continue
        matches = other.GetSubstructMatches(one, uniquify=False, useChirality=False, maxMatches=limit + 1)
        if matches:
            ways = others[np.array(matches[:limit], dtype=np.int64)]
            return AtomMappings(np.broadcast_to(atoms, ways.shape), ways, len(matches) <= limit)
    return None


def atom_classes(source: Structure, target: Structure) -> tuple[IntArray, IntArray]:
    """Classes of the heavy atoms of two molecules with the same graph: only like ones are ever exchanged."""
    from rdkit import Chem

    ranks = []
    for structure in (source, target):
        graph, _ = plain_graph(structure, kinds=False)
        ranks.append(np.array(list(Chem.CanonicalRankAtoms(graph, breakTies=False, includeChirality=False))))
    return ranks[0].astype(np.int64), ranks[1].astype(np.int64)


def common_mappings(source: Structure, target: Structure, *, kinds: bool) -> AtomMappings | None:
    """All ways to lay the largest common substructure of the heavy atoms; None where it has fewer than three atoms."""
    from rdkit.Chem import rdFMCS

    one, atoms = plain_graph(source, kinds=kinds)
    other, others = plain_graph(target, kinds=kinds)
    if not one.GetNumBonds() or not other.GetNumBonds():
        return None
    for graph in (one, other):
        _find_rings(graph)
    compare = rdFMCS.BondCompare.CompareOrderExact if kinds else rdFMCS.BondCompare.CompareAny
    found = rdFMCS.FindMCS(
        [one, other], bondCompare=compare, ringMatchesRingOnly=True, completeRingsOnly=True, timeout=SEARCH
    )
    if found.numAtoms < 3:
        return None
    query = found.queryMol
    first = one.GetSubstructMatches(query, uniquify=True, maxMatches=200)
    second = other.GetSubstructMatches(query, uniquify=False, maxMatches=LIMIT // max(len(first), 1))
    if not first or not second:
        return None
    here = atoms[np.repeat(np.array(first), len(second), axis=0)]
    there = others[np.tile(np.array(second), (len(first), 1))]
    return AtomMappings(here, there, not found.canceled and len(here) < LIMIT)


def _find_rings(graph: Mol) -> None:
    from rdkit import Chem

    Chem.GetSymmSSSR(graph)
