"""Which bonds of a ligand turn, and the tree of its rigid pieces.

A bond turns where it is single, in no ring and no conjugated amide, and where something on both of its sides is off
its axis. The root of the tree is the middle of the molecule, as Meeko chooses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdkit.Chem import Mol

Edge = tuple[int, int]

AMIDE = "[NX3]-[CX3]=[O,N,S]"
"""Amides, thioamides, amidines, guanidines, carbamates and ureas keep the bond of nitrogen and carbon."""
TERTIARY_AMIDE = "[NX3]([!#1])([!#1])-[CX3]=[O,N,S]"
"""They do not where nitrogen has two different groups, because either may be cis."""
ALKYNE = "[*]-[*]#[*]-[*]"
NITRILE = "[*]-[*]#[*X1]"


@dataclass(frozen=True)
class RotorTree:
    """The rigid pieces of a molecule.

    Attributes
    ----------
    turning
        Bonds that turn, those of hydroxyl and the like too, from the piece nearer to the root.
    pieces
        For each rigid piece its atoms and the near atom of every piece beside it, which lies on the axis between them.
    """

    turning: list[Edge]
    pieces: list[set[int]]


@dataclass(frozen=True)
class Axis:
    """An axis `i -> j`, the atoms beyond `j` that turn, and those that lie on the axis between the two."""

    i: int
    j: int
    moved: list[int]
    between: tuple[int, ...] = ()


def single_bonds(molecule: Mol) -> set[Edge]:
    """Bonds `(i, j)`, `i < j`, about which the molecule may turn, also where nothing would move."""
    return ({_sorted(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds() if _is_single(b)}
            - _amides(molecule) - _beside_triple(molecule)) | _triple(molecule)  # fmt: skip


def _is_single(bond: Any) -> bool:
    from rdkit.Chem import BondType

    return bond.GetBondType() == BondType.SINGLE and not bond.IsInRing()


def _sorted(i: int, j: int) -> Edge:
    return (i, j) if i < j else (j, i)


def _matches(molecule: Mol, pattern: str) -> list[tuple[int, ...]]:
    from rdkit import Chem

    return list(molecule.GetSubstructMatches(Chem.MolFromSmarts(pattern), maxMatches=100_000))


def _amides(molecule: Mol) -> set[Edge]:
    from rdkit import Chem

    found = [_sorted(match[0], match[1]) for match in _matches(molecule, AMIDE)]
    tertiary = _matches(molecule, TERTIARY_AMIDE)
    if tertiary:
        ranks = list(Chem.CanonicalRankAtoms(molecule, breakTies=False))
        for nitrogen, first, second, carbon, _ in tertiary:
            edge = _sorted(nitrogen, carbon)
            # A guanidine matches once for each of its double bonds.
            if ranks[first] != ranks[second] and edge in found:
                found.remove(edge)
    return set(found)


def _beside_triple(molecule: Mol) -> set[Edge]:
    alkynes = _matches(molecule, ALKYNE)
    rigid = {_sorted(m[0], m[1]) for m in alkynes} | {_sorted(m[2], m[3]) for m in alkynes}
    return rigid | {_sorted(m[0], m[1]) for m in _matches(molecule, NITRILE)}


def _triple(molecule: Mol) -> set[Edge]:
    return {
        _sorted(m[1], m[2])
        for m in _matches(molecule, ALKYNE)
        if not molecule.GetBondBetweenAtoms(m[1], m[2]).IsInRing()
    }


def rotor_tree(molecule: Mol) -> RotorTree:
    """The tree of a sanitised molecule with all its hydrogens."""
    bonds = single_bonds(molecule)
    polar = [_is_kept(atom) for atom in molecule.GetAtoms()]
    neighbours = [[a.GetIdx() for a in atom.GetNeighbors() if polar[a.GetIdx()]] for atom in molecule.GetAtoms()]
    groups, links = _grouped(neighbours, polar, bonds)
    root = _root(groups, links)
    _merge_single_atoms(groups, links, root)
    return _hung_from(root, groups, links)


def _is_kept(atom: Any) -> bool:
    """Heavy atoms and the hydrogens that can be donated: hydrogens on carbon are no part of the tree."""
    if atom.GetAtomicNum() > 1:
        return True
    return any(n.GetAtomicNum() in (7, 8, 9, 15, 16) for n in atom.GetNeighbors())


Groups = dict[int, list[int]]
Links = dict[int, dict[int, Edge]]
"""For each group its neighbours, and the bond to each: an atom of this one, an atom of the other."""


def _grouped(neighbours: list[list[int]], kept: list[bool], turning: set[Edge]) -> tuple[Groups, Links]:
    """Groups of atoms with no turning bond between them, numbered from the first atom outwards, depth first."""
    groups: Groups = {}
    links: Links = {}
    group_of: dict[int, int] = {}
    for first in range(len(neighbours)):
        if not kept[first] or first in group_of:
            continue
        waiting: list[tuple[int | None, Edge]] = [(None, (first, first))]
        while waiting:
            parent, (begin, start) = waiting.pop()
            if start in group_of:
                continue
            number = len(groups)
            groups[number], links[number] = [start], {}
            group_of[start] = number
            if parent is not None:
                links[parent][number], links[number][parent] = (begin, start), (start, begin)
            sprouts = _fill(number, groups[number], group_of, neighbours, turning)
            waiting.extend((number, edge) for edge in reversed(sprouts))
    return groups, links


def _fill(
    number: int, members: list[int], group_of: dict[int, int], neighbours: list[list[int]], turning: set[Edge]
) -> list[Edge]:
    """Completes a group; the turning bonds that lead out of it."""
    sprouts: list[Edge] = []
    for atom in members:
        for other in neighbours[atom]:
            if other in group_of:
                continue
            if _sorted(atom, other) in turning:
                sprouts.append((atom, other))
            else:
                group_of[other] = number
                members.append(other)
    return sprouts


def _root(groups: Groups, links: Links) -> int:
    """The group that is left when leaves are taken off, round by round; the larger one where two are left."""
    left = {group: set(near) for group, near in links.items()}
    while len(left) > 2:
        leaves = [group for group, near in left.items() if len(near) <= 1]
        for leaf in leaves:
            for other in left.pop(leaf):
                left[other].discard(leaf)
    return max(left, key=lambda group: (len(groups[group]), -group)) if left else 0


def _merge_single_atoms(groups: Groups, links: Links, root: int) -> None:
    """Joins groups of one atom at the end of a bond with their neighbour: to turn them moves nothing."""
    single = [g for g, members in groups.items() if len(members) == 1 and len(links[g]) == 1 and g != root]
    for group in single:
        (host,) = links.pop(group)
        groups[host] += groups.pop(group)
        del links[host][group]


def _hung_from(root: int, groups: Groups, links: Links) -> RotorTree:
    turning: list[Edge] = []
    pieces: list[set[int]] = []
    waiting: list[tuple[int, int | None]] = [(root, None)]
    while waiting:
        group, parent = waiting.pop()
        children = [other for other in links[group] if other != parent]
        turning += [links[group][child] for child in children]
        # The near ends of the next pieces lie on the axes about which these turn.
        pieces.append({*groups[group], *(end for _, end in links[group].values())})
        waiting += [(child, group) for child in children]
    return RotorTree(turning, pieces)


def axes_of(molecule: Mol, turning: list[Edge]) -> list[Axis]:
    """Axes about which heavy atoms turn, in the order of their atoms; one for each chain of triple bonds."""
    neighbours = [[a.GetIdx() for a in atom.GetNeighbors()] for atom in molecule.GetAtoms()]
    heavy = [atom.GetAtomicNum() > 1 for atom in molecule.GetAtoms()]
    straight = _straight(molecule)
    axes: dict[Edge, Axis] = {}
    for a, b in turning:
        axis = _axis(neighbours, heavy, straight, _sorted(a, b))
        if axis is not None:
            axes[_sorted(axis.i, axis.j)] = axis
    return [axes[edge] for edge in sorted(axes)]


def _straight(molecule: Mol) -> set[int]:
    """Atoms with a triple bond and one more neighbour."""
    from rdkit.Chem import BondType

    ends = [bond for bond in molecule.GetBonds() if bond.GetBondType() == BondType.TRIPLE and not bond.IsInRing()]
    atoms = [atom for bond in ends for atom in (bond.GetBeginAtom(), bond.GetEndAtom())]
    return {atom.GetIdx() for atom in atoms if atom.GetDegree() == 2}


def _axis(neighbours: list[list[int]], heavy: list[bool], straight: set[int], bond: Edge) -> Axis | None:
    """The axis through a bond, lengthened along atoms that lie on it; None where no heavy atom would turn."""
    line = list(bond)
    for _ in range(2):
        line.reverse()
        while line[-1] in straight:
            line += [n for n in neighbours[line[-1]] if n not in line]
    first, second = _beyond(neighbours, line), _beyond(neighbours, line[::-1])
    if not (any(heavy[k] for k in first) and any(heavy[k] for k in second)):
        return None
    if len(first) < len(second):
        line.reverse()
        second = first
    return Axis(line[0], line[-1], sorted(second), tuple(line[1:-1]))


def _beyond(neighbours: list[list[int]], line: list[int]) -> set[int]:
    """Atoms that hang on the first atom of a line."""
    found = set(line)
    waiting = [line[0]]
    while waiting:
        new = [n for n in neighbours[waiting.pop()] if n not in found]
        found.update(new)
        waiting += new
    return found - set(line)
