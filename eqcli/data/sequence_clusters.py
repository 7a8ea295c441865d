"""Receptors that are the same protein or near relatives, told from their sequences, and what test sets know of train.

Two receptors are as alike as their most alike chains. Clusters are formed by single linkage: whatever is alike is
together, also by way of others, so that no receptor of one cluster has a close relative in another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from eqcli.data.sequence_alignment import LETTERS, codes_of, identities

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Chains = Mapping[str, str]
"""One-letter sequence of each chain."""

IDENTITY = 0.3
"""Share of identical residues from which two proteins count as relatives."""

PEPTIDE = 30
"""Residues below which a chain is left out where the receptor has longer ones: a tag makes no relatives."""

PAIRS = 100_000
"""Alignments in one go, about half a minute. Where more are possible, those pairs are aligned that share most words."""

WORD = 3


@dataclass(frozen=True)
class Member:
    """A complex, or several of one receptor, in a part of a data set: sequences and canonical SMILES of ligands."""

    name: str
    chains: Chains
    ligands: Sequence[str] = field(default=())


@dataclass(frozen=True)
class Leak:
    """What training says about one test member.

    Attributes
    ----------
    name
        Of the test member.
    identity
        With the most similar member of the training set, 0 to 1; NaN where the receptor has no sequence.
    nearest
        That member's name; empty where none is alike.
    ligands
        SMILES that the training set has too.
    """

    name: str
    identity: float
    nearest: str
    ligands: tuple[str, ...]


def sequence_clusters(receptors: Sequence[Chains], *, identity: float = IDENTITY) -> Integers:
    """Number of the cluster of each receptor, `[R]`, counted from 0 in the order of first members.

    Parameters
    ----------
    receptors
        Sequences by chain; a receptor without any is a cluster of its own.
    identity
        Share of identical residues, of the shorter chain, from which two receptors are linked.
    """
    if not 0 < identity <= 1:
        raise ValueError(f"the identity {identity} is not between 0 and 1")
    texts, owners = _distinct(receptors)
    parents = list(range(len(receptors)))
    for holders in owners:
        for other in holders[1:]:
            _link(parents, holders[0], other)
    for i, others in enumerate(_candidates(texts)):
        # Receptors that are together by now need no alignment.
        open_ones = [j for j in others.tolist() if _root(parents, owners[i][0]) != _root(parents, owners[j][0])]
        found = identities(texts[i], [texts[j] for j in open_ones])
        for j in np.asarray(open_ones, dtype=np.int64)[found >= identity].tolist():
            _link(parents, owners[i][0], owners[j][0])
    roots = [_root(parents, r) for r in range(len(receptors))]
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[root] for root in roots], dtype=np.int64)


def leak_report(train: Sequence[Member], test: Sequence[Member]) -> list[Leak]:
    """What of each test member the training set knows, in the order of the test members."""
    texts, owners = _distinct([m.chains for m in train])
    own, holders = _distinct([m.chains for m in test])
    best: dict[int, tuple[float, str]] = {}
    for text, mine, others in zip(own, holders, _candidates(own, texts), strict=True):
        found = identities(text, [texts[j] for j in others])
        if len(found) == 0:
            continue
        top = int(np.argmax(found))
        nearest = train[owners[others[top]][0]].name if found[top] > 0 else ""
        for member in mine:
            best[member] = max(best.get(member, (0.0, "")), (float(found[top]), nearest), key=lambda pair: pair[0])
    known = {smiles for member in train for smiles in member.ligands}
    return [
        Leak(m.name, *(best.get(i, (0.0, "")) if _chains(m.chains) else (float("nan"), "")), _shared(m, known))
        for i, m in enumerate(test)
    ]


def _shared(member: Member, known: set[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(smiles for smiles in member.ligands if smiles in known))


def _chains(chains: Chains) -> list[str]:
    """The sequences of a receptor that count."""
    given = [text.upper() for text in chains.values() if text.strip("X-")]
    long = [text for text in given if len(text) >= PEPTIDE]
    return list(dict.fromkeys(long or given))


def _distinct(receptors: Sequence[Chains]) -> tuple[list[str], list[list[int]]]:
    """Every different sequence, and the receptors that have it."""
    owners: dict[str, list[int]] = {}
    for number, chains in enumerate(receptors):
        for text in _chains(chains):
            owners.setdefault(text, []).append(number)
    return list(owners), list(owners.values())


def _candidates(texts: Sequence[str], others: Sequence[str] | None = None) -> list[Integers]:
    """The sequences that each is to be aligned with: those before it, or the others; fewer where there are many."""
    targets = texts if others is None else others
    before = others is None
    possible = len(texts) * (len(texts) - 1) // 2 if before else len(texts) * len(targets)
    limits = range(len(texts)) if before else [len(targets)] * len(texts)
    if possible <= PAIRS:
        return [np.arange(limit) for limit in limits]
    likely = _likeness(texts, targets)
    if before:
        likely[np.triu_indices(len(texts))] = -np.inf
    least = np.partition(likely, likely.size - PAIRS, axis=None)[likely.size - PAIRS]
    return [np.flatnonzero((row >= least) & np.isfinite(row)) for row in likely]


def _likeness(texts: Sequence[str], others: Sequence[str]) -> FloatArray:
    """By how many standard deviations two sequences share more words than chance gives, `[T, O]`."""
    a, b = _words(texts), _words(others)
    expected = np.outer(a.sum(1), b.sum(1)) / len(LETTERS) ** WORD
    shared = np.asarray((a @ b.T).todense(), dtype=np.float64)
    likeness: FloatArray = (shared - expected) / np.sqrt(expected + 1)
    return likeness


def _words(texts: Sequence[str]) -> csr_matrix:
    """Which words of three letters each sequence has, `[T, 8000]` of 0 and 1."""
    rows, columns = [], []
    for number, text in enumerate(texts):
        codes = codes_of(text)
        windows = np.lib.stride_tricks.sliding_window_view(codes, WORD) if len(codes) >= WORD else codes[:0, None]
        known = windows[(windows < len(LETTERS)).all(-1)]
        words = np.unique(known @ len(LETTERS) ** np.arange(known.shape[-1]))
        rows.append(np.full(len(words), number))
        columns.append(words)
    row, column = np.concatenate(rows), np.concatenate(columns)
    return csr_matrix((np.ones(len(row)), (row, column)), shape=(len(texts), len(LETTERS) ** WORD))


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _link(parents: list[int], a: int, b: int) -> None:
    parents[_root(parents, b)] = _root(parents, a)
