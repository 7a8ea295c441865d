"""How alike protein sequences are, from local alignments of many pairs at once.

Smith and Waterman, J. Mol. Biol. 147, 195 (1981), with affine gaps (Gotoh, ibid. 162, 705 (1982)) and the scores of
BLOSUM62 (Henikoff and Henikoff, PNAS 89, 10915 (1992)). A score and the identical residues of its alignment are kept
in one integer, `score * 2^13 + identical`: the largest such number is the best alignment and says how many residues
are the same in it, so that no alignment has to be traced back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Codes = NDArray[np.int64]

LETTERS: Final = "ARNDCQEGHILKMFPSTWYV"
UNKNOWN: Final = len(LETTERS)
PADDING: Final = UNKNOWN + 1

BLOSUM62: Final = """
4
-1 5
-2 0 6
-2 -2 1 6
0 -3 -3 -3 9
-1 1 0 0 -3 5
-1 0 0 2 -4 2 5
0 -2 0 -1 -3 -2 -2 6
-2 0 1 -1 -3 0 0 -2 8
-1 -3 -3 -3 -1 -3 -3 -4 -3 4
-1 -2 -3 -4 -1 -2 -3 -4 -3 2 4
-1 2 0 -1 -3 1 1 -2 -1 -3 -2 5
-1 -1 -2 -3 -1 0 -2 -3 -2 1 2 -1 5
-2 -3 -3 -3 -2 -3 -3 -3 -1 0 0 -3 0 6
-1 -2 -2 -1 -3 -1 -1 -2 -2 -3 -3 -1 -2 -4 7
1 -1 1 0 -1 0 0 0 -1 -2 -2 0 -1 -2 -1 4
0 -1 0 -1 -1 -1 -1 -2 -2 -1 -1 -1 -1 -2 -1 1 5
-3 -3 -4 -4 -2 -2 -3 -2 -2 -3 -2 -3 -1 1 -4 -3 -2 11
-2 -2 -2 -3 -2 -1 -2 -3 2 -1 -1 -2 -1 3 -3 -2 -2 2 7
0 -3 -3 -3 -1 -2 -2 -3 -3 3 1 -2 1 -1 -2 -2 0 -3 -1 4
"""
"""Lower triangle in the order of `LETTERS`."""

GAP_OPEN: Final = 11
GAP_EXTEND: Final = 1
"""A gap of g residues costs `GAP_OPEN + g * GAP_EXTEND`."""

LAMBDA: Final = 0.267
K: Final = 0.041
EXPECT: Final = 1e-3
"""Statistics of these scores (Altschul et al., Nucleic Acids Res. 25, 3389 (1997)): alignments that chance would
give this often count as none."""

SCALE: Final = 1 << 13
LONGEST: Final = SCALE - 1
"""Residues that are compared; what a chain has beyond is left out."""

BLOCK: Final = 32768
"""Residues of targets that are aligned at once, about: what is kept of them must stay near the processor."""


def score_table() -> NDArray[np.int32]:
    """Scores of pairs of codes with one more for identical residues, `[22, 22]`; unknown residues score -1."""
    rows = [[int(word) for word in line.split()] for line in BLOSUM62.split("\n") if line]
    table = np.full((PADDING + 1, PADDING + 1), -SCALE, dtype=np.int32)
    for i, row in enumerate(rows):
        table[i, : i + 1] = table[: i + 1, i] = np.array(row) * SCALE
        table[i, i] += 1
    # Nothing is gained by an alignment that runs on into the padding.
    table[PADDING], table[:, PADDING] = -100 * SCALE, -100 * SCALE
    return table


def codes_of(sequence: str) -> Codes:
    """Positions in `LETTERS`, `UNKNOWN` for others."""
    lookup = np.full(128, UNKNOWN, dtype=np.int64)
    for code, letter in enumerate(LETTERS):
        lookup[ord(letter)] = lookup[ord(letter.lower())] = code
    text = np.frombuffer(sequence[:LONGEST].encode("ascii", "replace"), dtype=np.uint8)
    return lookup[text]


def identities(query: str, targets: Sequence[str]) -> FloatArray:
    """Shares of residues that the query and each target have in common, `[T]` between 0 and 1.

    The identical residues of the best local alignment are divided by the length of the shorter sequence; 0 where
    the alignment is no better than what chance gives.
    """
    found = np.zeros(len(targets))
    own, codes = codes_of(query), [codes_of(t) for t in targets]
    sizes = np.array([len(c) for c in codes], dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    first = 0
    while first < len(order):
        rows = order[first : first + max(1, BLOCK // max(int(sizes[order[first]]), 1))]
        score, identical = local_alignments(own, [codes[i] for i in rows])
        expected = K * len(own) * sizes[rows] * np.exp(-LAMBDA * score)
        shorter = np.maximum(np.minimum(sizes[rows], len(own)), 1)
        found[rows] = np.where(expected < EXPECT, identical / shorter, 0.0)
        first += len(rows)
    return found


def local_alignments(query: Codes, targets: Sequence[Codes]) -> tuple[Codes, Codes]:
    """Score and number of identical residues of the best local alignment with each target, `[T]` each."""
    longest = max((len(t) for t in targets), default=0)
    if longest == 0 or len(query) == 0:
        return np.zeros(len(targets), np.int64), np.zeros(len(targets), np.int64)
    padded = np.full((longest, len(targets)), PADDING, dtype=np.int64)
    for column, codes in enumerate(targets):
        padded[: len(codes), column] = codes
    table = score_table()
    profiles = {int(code): table[code][padded] for code in np.unique(query)}
    best = _swept(query, profiles, (longest, len(targets))).astype(np.int64)
    return best >> 13, best & (SCALE - 1)


def _swept(query: Codes, profiles: dict[int, NDArray[np.int32]], shape: tuple[int, int]) -> NDArray[np.int32]:
    """The largest entry of each target's matrix, row by row of the query; `shape` is positions and targets."""
    opened, extend = np.int32(GAP_OPEN * SCALE), np.int32(GAP_EXTEND * SCALE)
    ramp = np.repeat(np.arange(shape[0], dtype=np.int32)[:, None] * extend, shape[1], axis=1)
    above = ramp + opened
    # One row of zeros before the first position.
    ending = np.zeros((shape[0] + 1, shape[1]), dtype=np.int32)
    here, inserted, spare, best = (np.zeros(shape, dtype=np.int32) for _ in range(4))
    deleted = np.full(shape, -opened, dtype=np.int32)
    for code in query:
        np.subtract(ending[1:], opened, out=here)
        np.maximum(deleted, here, out=deleted)
        np.subtract(deleted, extend, out=deleted)
        np.add(ending[:-1], profiles[int(code)], out=here)
        np.maximum(here, deleted, out=here)
        np.maximum(here, 0, out=here)
        # A gap that ends at j began at some k before it: the largest of `here[k] - opened - (j - k) extend`. That a
        # gap of no residues, k = j, is among them changes nothing: it costs its opening.
        np.add(here, ramp, out=inserted)
        inserted, spare = _largest_before(inserted, spare)
        np.subtract(inserted, above, out=inserted)
        np.maximum(here, inserted, out=ending[1:])
        np.maximum(best, ending[1:], out=best)
    largest: NDArray[np.int32] = best.max(0)
    return largest


def _largest_before(values: NDArray[np.int32], spare: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Largest entry up to each row, in twice as long steps; the result and the array that is free then."""
    step = 1
    while step < len(values):
        spare[:step] = values[:step]
        np.maximum(values[step:], values[:-step], out=spare[step:])
        values, spare, step = spare, values, 2 * step
    return values, spare
