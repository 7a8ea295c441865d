"""Which residues of two chains belong together, in the order of both: dynamic programming.

Needleman and Wunsch, J. Mol. Biol. 48, 443 (1970), with a penalty for each gap whatever its length and none at the
ends: a row of the table then needs only the largest entry before each column, which is one pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]

DIAGONAL, UP, LEFT = 0, 1, 2


def ordered_pairs(scores: FloatArray, gap: float) -> list[IntArray]:
    """The pairs with the largest sum of scores less the gaps between them.

    Parameters
    ----------
    scores
        `[B, n, m]`, not negative.
    gap
        What a gap inside costs, not negative.

    Returns
    -------
    Index pairs `[k, 2]` for each of the B, both columns rising. Pairs that score nothing are left out.
    """
    batch, n, m = scores.shape
    if n == 0 or m == 0:
        return [np.zeros((0, 2), dtype=np.int64) for _ in range(batch)]
    best, steps, jumps = _table(scores, gap)
    return [_traced(scores[b], best[:, b], steps[:, b], jumps[:, b]) for b in range(batch)]


def _table(scores: FloatArray, gap: float) -> tuple[FloatArray, NDArray[np.int8], NDArray[np.int32]]:
    """Best sums `[n + 1, B, m + 1]`, the step that each came by, and the row or column that a gap began at."""
    batch, n, m = scores.shape
    best = np.zeros((n + 1, batch, m + 1), dtype=scores.dtype)
    steps = np.zeros((n, batch, m), dtype=np.int8)
    jumps = np.zeros((n, batch, m), dtype=np.int32)
    down = np.full((batch, m), -np.inf, dtype=scores.dtype)
    began = np.zeros((batch, m), dtype=np.int32)
    columns = np.arange(1, m + 1, dtype=np.int32)
    for i in range(n):
        opened = best[i, :, 1:] - gap
        fresh = opened > down
        down = np.where(fresh, opened, down)
        began = np.where(fresh, np.int32(i), began)
        diagonal = best[i, :, :-1] + scores[:, i]
        upward = down > diagonal
        here = np.where(upward, down, diagonal)
        largest = np.maximum.accumulate(here, axis=1)
        place = np.maximum.accumulate(np.where(here == largest, columns, np.int32(0)), axis=1)
        across = largest[:, :-1] - gap
        leftward = across > here[:, 1:]
        steps[i] = upward
        jumps[i] = began
        steps[i, :, 1:][leftward] = LEFT
        jumps[i, :, 1:][leftward] = place[:, :-1][leftward]
        best[i + 1, :, 1:] = here
        best[i + 1, :, 2:][leftward] = across[leftward]
    return best, steps, jumps


def _traced(scores: FloatArray, best: FloatArray, steps: NDArray[np.int8], jumps: NDArray[np.int32]) -> IntArray:
    """Back from the best entry of the last row or column."""
    i, j = len(best) - 1, best.shape[1] - 1
    row, column = int(best[-1].argmax()), int(best[:, -1].argmax())
    if best[-1, row] >= best[column, -1]:
        j = row
    else:
        i = column
    pairs = []
    while i > 0 and j > 0:
        step = steps[i - 1, j - 1]
        if step == DIAGONAL:
            i, j = i - 1, j - 1
            if scores[i, j] > 0:
                pairs.append((i, j))
        elif step == UP:
            i = int(jumps[i - 1, j - 1])
        else:
            j = int(jumps[i - 1, j - 1])
    return np.array(pairs[::-1], dtype=np.int64).reshape(-1, 2)
