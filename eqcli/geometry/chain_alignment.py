"""The structures of two chains aligned without their sequences, in the manner of TM-align.

Zhang and Skolnick, Nucleic Acids Res. 33, 2302 (2005): from many starting motions, residues are paired in order by
1 / (1 + (d / d_0)^2), the motion is made best for these pairs, and both are repeated until nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqcli.geometry.chain_pairing import ordered_pairs
from eqcli.geometry.chain_seeds import Motions, same_structure, seed_motions
from eqcli.geometry.superposed import superpositions
from eqcli.geometry.tm_score import ascend, best_tm_motion, moved, tm_scale

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GAPS = (0.6, 0.0)
"""What a gap costs, in terms of the score."""

SEEDS = 160
"""Motions that a search begins from, about."""

KEPT = (32, 16, 8)
"""Of these that go on after the first, the second and later rounds."""

ROUNDS = 12

FINISHED = 3
"""Ends of the search that are made thorough."""

SOFTER = 0.8
"""Å that are added to d_0 while searching."""

SMALLEST = 3
"""Residues of a chain that can be aligned."""

TABLE = 30_000_000
"""Entries of the tables that are filled at once."""


@dataclass(frozen=True)
class ChainAlignment:
    """Two chains laid over each other.

    Attributes
    ----------
    pairs
        Index pairs of residues, `[k, 2]`, both columns rising, none farther apart than `reach` Å.
    rotation, translation
        The motion of the source with the largest TM-score by the shorter chain.
    tm_source, tm_target
        TM-scores by the length of each chain, each under its own best motion.
    rmsd
        Å over the pairs, superposed on their own.
    """

    pairs: IntArray
    rotation: FloatArray
    translation: FloatArray
    tm_source: float
    tm_target: float
    rmsd: float

    @property
    def tm(self) -> float:
        """TM-score by the shorter chain."""
        return max(self.tm_source, self.tm_target)


def reach(length: int) -> float:
    """Å within which a pair of residues counts, for the length of the shorter chain."""
    return 1.5 * length**0.3 + 3.5


def align_chains(source: FloatArray, target: FloatArray, *, seeds: int = SEEDS) -> ChainAlignment:
    """The alignment of two chains of Cα, `[n, 3]` and `[m, 3]`, with the largest TM-score that is found.

    Deterministic. Raises ValueError for fewer than three residues.
    """
    shorter = min(len(source), len(target))
    if shorter < SMALLEST:
        raise ValueError(f"a chain of {shorter} residues cannot be aligned")
    scale = tm_scale(shorter) + SOFTER
    found = _search(source, target, seed_motions(source, target, scale, seeds), scale)
    mixed = _with_structure(source, target, found[0].motions, scale)
    if mixed is not None:
        found += _search(source, target, mixed, scale)
    ends = [_finished(source, target, best, scale) for best in _first(found, FINISHED)]
    return max(ends, key=lambda end: end.tm)


@dataclass(frozen=True)
class _Found:
    """A motion as a batch of one, its pairs, and the sum of their terms."""

    motions: Motions
    pairs: IntArray
    total: float


def _first(found: list[_Found], count: int) -> list[_Found]:
    """The best, each of another total."""
    by_total = {round(one.total, 2): one for one in sorted(found, key=lambda one: one.total)}
    return [by_total[total] for total in sorted(by_total, reverse=True)[:count]]


def _search(source: FloatArray, target: FloatArray, motions: Motions, scale: float) -> list[_Found]:
    """The best that all motions come to, best first."""
    found: list[_Found] = []
    step = max(1, TABLE // (len(source) * len(target)))
    for k in range(0, len(motions[0]), step):
        for gap in GAPS:
            found += _iterate(source, target, (motions[0][k : k + step], motions[1][k : k + step]), scale, gap)
    return _first(found, FINISHED)


def _iterate(source: FloatArray, target: FloatArray, motions: Motions, scale: float, gap: float) -> list[_Found]:
    """Pairs and motions in turn, all motions at once; those that come to rest or fall behind are left out."""
    rotation, shift = motions
    found: list[_Found] = []
    last = np.full(len(rotation), -1.0)
    for round_ in range(ROUNDS):
        pairs = ordered_pairs(_table(source, target, (rotation, shift), scale), gap)
        one, other, mask = _padded(source, target, pairs)
        rotation, shift, sums = ascend(one, other, mask, (rotation, shift), scale, 6)
        order = np.argsort(-sums, kind="stable")
        found += [_Found((rotation[k : k + 1], shift[k : k + 1]), pairs[k], float(sums[k])) for k in order[:FINISHED]]
        going = order[: KEPT[min(round_, len(KEPT) - 1)]]
        going = going[sums[going] > last[going] + 1e-4 * len(source)]
        if not len(going):
            break
        rotation, shift, last = rotation[going], shift[going], sums[going]
    return found


def _table(source: FloatArray, target: FloatArray, motions: Motions, scale: float) -> NDArray[np.float32]:
    points = moved(source, *motions)
    squares = (points**2).sum(-1)[..., None] + (target**2).sum(-1) - 2 * points @ target.T
    return (1.0 / (1.0 + np.maximum(squares, 0.0) / scale**2)).astype(np.float32)


def _padded(source: FloatArray, target: FloatArray, pairs: list[IntArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
    longest = max(1, *(len(p) for p in pairs))
    index = np.zeros((len(pairs), longest, 2), dtype=np.int64)
    mask = np.zeros((len(pairs), longest))
    for b, rows in enumerate(pairs):
        index[b, : len(rows)] = rows
        mask[b, : len(rows)] = 1
    return source[index[..., 0]], target[index[..., 1]], mask


def _with_structure(source: FloatArray, target: FloatArray, motions: Motions, scale: float) -> Motions | None:
    """The motion of pairs by distance and secondary structure together."""
    table = _table(source, target, motions, scale)[0] + 0.5 * same_structure(source, target)
    pairs = ordered_pairs(table[None], 1.0)[0]
    if len(pairs) < SMALLEST:
        return None
    rotation, shift, _ = best_tm_motion(source[pairs[:, 0]], target[pairs[:, 1]], scale, step=40)
    return rotation[None], shift[None]


def _finished(source: FloatArray, target: FloatArray, found: _Found, scale: float) -> ChainAlignment:
    """The last rounds with a thorough search of the motion, and the measures."""
    pairs = found.pairs
    best = (_thorough(source, target, pairs, scale, 20), pairs)
    for gap in GAPS:
        motion = best[0]
        for _ in range(4):
            pairs = ordered_pairs(_table(source, target, (motion[0][None], motion[1][None]), scale), gap)[0]
            motion = _thorough(source, target, pairs, scale, 40)
            if motion[2] <= best[0][2] + 1e-6:
                break
            best = (motion, pairs)
    motion, pairs = best
    shorter = min(len(source), len(target))
    distances = np.linalg.norm(moved(source[pairs[:, 0]], motion[0], motion[1]) - target[pairs[:, 1]], axis=1)
    kept = pairs[distances <= reach(shorter)]
    return measured(source, target, kept if len(kept) >= SMALLEST else pairs)


def _thorough(
    source: FloatArray, target: FloatArray, pairs: IntArray, scale: float, step: int
) -> tuple[FloatArray, FloatArray, float]:
    return best_tm_motion(source[pairs[:, 0]], target[pairs[:, 1]], scale, step=step)


def measured(source: FloatArray, target: FloatArray, pairs: IntArray) -> ChainAlignment:
    """The alignment of given pairs, at least one: motion, TM-scores and RMSD."""
    one, other = source[pairs[:, 0]], target[pairs[:, 1]]
    motions = {}
    for length in {len(source), len(target)}:
        step = max(1, len(pairs) // 100)
        rotation, shift, total = best_tm_motion(one, other, tm_scale(length), step=step)
        motions[length] = (rotation, shift, total / length)
    rotation, shift, _ = motions[min(motions)]
    fitted = moved(one, *superpositions(one, other))
    rmsd = float(np.sqrt(((fitted - other) ** 2).sum(axis=1).mean()))
    return ChainAlignment(pairs, rotation, shift, motions[len(source)][2], motions[len(target)][2], rmsd)
