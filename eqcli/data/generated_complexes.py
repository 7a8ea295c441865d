"""Complexes made from a protein alone, to train on before real ones: a buried piece is cut out and is the ligand.

Residues bonded to the piece go with it, so that no chain ends inside the ligand. What is left of the receptor fits the
ligand as well as it ever did, and knows nothing of ligands otherwise: such complexes teach how surfaces fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from eqcli.data.peptide_pieces import BACKBONE, Chains
from eqcli.io.ligand import Ligand, ligand_of
from eqcli.io.receptor import Receptor

Integers = NDArray[np.int64]

LENGTHS = (1, 3, 4, 5)
"""Residues of a piece: one with its side chain, or about a turn of a helix."""

SIDE_CHAIN = 4
"""Heavy atoms that the side chain of a piece of one residue has at least."""

CONTACT = 4.5
"""Å: heavy atoms of ligand and receptor that are nearer touch."""

BURIED = 5.0
"""Touching receptor atoms per ligand atom, at least."""

CLEAR = 3.0
"""Å: residues of the same chain go with the piece until none of those left that were bonded to it is nearer."""

COVALENT = 2.4
"""Å: a piece that anything left is nearer to is bonded to it, by a disulfide or to a metal, and is not cut out."""

STUBS = 3
"""Residues that go with the piece on either side, at most."""


@dataclass(frozen=True)
class Cut:
    """Amino acids from `first` to `last` that become the ligand, those from `start` to `stop` that leave the receptor,
    and the receptor's atoms in touch with each atom of the ligand, on average."""

    first: int
    last: int
    start: int
    stop: int
    contacts: float


def generated_complexes(
    receptor: Receptor, *, count: int, seed: int, lengths: Sequence[int] = LENGTHS, buried: float = BURIED
) -> Iterator[tuple[Receptor, Ligand]]:
    """Receptors with a piece missing, and the piece in its place; fewer than `count` where fewer can be made.

    Parameters
    ----------
    receptor
        Any protein.
    count
        How many at most; no piece comes twice.
    seed
        Of the choice among pieces: the same receptor and seed give the same complexes.
    lengths
        Residues of a piece; each length is as likely as another while there are pieces of it.
    buried
        Touching receptor atoms per heavy atom of the ligand, at least.
    """
    rng = np.random.default_rng(seed)
    chains = Chains(receptor)
    waiting = {length: rng.permutation(_windows(chains, length)).tolist() for length in sorted(set(lengths))}
    made = 0
    while made < count and any(waiting.values()):
        length = int(rng.choice([length for length, windows in waiting.items() if windows]))
        first = int(waiting[length].pop())
        found = cut(chains, first, first + length - 1)
        if found is not None and found.contacts >= buried:
            yield _without(receptor, found), _ligand(chains, found)
            made += 1


def _windows(chains: Chains, length: int) -> Integers:
    """First amino acids of the pieces of a length."""
    starts = range(1, len(chains.atoms) - length)
    return np.array([i for i in starts if length > 1 or len(chains.atoms[i]) >= len(BACKBONE) + SIDE_CHAIN], np.int64)


def cut(chains: Chains, first: int, last: int) -> Cut | None:
    """How a piece is cut out; None where it is no piece, or bonded to what would be left."""
    atoms = chains.piece(first, last)
    if atoms is None:
        return None
    receptor = chains.receptor
    positions, owner = receptor.structure.positions, receptor.structure.arrays["residue"]
    tree = cKDTree(positions[atoms])
    start, stop = _cleared(chains, tree, first, last)
    gone = receptor.residues.index[start : stop + 1]
    left = positions[receptor.heavy & ~np.isin(owner, gone)]
    distances = tree.query(left, distance_upper_bound=CONTACT)[0] if len(left) else np.full(0, np.inf)
    if distances.size and distances.min() < COVALENT:
        return None
    touching = tree.count_neighbors(cKDTree(left), CONTACT) if len(left) else 0
    return Cut(first, last, start, stop, touching / len(atoms))


def _cleared(chains: Chains, tree: cKDTree, first: int, last: int) -> tuple[int, int]:
    """The first and the last amino acid that go: those beside the piece, and more where they are too near to it."""
    positions = chains.receptor.structure.positions

    def is_near(row: int) -> bool:
        return bool(tree.query(positions[list(chains.atoms[row].values())])[0].min() < CLEAR)

    start, stop = first - 1, last + 1
    while first - start < STUBS and start > 0 and chains.bonded[start - 1] and is_near(start - 1):
        start -= 1
    while stop - last < STUBS and chains.bonded[stop] and is_near(stop + 1):
        stop += 1
    return start, stop


def _name(receptor: Receptor, found: Cut) -> str:
    residues = receptor.residues
    label = residues.numbers[found.first]
    if found.last > found.first:
        label += f"-{residues.numbers[found.last]}"
    return f"{receptor.name}:{residues.chains[found.first]}/{label}"


def _ligand(chains: Chains, found: Cut) -> Ligand:
    name = _name(chains.receptor, found)
    ligand = ligand_of(chains.molecule(found.first, found.last), name)
    return replace(ligand, notes=[*ligand.notes, "cut out of the receptor, as an N-formyl amide"])


def _without(receptor: Receptor, found: Cut) -> Receptor:
    """The receptor without the amino acids that go."""
    residues, structure = receptor.residues, receptor.structure
    stays = np.ones(len(residues), dtype=bool)
    stays[found.start : found.stop + 1] = False
    owner = structure.arrays["residue"]
    size = int(owner.max()) + 1
    gone = np.isin(np.arange(size), residues.index[~stays])
    renumbered = np.cumsum(~gone) - 1
    kept = ~gone[owner]
    arrays = {name: values[kept] for name, values in structure.arrays.items()}
    arrays["residue"] = renumbered[arrays["residue"]]
    rows = np.flatnonzero(stays).tolist()
    return replace(
        receptor,
        structure=replace(
            structure, numbers=structure.numbers[kept], positions=structure.positions[kept], arrays=arrays
        ),
        residues=replace(
            residues,
            names=[residues.names[i] for i in rows],
            chains=[residues.chains[i] for i in rows],
            numbers=[residues.numbers[i] for i in rows],
            index=renumbered[residues.index[stays]],
            **{key: getattr(residues, key)[stays] for key in ("amino_acid", "n", "ca", "c", "built")},
        ),
        name=_name(receptor, found),
        notes=[*receptor.notes, f"{int((~stays).sum())} residues left out, of which the ligand was cut"],
    )
