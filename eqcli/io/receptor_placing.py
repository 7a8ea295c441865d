"""Ideal places of atoms beside those that are there: hydrogens by the hybridisation of the atom that carries them.

Everything takes positions as `[K, 3]` and gives `[K, n, 3]`, in Å; angles are in degrees.
"""

from __future__ import annotations

import numpy as np

from eqcli.io.structure import FloatArray

LENGTHS = {6: 1.09, 7: 1.01, 8: 0.96, 16: 1.34}
"""Å. Bonds of hydrogen with carbon, nitrogen, oxygen and sulphur."""

TETRAHEDRAL = 109.47
TRIGONAL = 120.0


def unit(vectors: FloatArray) -> FloatArray:
    """Vectors of length one; zero stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result: FloatArray = vectors / np.maximum(length, 1e-9)
    return result


def attached(
    third: FloatArray,
    second: FloatArray,
    first: FloatArray,
    length: FloatArray | float,
    angle: float,
    turns: FloatArray,
) -> FloatArray:
    """Atoms bonded to `first` at an angle with `second` and dihedrals `turns` (degrees, `[n]`) with `third`."""
    axis = unit(first - second)
    normal = unit(np.cross(second - third, axis))
    # Three atoms in a line leave the plane open; any one serves.
    open_plane = np.linalg.norm(normal, axis=-1) < 0.5
    if open_plane.any():
        other = np.where(np.abs(axis[..., :1]) < 0.9, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
        normal = np.where(open_plane[..., None], unit(np.cross(axis, other)), normal)
    side = np.cross(normal, axis)
    theta, phi = np.radians(angle), np.radians(turns)
    along = -np.cos(theta) * axis[..., None, :]
    across = np.sin(theta) * (np.cos(phi)[:, None] * side[..., None, :] + np.sin(phi)[:, None] * normal[..., None, :])
    stretch = np.asarray(length, dtype=np.float64)
    stretch = stretch[..., None, None] if stretch.ndim else stretch
    result: FloatArray = first[..., None, :] + stretch * (along + across)
    return result


def opposite(centre: FloatArray, neighbours: FloatArray, length: FloatArray) -> FloatArray:
    """One hydrogen away from two neighbours in their plane, or from three above it; neighbours `[K, 2 or 3, 3]`."""
    directions = unit(neighbours - centre[:, None])
    away = -directions.sum(axis=1)
    if neighbours.shape[1] == 3:
        # Nearly flat: away along the normal, to the side where the bonds leave more room.
        normal = unit(np.cross(directions[:, 1] - directions[:, 0], directions[:, 2] - directions[:, 0]))
        normal *= np.where((normal * away).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
        flat = np.linalg.norm(away, axis=1) < 0.3
        away = np.where(flat[:, None], normal, away)
    placed: FloatArray = centre + length[:, None] * unit(away)
    return placed[:, None]


def pair(centre: FloatArray, neighbours: FloatArray, length: FloatArray) -> FloatArray:
    """Two hydrogens of a tetrahedral atom with two neighbours, `[K, 2, 3]`."""
    directions = unit(neighbours - centre[:, None])
    away = unit(-directions.sum(axis=1))
    across = unit(np.cross(directions[:, 0], directions[:, 1]))
    half = np.radians(TETRAHEDRAL / 2)
    offsets = np.stack([np.cos(half) * away + sign * np.sin(half) * across for sign in (1.0, -1.0)], axis=1)
    placed: FloatArray = centre[:, None] + length[:, None, None] * offsets
    return placed
