"""Where an alignment of two chains may begin: shapes of short pieces, shifts without gaps, secondary structure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from eqcli.geometry.chain_pairing import ordered_pairs
from eqcli.geometry.superposed import superpositions
from eqcli.geometry.tm_score import ascend, moved

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Motions = tuple[FloatArray, FloatArray]

PIECE_LENGTHS = (9, 20)
"""Residues of pieces."""

PIECES = 60
"""Pieces of each chain, about."""

TRIED = 160
"""Superpositions of pieces that are laid over the whole chains."""

BLOCK = 4_000_000
"""Numbers held at once, about."""

HELIX = ((5.45, 5.18, 6.37), 2.1)
STRAND = ((6.1, 10.4, 13.0), 1.42)
"""Å. Distances of Cα two, three and four residues apart, and how far they may be off (Zhang and Skolnick, Nucleic
Acids Res. 33, 2302 (2005))."""

TURN = 8.0
"""Å. Nearer than this over four residues is a turn."""

COIL_CODE, HELIX_CODE, TURN_CODE, STRAND_CODE = range(4)


def secondary_structure(points: FloatArray) -> IntArray:
    """Codes of coil, helix, turn and strand by the distances of Cα `[n, 3]`; coil for the two at each end."""
    codes = np.full(len(points), COIL_CODE, dtype=np.int64)
    if len(points) < 5:
        return codes
    over = {k: np.linalg.norm(points[k:] - points[:-k], axis=1) for k in (2, 3, 4)}
    long = over[4]
    two = np.stack([over[2][:-2], over[2][1:-1], over[2][2:]])
    three = np.stack([over[3][:-1], over[3][1:]])
    inner = np.where(long < TURN, TURN_CODE, COIL_CODE)
    for code, (lengths, within) in ((STRAND_CODE, STRAND), (HELIX_CODE, HELIX)):
        near = (np.abs(two - lengths[0]) < within).all(0) & (np.abs(three - lengths[1]) < within).all(0)
        inner = np.where(near & (np.abs(long - lengths[2]) < within), code, inner)
    codes[2:-2] = inner
    return codes


def same_structure(source: FloatArray, target: FloatArray) -> FloatArray:
    """1 where the secondary structures of two residues are the same, `[n, m]`."""
    return (secondary_structure(source)[:, None] == secondary_structure(target)[None]).astype(np.float64)


def seed_motions(source: FloatArray, target: FloatArray, scale: float, count: int) -> Motions:
    """Up to about `count` motions that differ, from everything that is known without an alignment."""
    fits = [_piece_motions(source, target, scale, count), _shift_motions(source, target, scale, max(2, count // 3))]
    pairs = ordered_pairs(same_structure(source, target)[None], 1.0)[0]
    if len(pairs) >= 3:
        turn, shift = superpositions(source[pairs[:, 0]], target[pairs[:, 1]])
        fits.append((turn[None], shift[None]))
    return np.concatenate([fit[0] for fit in fits]), np.concatenate([fit[1] for fit in fits])


def _piece_motions(source: FloatArray, target: FloatArray, scale: float, count: int) -> Motions:
    """Superpositions of pieces, those that bring most residues near to others."""
    shorter = min(len(source), len(target))
    rotations, shifts = [], []
    for length in sorted({min(length, max(4, shorter // 3), shorter) for length in PIECE_LENGTHS}):
        first, second = _pieces(source, length), _pieces(target, length)
        one, other = np.repeat(first, len(second), axis=0), np.tile(second, (len(first), 1, 1))
        rotation, shift = superpositions(one, other)
        squares = ((moved(one, rotation, shift) - other) ** 2).sum(axis=(1, 2))
        chosen = np.argsort(squares, kind="stable")[:TRIED]
        rotations.append(rotation[chosen])
        shifts.append(shift[chosen])
    return _distinct((np.concatenate(rotations), np.concatenate(shifts)), source, target, scale, count)


def _pieces(points: FloatArray, length: int) -> FloatArray:
    """Pieces `[P, length, 3]` of a chain, spread over it."""
    last = len(points) - length
    starts = np.unique(np.linspace(0, last, min(PIECES, last + 1)).round().astype(np.int64))
    found: FloatArray = points[starts[:, None] + np.arange(length)]
    return found


def _distinct(motions: Motions, source: FloatArray, target: FloatArray, scale: float, count: int) -> Motions:
    """The best motions by what they bring near, one of each group that moves the source alike."""
    rotation, shift = motions
    values = np.concatenate(list(_closeness(motions, source, target, scale)))
    centre, spread = source.mean(axis=0), float(source.std(axis=0).max())
    kept: list[int] = []
    for k in np.argsort(-values, kind="stable"):
        apart = [
            np.linalg.norm(rotation[k] - rotation[j]) * spread
            + np.linalg.norm((rotation[k] - rotation[j]) @ centre + shift[k] - shift[j])
            > 2 * scale
            for j in kept
        ]
        if all(apart):
            kept.append(int(k))
        if len(kept) == count:
            break
    return rotation[kept], shift[kept]


def _closeness(motions: Motions, source: FloatArray, target: FloatArray, scale: float) -> Iterator[FloatArray]:
    """Sums over source residues of 1 / (1 + (d / scale)^2) to the nearest target residue, whatever the order."""
    thin = source[:: max(1, len(source) // 150)]
    step = max(1, BLOCK // max(len(thin) * len(target), 1))
    lengths = (target**2).sum(axis=1)
    for k in range(0, len(motions[0]), step):
        points = moved(thin, motions[0][k : k + step], motions[1][k : k + step])
        squares = (points**2).sum(axis=-1)[..., None] + lengths - 2 * points @ target.T
        yield (1.0 / (1.0 + np.maximum(squares.min(axis=-1), 0.0) / scale**2)).sum(axis=-1)


def _shift_motions(source: FloatArray, target: FloatArray, scale: float, count: int) -> Motions:
    """Alignments without gaps, those with the largest scores."""
    shorter, swapped = (source, False) if len(source) <= len(target) else (target, True)
    longer = target if not swapped else source
    n, m = len(shorter), len(longer)
    least = min(n, max(n // 2, 5))
    shifts = np.arange(least - n, m - least + 1)
    shifts = shifts[:: max(1, len(shifts) * n // 200_000)]
    place = shifts[:, None] + np.arange(n)
    mask = ((place >= 0) & (place < m)).astype(np.float64)
    there = longer[np.clip(place, 0, m - 1)]
    here = np.broadcast_to(shorter, there.shape)
    one, other = (there, here) if swapped else (here, there)
    start = superpositions(one, other, mask)
    rotation, shift, sums = ascend(one, other, mask, start, scale, 2)
    chosen = np.argsort(-sums, kind="stable")[:count]
    return rotation[chosen], shift[chosen]
