"""Which chains of two complexes belong together, and which of their residues, under one motion.

Each pair of chains gives a motion; under each motion the chains are assigned to each other by how many residues come
to lie together, and the best of these assignments is refined as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqcli.engine.protein_chains import ProteinChain
from eqcli.engine.residue_pairs import Pairing, by_sequence
from eqcli.geometry.chain_alignment import GAPS, SEEDS, SMALLEST, align_chains, reach
from eqcli.geometry.chain_pairing import ordered_pairs
from eqcli.geometry.tm_score import best_tm_motion, moved, tm_scale, tm_terms

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Known = dict[tuple[int, int], IntArray] | None
"""These of every pair of chains; None where the structures decide."""

PEPTIDE = 10
"""Chains shorter than this take no part where there are longer ones."""

CANDIDATES = 24
"""Motions of pairs of chains that are tried for the whole."""

COPIES = 0.9
"""Identity of chains that are copies of one: in complexes, their motions come from the sequences, to save time."""

SHARE = 0.25
"""Chains belong together where this share of the shorter one is near, in terms of the score."""

ROUNDS = 5


@dataclass(frozen=True)
class MappedChains:
    """Chains that belong together.

    Attributes
    ----------
    pairs
        Index of source chain and target chain, and the residues that belong together `[k, 2]`.
    rotation, translation
        The motion with the largest TM-score by the smaller of the two complexes.
    tm_source, tm_target
        TM-scores by the residues of all chains of each, each under its own best motion.
    """

    pairs: tuple[tuple[int, int, IntArray], ...]
    rotation: FloatArray
    translation: FloatArray
    tm_source: float
    tm_target: float


def long_enough(chains: list[ProteinChain]) -> list[ProteinChain]:
    """Chains without peptides, unless nothing else is there."""
    return [chain for chain in chains if len(chain) >= PEPTIDE] or chains


def map_chains(
    source: list[ProteinChain], target: list[ProteinChain], pairing: Pairing | None = None
) -> MappedChains | None:
    """The best mapping of chains, with residues by structure or as `pairing` says; None where no residues pair."""
    known: Known = None
    if pairing is not None:
        known = {(i, j): pairing(a, b) for i, a in enumerate(source) for j, b in enumerate(target)}
    motions = _motions(source, target, known)
    if not motions:
        return None
    shorter = min(sum(map(len, source)), sum(map(len, target)))
    scale = tm_scale(shorter)
    tried = [_assigned(source, target, motion, scale, known) for motion in motions]
    total, pairs = max(tried, key=lambda one: one[0])
    if not pairs:
        return None
    for _ in range(ROUNDS):
        one, other = stacked(source, target, pairs)
        rotation, shift, _ = best_tm_motion(one, other, scale, step=max(1, len(one) // 20))
        again, found = _assigned(source, target, (rotation, shift), scale, known)
        if again <= total + 1e-6:
            break
        total, pairs = again, found
    return _measured(source, target, pairs if pairing is not None else _near(source, target, pairs, scale))


def _motions(
    source: list[ProteinChain], target: list[ProteinChain], known: Known
) -> list[tuple[FloatArray, FloatArray]]:
    """Motions of single pairs of chains, those of most matched residues first."""
    found = []
    for i, a in enumerate(source):
        for j, b in enumerate(target):
            pairs = _copies(a, b) if known is None and len(source) * len(target) > 1 else None
            if known is not None:
                pairs = known[i, j]
            if pairs is not None and len(pairs) >= SMALLEST:
                one, other = a.ca[pairs[:, 0]], b.ca[pairs[:, 1]]
                found.append(best_tm_motion(one, other, tm_scale(len(pairs)), step=max(1, len(pairs) // 5)))
            elif known is None and min(len(a), len(b)) >= SMALLEST:
                aligned = align_chains(a.ca, b.ca, seeds=SEEDS if len(source) * len(target) <= 4 else SEEDS // 4)
                found.append((aligned.rotation, aligned.translation, aligned.tm * min(len(a), len(b))))
    found.sort(key=lambda one: -one[2])
    return [(rotation, shift) for rotation, shift, _ in found[:CANDIDATES]]


def _copies(first: ProteinChain, second: ProteinChain) -> IntArray | None:
    """Residues of two copies of one chain; None where they are none."""
    pairs = by_sequence(first, second)
    same = sum(first.letters[i] == second.letters[j] for i, j in pairs.tolist())
    return pairs if same >= COPIES * max(len(first), len(second)) else None


def _assigned(
    source: list[ProteinChain],
    target: list[ProteinChain],
    motion: tuple[FloatArray, FloatArray],
    scale: float,
    known: Known,
) -> tuple[float, list[tuple[int, int, IntArray]]]:
    """The assignment of chains with the largest sum of terms under a motion."""
    from scipy.optimize import linear_sum_assignment

    values = np.zeros((len(source), len(target)))
    pairs: dict[tuple[int, int], IntArray] = {}
    for i, a in enumerate(source):
        points = moved(a.ca, *motion)
        for j, b in enumerate(target):
            if known is not None:
                pairs[i, j] = known[i, j]
            elif np.linalg.norm(points.mean(0) - b.ca.mean(0)) < np.ptp(b.ca, axis=0).max():
                pairs[i, j] = _paired(points, b.ca, scale)
            else:
                continue
            rows = pairs[i, j]
            values[i, j] = tm_terms(points[rows[:, 0]], b.ca[rows[:, 1]], scale).sum()
    chosen = zip(*linear_sum_assignment(values, maximize=True), strict=True)
    kept = [
        (int(i), int(j)) for i, j in chosen if _together(values[i, j], source[i], target[j], alone=values.size == 1)
    ]
    return float(sum(values[i, j] for i, j in kept)), [(i, j, pairs[i, j]) for i, j in kept]


def _together(value: float, a: ProteinChain, b: ProteinChain, *, alone: bool) -> bool:
    return bool(value > 0 and (alone or value >= SHARE * min(len(a), len(b))))


def _paired(points: FloatArray, others: FloatArray, scale: float) -> IntArray:
    squares = ((points[:, None] - others[None]) ** 2).sum(-1)
    table = (1.0 / (1.0 + squares / scale**2)).astype(np.float32)
    tables = [ordered_pairs(table[None], gap)[0] for gap in GAPS]
    return max(tables, key=lambda rows: float(table[rows[:, 0], rows[:, 1]].sum()))


def stacked(
    source: list[ProteinChain], target: list[ProteinChain], pairs: list[tuple[int, int, IntArray]]
) -> tuple[FloatArray, FloatArray]:
    """Positions of all paired Cα, `[k, 3]` each."""
    one = np.concatenate([source[i].ca[rows[:, 0]] for i, _, rows in pairs])
    other = np.concatenate([target[j].ca[rows[:, 1]] for _, j, rows in pairs])
    return one, other


def _near(
    source: list[ProteinChain], target: list[ProteinChain], pairs: list[tuple[int, int, IntArray]], scale: float
) -> list[tuple[int, int, IntArray]]:
    """Without pairs that stay apart under the best motion."""
    one, other = stacked(source, target, pairs)
    rotation, shift, _ = best_tm_motion(one, other, scale, step=max(1, len(one) // 40))
    limit = reach(min(sum(map(len, source)), sum(map(len, target))))
    kept = []
    for i, j, rows in pairs:
        distances = np.linalg.norm(moved(source[i].ca[rows[:, 0]], rotation, shift) - target[j].ca[rows[:, 1]], axis=1)
        if (distances <= limit).sum() >= SMALLEST:
            kept.append((i, j, rows[distances <= limit]))
    return kept or pairs


def _measured(
    source: list[ProteinChain], target: list[ProteinChain], pairs: list[tuple[int, int, IntArray]]
) -> MappedChains:
    one, other = stacked(source, target, pairs)
    lengths = (sum(map(len, source)), sum(map(len, target)))
    motions = {k: best_tm_motion(one, other, tm_scale(k), step=max(1, len(one) // 100)) for k in set(lengths)}
    rotation, shift, _ = motions[min(lengths)]
    scores = [motions[length][2] / length for length in lengths]
    return MappedChains(tuple(pairs), rotation, shift, scores[0], scores[1])
