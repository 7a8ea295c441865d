"""Cells by lengths and angles, as CIF and PDB files give them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eqcli.errors import InputError
from eqcli.io.periodicity import is_flat
from eqcli.io.structure import FloatArray, Structure


def cell_matrix(lengths: Sequence[float], angles: Sequence[float]) -> FloatArray:
    """Rows a, b, c in the standard orientation: a along x, b in the xy plane, right-handed. Å and degrees.

    Raises ValueError where no cell has these angles.
    """
    # Right angles are so common that their cosines should be zero and not 6e-17.
    cosines = [0.0 if angle == 90 else float(np.cos(np.radians(angle))) for angle in angles]
    alpha, beta, gamma = cosines
    sine = 1.0 if gamma == 0 else float(np.sqrt(1 - gamma**2))
    cy = (alpha - beta * gamma) / sine if sine > 0 else np.nan
    square = 1 - beta**2 - cy**2
    if not square > 1e-9 or min(lengths) <= 0 or not np.isfinite([*lengths, *angles]).all():
        raise ValueError(f"no cell has the lengths {tuple(lengths)} and the angles {tuple(angles)}")
    a, b, c = lengths
    return np.array([[a, 0, 0], [b * gamma, b * sine, 0], [c * beta, c * cy, c * np.sqrt(square)]], dtype=np.float64)


def cell_parameters(cell: FloatArray) -> tuple[list[float], list[float]]:
    """Lengths in Å and angles in degrees, exact at right angles."""
    lengths: list[float] = np.linalg.norm(cell, axis=1).tolist()
    return lengths, [_angle(cell[i], cell[j]) for i, j in ((1, 2), (0, 2), (0, 1))]


def right_handed_fractions(structure: Structure) -> FloatArray:
    """Fractional positions with respect to a right-handed cell of the structure's lengths and angles.

    Lengths and angles cannot tell a left-handed cell (a, b, c) from its mirror image; the cell
    (-a, -b, -c) has the same and describes the same crystal, so its fractions are given.
    """
    fractions = np.linalg.solve(structure.cell.T, structure.positions.T).T.astype(np.float64)
    return -fractions if np.linalg.det(structure.cell) < 0 else fractions


def require_cell(structure: Structure, name: str) -> None:
    """Raises InputError where a structure has no cell with a volume, which the format `name` needs."""
    if is_flat(structure.cell):
        raise InputError(
            f"a {name} file needs a cell and this structure has none", structure.where, "Write .extxyz, .sdf or .pdb."
        )


def _angle(u: FloatArray, v: FloatArray) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)))
