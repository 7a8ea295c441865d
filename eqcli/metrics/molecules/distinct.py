"""Uniqueness and novelty of molecules by canonical SMILES.

Two molecules are the same where their SMILES are: without hydrogens as atoms, and without stereochemistry unless it is
asked for, of the generated molecules and of the known ones alike. Both are written anew from the SMILES that they come
as, so that it does not matter which program wrote those.

Uniqueness falls with the number of molecules: the more are drawn, the more repeat. It can be compared between sets of
one size alone; `expected_unique` says what a larger set would have at a smaller size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Written = str | None
"""The SMILES of a molecule; None or empty where it has none, for it is not valid."""


@dataclass(frozen=True)
class KnownMolecules:
    """Molecules against which novelty is judged: their SMILES, and how many of those given could not be read."""

    smiles: frozenset[str]
    stereo: bool
    given: int
    unread: int


@dataclass(frozen=True)
class DistinctMolecule:
    """What is known of one generated molecule.

    Attributes
    ----------
    smiles
        By which it was compared; empty for an invalid one, which is neither unique nor novel.
    duplicate_of
        Index of the first molecule that it repeats; None for that one.
    known
        Whether it is among the known ones; None where nothing was asked.
    """

    smiles: str
    duplicate_of: int | None = None
    known: bool | None = None

    @property
    def unique(self) -> bool:
        """Whether it repeats no earlier one."""
        return bool(self.smiles) and self.duplicate_of is None

    @property
    def novel(self) -> bool:
        """Whether the known ones do not have it; means nothing where there were none."""
        return bool(self.smiles) and not self.known


def canonical(smiles: str, *, stereo: bool = False) -> str:
    """The canonical SMILES without hydrogens as atoms; empty where RDKit cannot read it."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
        return "" if molecule is None else str(Chem.MolToSmiles(molecule, isomericSmiles=stereo))


def known_molecules(smiles: Iterable[str], *, stereo: bool = False) -> KnownMolecules:
    """The molecules of a reference, e.g. of the training set."""
    written = [canonical(text, stereo=stereo) for text in smiles]
    return KnownMolecules(frozenset(written) - {""}, stereo, len(written), written.count(""))


def distinct_molecules(
    smiles: Sequence[Written], known: KnownMolecules | None = None, *, stereo: bool = False
) -> list[DistinctMolecule]:
    """Which generated molecules repeat an earlier one or a known one, in their order.

    Parameters
    ----------
    smiles
        One for each generated molecule. Those that RDKit wrote and cannot read are compared as they are.
    known
        Its `stereo` must be that asked for here.

    Raises
    ------
    ValueError
        `known` was made with other stereochemistry.
    """
    if known is not None and known.stereo != stereo:
        raise ValueError("generated and known molecules must be compared with the same stereochemistry")
    first: dict[str, int] = {}
    rows = []
    for index, text in enumerate(smiles):
        name = (canonical(text, stereo=stereo) or text) if text else ""
        if not name:
            rows.append(DistinctMolecule(""))
            continue
        earlier = first.setdefault(name, index)
        seen = None if known is None else name in known.smiles
        rows.append(DistinctMolecule(name, None if earlier == index else earlier, seen))
    return rows


def shares(names: Sequence[Written]) -> list[float]:
    """1/k for each molecule that k share the name of, 0 for one without a name: their sum counts the distinct ones."""
    counts = Counter(name for name in names if name)
    return [1 / counts[name] if name else 0.0 for name in names]


def expected_unique(names: Sequence[Written], n: int) -> float:
    """The share of distinct molecules among `n` of the named ones, drawn without replacement, on average.

    Raises ValueError where fewer than `n`, or none, are asked for.
    """
    counts = np.array(list(Counter(name for name in names if name).values()), dtype=np.float64)
    total = int(counts.sum())
    if not 1 <= n <= total:
        raise ValueError(f"{n} of {total} molecules cannot be drawn")
    # P(none of a name's k copies is drawn) = prod over the n draws of (total - k - i) / (total - i).
    left = total - np.arange(n)[None, :]  # [1, n]
    missing = np.clip((left - counts[:, None]) / left, 0, None).prod(axis=1)  # [names]
    return float((1 - missing).sum() / n)
