"""Errors of docked poses against the crystal, which may have the ligand in several places: the nearest one counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eqcli.errors import InputError
from eqcli.io.structure import Structure
from eqcli.metrics.docking.symmetric_rmsd import Symmetry, centroid_distance, kabsch_rmsd, symmetric_rmsd, symmetry

FloatArray = NDArray[np.float64]

SAME_PLACE = 1e-2
"""Å. A copy this near to another one is that one."""


@dataclass(frozen=True)
class References:
    """Where the crystal has the ligand.

    Attributes
    ----------
    copies
        The ligand itself first.
    symmetries
        How the atoms of a pose stand for those of each copy.
    notes
        Copies that are left out, and whether the RMSD is a bound.
    """

    copies: tuple[Structure, ...]
    symmetries: tuple[Symmetry, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PoseErrors:
    """Of each pose, `[P]`, all to the copy that is nearest by RMSD.

    Attributes
    ----------
    rmsd
        Å over heavy atoms, equivalent ones exchanged, without superposition.
    centroid
        Å between the centroids of the heavy atoms.
    kabsch
        Å after the best superposition.
    copy
        Number of the copy, 0 for the first.
    """

    rmsd: FloatArray
    centroid: FloatArray
    kabsch: FloatArray
    copy: NDArray[np.int64]


def references(ligand: Structure, copies: Sequence[Structure] = ()) -> References:
    """The ligand in its crystal pose and its other places; atoms of copies may stand in another order.

    Raises InputError where the ligand has no bonds or no heavy atoms. A copy with other bonds is left out, with a note.
    """
    own = symmetry(ligand)
    kept, found, notes = [ligand], [own], []
    if not own.exact:
        notes.append("the ligand has too many symmetries to try: its RMSD is a lower bound, by classes of atoms")
    left_out = 0
    for copy in copies:
        try:
            mapped = symmetry(copy, ligand)
        except InputError:
            left_out += 1
            continue
        if all(_apart(copy, mapped, other, one) > SAME_PLACE for other, one in zip(kept, found, strict=True)):
            kept.append(copy)
            found.append(mapped)
    if left_out:
        notes.append(f"copies of the ligand in the crystal with other atoms or bonds, left out: {left_out}")
    if len(kept) > 1:
        notes.append(f"the crystal has the ligand in {len(kept)} places: errors are to the nearest")
    return References(tuple(kept), tuple(found), tuple(notes))


def _apart(copy: Structure, mapped: Symmetry, other: Structure, one: Symmetry) -> float:
    """RMSD between two copies: that of the other one, its atoms in the ligand's order, against this one."""
    atoms = np.zeros((1, int(mapped.mappings.max(initial=0)) + 1, 3))
    atoms[0, one.mappings[0]] = other.positions[one.reference]
    return float(symmetric_rmsd(mapped, copy.positions, atoms)[0])


def pose_errors(found: References, positions: FloatArray) -> PoseErrors:
    """The errors of poses `[P, N, 3]`, atoms in the order of the ligand."""
    places = [copy.positions for copy in found.copies]
    each = list(zip(found.symmetries, places, strict=True))
    rmsds = np.stack([symmetric_rmsd(one, place, positions) for one, place in each])
    nearest = rmsds.argmin(axis=0).astype(np.int64)
    centroids, kabsch = np.empty(len(positions)), np.empty(len(positions))
    for k in np.unique(nearest):
        one, place = each[k]
        chosen = nearest == k
        centroids[chosen] = centroid_distance(one, place, positions[chosen])
        kabsch[chosen] = kabsch_rmsd(one, place, positions[chosen])
    return PoseErrors(rmsds.min(axis=0), centroids, kabsch, nearest)
