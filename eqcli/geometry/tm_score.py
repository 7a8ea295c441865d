"""The TM-score of two chains: how alike their folds are, whatever their lengths.

Zhang and Skolnick, Proteins 57, 702 (2004): the sum of 1 / (1 + (d_i / d_0)^2) over pairs of residues, divided by the
length of one chain, and the largest over all motions. Above 0.5 two chains have one fold as a rule, below 0.2 nothing
in common (Xu and Zhang, Bioinformatics 26, 889 (2010)).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eqcli.geometry.superposed import superpositions

FloatArray = NDArray[np.float64]

SMALLEST_SCALE = 0.5
"""Å. Of chains up to 21 residues."""

SHORTEST_START = 4
"""Residues of the shortest pieces that a search begins from."""


def tm_scale(length: int) -> float:
    """d_0 in Å for the length that a score is normalised by."""
    return SMALLEST_SCALE if length <= 21 else max(SMALLEST_SCALE, float(1.24 * np.cbrt(length - 15) - 1.8))


def tm_terms(source: FloatArray, target: FloatArray, scale: float) -> FloatArray:
    """1 / (1 + (d / scale)^2) of pairs of points `[..., n, 3]`, `[..., n]`."""
    squares = ((source - target) ** 2).sum(axis=-1)
    terms: FloatArray = 1.0 / (1.0 + squares / scale**2)
    return terms


def ascend(
    source: FloatArray,
    target: FloatArray,
    mask: FloatArray,
    motion: tuple[FloatArray, FloatArray],
    scale: float,
    rounds: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Motions uphill from given ones to where the score no longer grows.

    A superposition weighted with the squares of the terms never lowers the sum of the terms: they are a convex function
    of the squared distance, which lies above its tangent.

    Parameters
    ----------
    source, target, mask
        Pairs of residues `[B, n, 3]`, and 1 or 0 for those that count, `[B, n]`.
    motion
        Rotations `[B, 3, 3]` and translations `[B, 3]`.

    Returns
    -------
    Rotations, translations, and sums of the terms `[B]`.
    """
    rotation, shift = motion
    for _ in range(rounds):
        terms = tm_terms(moved(source, rotation, shift), target, scale) * mask
        rotation, shift = superpositions(source, target, terms**2)
    terms = tm_terms(moved(source, rotation, shift), target, scale) * mask
    return rotation, shift, terms.sum(axis=-1)


def moved(points: FloatArray, rotation: FloatArray, shift: FloatArray) -> FloatArray:
    """Points `[..., n, 3]` after y = R x + t."""
    found: FloatArray = points @ np.swapaxes(rotation, -1, -2) + shift[..., None, :]
    return found


def best_tm_motion(
    source: FloatArray, target: FloatArray, scale: float, *, step: int = 1, rounds: int = 20
) -> tuple[FloatArray, FloatArray, float]:
    """The motion with the largest sum of terms over pairs `[n, 3]`, and that sum.

    Searched from superpositions of pieces: all pairs, halves, quarters and so on to four residues, every `step`
    residues. Fewer than three pairs give the superposition of all.
    """
    pieces = _pieces(len(source), step)
    rotation, shift = superpositions(source[None], target[None], pieces)
    ones = np.ones((len(pieces), len(source)))
    many = (np.broadcast_to(source, (len(pieces), *source.shape)), np.broadcast_to(target, (*ones.shape, 3)))
    rotation, shift, sums = ascend(*many, ones, (rotation, shift), scale, 2)
    chosen = np.argsort(-sums, kind="stable")[: max(8, len(sums) // 8)]
    few = (many[0][chosen], many[1][chosen], ones[chosen])
    rotation, shift, sums = ascend(*few, (rotation[chosen], shift[chosen]), scale, rounds)
    best = int(sums.argmax())
    return rotation[best], shift[best], float(sums[best])


def _pieces(count: int, step: int) -> FloatArray:
    """Masks `[P, count]` of the pieces that a search begins from."""
    spans: list[tuple[int, int]] = []
    length = count
    while True:
        last = count - length
        spans += [(k, k + length) for k in sorted({*range(0, last + 1, step), last})]
        if length <= SHORTEST_START:
            break
        length = max(length // 2, SHORTEST_START)
    place = np.arange(count)
    bounds = np.array(spans)
    return ((place >= bounds[:, :1]) & (place < bounds[:, 1:])).astype(np.float64)
