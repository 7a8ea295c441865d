"""Registration of two crystals: lattice onto lattice, origin onto origin, site onto site."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.engine.crystal_matching import CrystalMatch, CrystalTolerances, match_crystals, nearest_sites, rotation_of
from eqcli.engine.registered_structures import MatchRow, RegisteredStructures, moved_structure
from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.io.pymatgen_bridge import fault_of, require_pymatgen
from eqcli.io.structure import Structure

FloatArray = NDArray[np.float64]

LTOL, STOL, ANGLE_TOL = 0.2, 0.3, 5.0
"""pymatgen's defaults: a fraction, units of (V/N)^(1/3), degrees."""

STRAINED = 1e-3
"""Strains from here on are told of."""

DENOMINATOR = 24
"""Largest denominator of the entries of a lattice mapping."""


def register_crystals(
    source: Structure,
    target: Structure,
    *,
    ltol: float = LTOL,
    stol: float = STOL,
    angle_tol: float = ANGLE_TOL,
    primitive: bool = True,
    scale: bool = True,
) -> RegisteredStructures:
    """The motion that lays one crystal onto another, if they are the same structure.

    The motion is the rotation in the map of the lattices, about the middle of the source's cell; of all that the
    target's symmetry makes alike, the one that turns least. Where the lattices differ in shape, the strain is told and
    taken out of the RMSD.

    Parameters
    ----------
    ltol, angle_tol
        How far lengths (a fraction) and angles (degrees) of the lattices may differ.
    stol
        How far sites may be apart, in units of (V/N)^(1/3).
    primitive
        Whether primitive cells are compared, or the cells of the files.
    scale
        Whether both are brought to one volume per atom before they are compared.

    Raises
    ------
    InputError
        One of them is no crystal.
    MissingDependency
        pymatgen is not installed.
    """
    require_pymatgen()
    for structure in (source, target):
        fault = fault_of(structure)
        if fault is not None:
            raise InputError(f"this is no crystal: {fault}", structure.where)
    tolerances = CrystalTolerances(ltol, stol, angle_tol, primitive, scale)
    found = match_crystals(source, target, tolerances)
    facts: dict[str, Any] = {"tolerances": vars(tolerances)}
    if isinstance(found, str):
        return _different(source, f"different structures; {found}", facts)
    if not found.proper:
        return _different(source, "the two are mirror images of each other (enantiomorphs)", facts)
    return _registered(source, target, found, facts)


def _different(source: Structure, reason: str, facts: dict[str, Any]) -> RegisteredStructures:
    return RegisteredStructures(
        kind="crystals",
        motion=Motion.identity(),
        rmsd=float("nan"),
        matched=np.zeros((0, 2), dtype=np.int64),
        mapping=(),
        moved=source,
        reliable=False,
        reasons=(reason,),
        facts=facts,
    )


def _registered(
    source: Structure, target: Structure, found: CrystalMatch, facts: dict[str, Any]
) -> RegisteredStructures:
    shift = _least_shift(source, target, found)
    atoms, vectors = nearest_sites(source, target, found.linear, shift)
    distances = np.linalg.norm(vectors, axis=1)
    turn = rotation_of(found.linear)
    middle = source.positions.mean(axis=0)
    translation = middle @ found.linear + shift - middle @ turn
    stretches: FloatArray = np.asarray(np.linalg.svd(found.linear, compute_uv=False), dtype=np.float64)
    mapping = target.cell @ np.linalg.inv(source.cell @ found.linear)
    origin = shift @ np.linalg.inv(target.cell)
    facts |= {
        "lattice_mapping": [[str(_fraction(value)) for value in row] for row in mapping.tolist()],
        "origin_shift": np.maximum(origin - np.floor(origin + 1e-9), 0.0).tolist(),
        "stretches": stretches.tolist(),
        "volume_ratio": float(abs(np.linalg.det(found.linear))),
    }
    pairs = np.stack([np.arange(len(source)), atoms], axis=1)
    rows = zip(source.numbers.tolist(), pairs.tolist(), distances.tolist(), strict=True)
    return RegisteredStructures(
        kind="crystals",
        motion=Motion(torch.from_numpy(turn.T.copy()), torch.from_numpy(translation)),
        rmsd=found.rms,
        matched=pairs,
        mapping=tuple(MatchRow(f"{SYMBOLS[z]}{i + 1}", f"{SYMBOLS[z]}{j + 1}", d) for z, (i, j), d in rows),
        moved=moved_structure(source, turn.T, translation),
        score={"rmsd_normalised": found.normalised},
        notes=tuple(_notes(stretches, facts["volume_ratio"])),
        facts=facts,
    )


def _least_shift(source: Structure, target: Structure, found: CrystalMatch) -> FloatArray:
    """b, less the lattice vectors that bring the middle of the source nearest to that of the target."""
    off = source.positions.mean(axis=0) @ found.linear + found.shift - target.positions.mean(axis=0)
    return found.shift - np.round(off @ np.linalg.inv(target.cell)) @ target.cell


def _fraction(value: float) -> Fraction:
    return Fraction(value).limit_denominator(DENOMINATOR)


def _notes(stretches: FloatArray, ratio: float) -> list[str]:
    if np.abs(stretches - 1).max() < STRAINED:
        return []
    told = ", ".join(f"{100 * (value - 1):+.2f} %" for value in stretches)
    return [f"the lattices differ: the source must be stretched by {told} (volume {100 * (ratio - 1):+.2f} %)"]
