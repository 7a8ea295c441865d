"""Crystals and molecules as the viewer of a gallery draws them."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.io.structure import Structure

FACE = 0.02
"""Fraction of a lattice vector within which an atom counts as one at the face of the cell."""


def crystal(structure: Structure) -> dict[str, Any]:
    """The atoms and their cell, turned together so that no crystal is seen along a vector of its cell."""
    # A cell without volume cannot be drawn.
    drawn = structure.volume > 1e-3
    numbers, positions = _filled(structure) if drawn else (structure.numbers, structure.positions)
    found = _atoms(numbers, positions @ _VIEW.T)
    return found | ({"cell": (structure.cell @ _VIEW.T).round(6).ravel().tolist()} if drawn else {})


def molecule(structure: Structure) -> dict[str, Any]:
    """The atoms, their widest plane on the screen, with the bonds that the structure states.

    Without these, or where they are none of its atoms, the viewer draws bonds by its own distances. It has no picture
    of aromatic bonds; they are single.
    """
    centred = structure.positions - structure.positions.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=True)[2]
    # A mirror image would be another molecule.
    axes[2] *= np.sign(np.linalg.det(axes))
    found = _atoms(structure.numbers, centred @ axes.T)
    bonds = structure.info.get("bonds")
    if bonds is None or not all(0 <= i < len(structure) and 0 <= j < len(structure) for i, j, _ in bonds):
        return found
    return found | {"bonds": [[int(i), int(j), int(order) if order in (1, 2, 3) else 1] for i, j, order in bonds]}


def _atoms(numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> dict[str, Any]:
    x, y, z = positions.round(5).T.tolist()
    names = [SYMBOLS[number] for number in numbers.tolist()]
    return {"size": len(names), "names": names, "x": x, "y": y, "z": z}


def _filled(structure: Structure) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The atoms moved into the cell; those at its faces, edges and corners stand at all of them."""
    fractions = np.linalg.solve(structure.cell.T, structure.positions.T).T
    pbc = structure.pbc
    inside = np.where(pbc, fractions - np.floor(fractions + FACE), fractions)
    images, sources = [inside], [np.arange(len(structure))]
    for shift in product((0, 1), repeat=3):
        step = np.array(shift)
        if not step.any() or (step * ~pbc).any():
            continue
        # Atoms are at the lower faces of the cell, never at the upper ones.
        chosen = np.flatnonzero((np.abs(inside) < FACE)[:, step == 1].all(axis=1))
        images.append(inside[chosen] + step)
        sources.append(chosen)
    return structure.numbers[np.concatenate(sources)], np.concatenate(images) @ structure.cell


def _turn(axis: int, degrees: float) -> NDArray[np.float64]:
    angle = np.radians(degrees)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turned = np.eye(3)
    turned[i, i] = turned[j, j] = np.cos(angle)
    turned[j, i] = np.sin(angle)
    turned[i, j] = -turned[j, i]
    return turned


_VIEW = _turn(0, 14) @ _turn(1, -24) @ _turn(0, -90)
"""From above and from one side, the third vector upright on the screen."""
