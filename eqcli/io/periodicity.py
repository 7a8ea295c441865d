"""Which directions of a structure repeat."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where
from eqcli.io.structure import FloatArray

BOX_CUTOFF = 5.0
"""Å. A box whose walls are twice this further apart than its atoms reach holds a molecule, not a crystal."""

FLAT = 1e-6
"""Cells whose normalised lattice vectors span less than this volume are flat: they define no periods."""


def decide_pbc(
    cell: FloatArray | None,
    stated: NDArray[np.bool_] | None,
    positions: FloatArray,
    mode: Literal["auto", "on", "off"],
    where: Where,
) -> tuple[NDArray[np.bool_], str]:
    """Periodicity of a structure and the reason for it, in words.

    `mode` on and off overrule the file. Otherwise the file's own statement holds; where
    it gives a cell and no statement, the structure is periodic unless the cell is an
    empty box (`is_empty_box`).

    Raises
    ------
    InputError
        A direction should repeat, but there is no lattice vector for it or the lattice vectors are dependent.
    """
    nothing = np.zeros(3, dtype=bool)
    if mode == "off":
        return nothing, "switched off"
    if mode == "on":
        pbc, reason = ~nothing, "switched on"
    elif stated is not None:
        pbc, reason = np.asarray(stated, dtype=bool), "stated by the file"
    elif cell is None or not cell.any():
        return nothing, "no cell"
    elif is_empty_box(cell, positions):
        return nothing, "the cell is an empty box around the atoms"
    else:
        pbc, reason = ~nothing, "cell without a statement, filled by the atoms"
    _check_periods(cell, pbc, where)
    return pbc, reason


def is_empty_box(cell: FloatArray, positions: FloatArray) -> bool:
    """Whether in every direction the box is more than 2 `BOX_CUTOFF` higher than the atoms reach.

    Heights and reaches are taken along the normals of the faces, so that skewed cells
    and molecules far from the origin are judged as they are. A flat box is no box.
    """
    if is_flat(cell):
        return True
    normals = np.linalg.inv(cell).T
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    heights = np.abs(np.einsum("ij,ij->i", normals, cell))
    reaches = np.ptp(positions @ normals.T, axis=0) if len(positions) else np.zeros(3)
    return bool((heights > reaches + 2 * BOX_CUTOFF).all())


def is_flat(vectors: FloatArray) -> bool:
    """Whether vectors `[k, 3]` are linearly dependent, or one is zero."""
    lengths = np.linalg.norm(vectors, axis=1)
    if (lengths == 0).any():
        return True
    return bool(np.linalg.svd(vectors / lengths[:, None], compute_uv=False).min(initial=1.0) < FLAT)


def _check_periods(cell: FloatArray | None, pbc: NDArray[np.bool_], where: Where) -> None:
    if not pbc.any():
        return
    if cell is None or not np.linalg.norm(cell[pbc], axis=1).all():
        raise InputError(
            "a direction is periodic, but there is no lattice vector for it",
            where,
            "Give the cell (Lattice in extended XYZ), or set labels.pbc to off.",
        )
    if is_flat(cell[pbc]):
        raise InputError("the lattice vectors are linearly dependent", where, "A cell must have a volume.")
