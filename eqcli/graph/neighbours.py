"""Neighbour lists with periodic images."""

from __future__ import annotations

import numpy as np


def neighbour_list(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray]:
    """All ordered pairs closer than `cutoff`, images included.

    Only an atom with itself in the same cell is left out: self images of small
    cells are kept and there is no cap on the number of neighbours. Directions
    that are not periodic are handled as such; no fake cell is built.

    Parameters
    ----------
    positions
        `[N, 3]` Å; may lie outside the cell.
    cell
        `[3, 3]` Å, rows are the lattice vectors; rows of non-periodic directions are ignored.
    pbc
        `[3]` bool.
    cutoff
        Å; pairs at exactly this distance are left out.

    Returns
    -------
    edge_index
        `[2, E]` int64: neighbour j and centre i, sorted by i, then j, then shift.
    shift
        `[E, 3]` float64 integers S with `r_ij = positions[j] - positions[i] + S @ cell`.
    """
    if len(positions) == 0:
        return np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3))
    from vesin import NeighborList

    pbc = np.asarray(pbc, dtype=bool)
    box = complete_cell(np.asarray(cell, dtype=np.float64), pbc)
    calculator = NeighborList(cutoff=float(cutoff), full_list=True, sorted=False)
    centre, neighbour, shift = calculator.compute(
        points=np.ascontiguousarray(positions, dtype=np.float64),
        box=box,
        periodic=pbc if not (pbc.all() or not pbc.any()) else bool(pbc.all()),
        quantities="ijS",
    )
    order = np.lexsort((shift[:, 2], shift[:, 1], shift[:, 0], neighbour, centre))
    edge_index = np.stack([neighbour[order], centre[order]]).astype(np.int64)
    return edge_index, shift[order].astype(np.float64)


def complete_cell(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """`cell` with the rows of non-periodic directions replaced by unit vectors normal to the periodic ones.

    The volume of the result is that of the periodic directions alone, whatever
    box a file drew around the others.
    """
    if pbc.all():
        return cell
    box = np.where(pbc[:, None], cell, 0.0)
    periodic = box[pbc]
    # The right singular vectors past the rank span the orthogonal complement.
    basis = np.eye(3) if len(periodic) == 0 else np.linalg.svd(periodic)[2][len(periodic) :]
    box[~pbc] = basis
    return box
