"""The box in which poses are sought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError, Where

if TYPE_CHECKING:
    from eqcli.io.receptor import Receptor

FloatArray = NDArray[np.float64]

MARGIN = 5.0
"""Å on each side of a reference ligand or of residues."""

LARGEST = 60.0
"""Å; a longer side is a mistake, and its grids would not fit into memory."""

POCKET_MARGIN = 4.0
POCKET_SIDES = (18.0, 28.0)
"""Å on each side of the points of a pocket that was found, and the shortest and longest side of its box."""


@dataclass(frozen=True)
class Box:
    """Axes along x, y and z; centre and lengths of the sides in Å."""

    centre: tuple[float, float, float]
    size: tuple[float, float, float]

    def contains(self, point: FloatArray) -> bool:
        """Whether a point lies inside."""
        return bool((np.abs(point - np.array(self.centre)) <= np.array(self.size) / 2).all())

    def __str__(self) -> str:
        return ", ".join(f"{x:.2f}" for x in self.centre) + " Å, " + " x ".join(f"{x:.1f}" for x in self.size) + " Å"


def make_box(centre: FloatArray, size: FloatArray) -> Box:
    """A box of plain numbers. Raises InputError for sides that are none, or too long."""
    if not (np.isfinite(centre).all() and np.isfinite(size).all() and (size > 0).all()):
        raise InputError("a box needs a finite centre and sides above 0")
    if size.max() > LARGEST:
        raise InputError(
            f"a side of the box is {size.max():.1f} Å long, and at most {LARGEST:g} Å can be searched",
            hint="Name fewer residues, or leave --pocket out: pockets are then found.",
        )
    x, y, z = centre.tolist()
    a, b, c = size.tolist()
    return Box((x, y, z), (a, b, c))


def box_around(points: FloatArray, margin: float = MARGIN) -> Box:
    """The box of points `[M, 3]` with a margin in Å on each side."""
    low, high = points.min(axis=0), points.max(axis=0)
    return make_box((low + high) / 2, high - low + 2 * margin)


def pocket_box(centre: FloatArray, points: FloatArray) -> Box:
    """The box of a pocket that was found, of its points `[K, 3]`; the same for every ligand."""
    shortest, longest = POCKET_SIDES
    reach = np.abs(points - centre).max(axis=0) if len(points) else np.zeros(3)
    return make_box(np.asarray(centre, dtype=np.float64), np.clip(2 * (reach + POCKET_MARGIN), shortest, longest))


def residue_box(receptor: Receptor, residues: Sequence[str], margin: float = MARGIN) -> Box:
    """The box of residues named `A/45` or `A/47B`. Raises InputError where the receptor lacks one."""
    arrays = receptor.structure.arrays
    codes = arrays.get("insertion_code")
    numbers = [str(n).strip() for n in arrays["residue_number"]]
    inserted = [""] * len(numbers) if codes is None else [str(c).strip() for c in codes]
    names = np.array(
        [f"{str(c).strip()}/{n}{i}" for c, n, i in zip(arrays["chain"], numbers, inserted, strict=True)], dtype=str
    )
    missing = [name for name in residues if not (names == name).any()]
    if missing:
        chains = ", ".join(sorted({name.split("/")[0] or "(none)" for name in names.tolist()}))
        raise InputError(
            f"the receptor has no residue {', '.join(missing)}", Where(receptor.path), f"Its chains are {chains}."
        )
    return box_around(receptor.structure.positions[np.isin(names, residues)], margin)
