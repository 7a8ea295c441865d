"""Neighbour lists with periodic images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError

MAX_COORDINATE = 1e8
"""Å; beyond it a float64 coordinate no longer resolves 1e-8 Å, and cell shifts overflow."""

MAX_SPREAD = 1e4
"""Å along a direction without period in a partly periodic structure; the cell list is quadratic in it."""

MAX_PAIRS = 1e9
"""Directed pairs that one structure may have."""


def neighbour_list(
    positions: NDArray[Any], cell: NDArray[Any], pbc: NDArray[Any], cutoff: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
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

    Raises
    ------
    InputError
        Positions that are not finite or absurdly large, a periodic direction
        without a cell vector of its own, a cell so small that the pairs could not be held.
    """
    if len(positions) == 0:
        return np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3))
    from vesin import NeighborList

    positions = np.ascontiguousarray(positions, dtype=np.float64)
    pbc = np.asarray(pbc, dtype=bool)
    if not np.abs(positions).max() <= MAX_COORDINATE:
        raise InputError(f"an atom has no usable position: a coordinate is not finite or beyond {MAX_COORDINATE:g} Å")
    box = complete_cell(np.asarray(cell, dtype=np.float64), pbc)
    if pbc.any():
        _refuse_unusable_box(positions, box, pbc, cutoff)
    # One thread: structures are small, and loader processes must not fight over the cores.
    calculator = NeighborList(cutoff=float(cutoff), full_list=True, sorted=False, n_threads=1)
    centre, neighbour, shift = calculator.compute(points=positions, box=box, periodic=pbc, quantities="ijS")
    order = np.lexsort((shift[:, 2], shift[:, 1], shift[:, 0], neighbour, centre))
    edge_index = np.stack([neighbour[order], centre[order]]).astype(np.int64)
    return edge_index, shift[order].astype(np.float64)


def complete_cell(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`cell` with the rows of non-periodic directions replaced by unit vectors normal to the periodic ones.

    The volume of the result is that of the periodic directions alone, whatever
    box a file drew around the others.
    """
    if pbc.all():
        return cell
    box = np.where(pbc[:, None], cell, 0.0)
    if not np.isfinite(box).all():
        return box
    periodic = box[pbc]
    # The right singular vectors past the rank span the orthogonal complement.
    basis = np.eye(3) if len(periodic) == 0 else np.linalg.svd(periodic)[2][len(periodic) :]
    box[~pbc] = basis
    return box


def _refuse_unusable_box(
    positions: NDArray[np.float64], box: NDArray[np.float64], pbc: NDArray[np.bool_], cutoff: float
) -> None:
    """Raises InputError for a periodic box whose pairs cannot be listed."""
    lengths = np.linalg.norm(box, axis=1)
    volume = abs(np.linalg.det(box)) if np.isfinite(box).all() else 0.0
    if not volume > 1e-9 * lengths.prod():
        letters = ", ".join("abc"[k] for k in np.flatnonzero(pbc))
        raise InputError(
            f"the structure is periodic along {letters}, but its cell vectors there are zero, dependent or not finite",
            hint="Give a cell, or set pbc to F along directions that have no period.",
        )
    across = positions @ box[~pbc].T
    if across.size and np.ptp(across, axis=0).max() > MAX_SPREAD:
        raise InputError(f"the atoms are more than {MAX_SPREAD:g} Å apart along a direction without period")
    dimension = int(pbc.sum())
    ball = math.pi ** (dimension / 2) / math.gamma(dimension / 2 + 1) * cutoff**dimension
    if len(positions) ** 2 * ball / volume > MAX_PAIRS:
        raise InputError(
            f"{len(positions)} atoms in a cell with vectors of {', '.join(f'{x:.3g}' for x in lengths[pbc])} Å "
            f"have more than {MAX_PAIRS:g} pairs within {cutoff:g} Å",
            hint="Look at the cell and at its unit.",
        )
