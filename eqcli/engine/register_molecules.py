"""Registration of two molecules, atom by atom: in the order of the files, or by what the atoms are."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from eqcli.elements import SYMBOLS
from eqcli.engine.molecule_fits import Paired
from eqcli.engine.molecule_pairing import pair_by_order, pair_by_structure
from eqcli.engine.registered_structures import MatchRow, RegisteredStructures, moved_structure
from eqcli.errors import InputError
from eqcli.geometry.motions import Motion
from eqcli.geometry.superposed import superpositions
from eqcli.io.structure import Structure

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIRRORED = 0.25
"""A mirror image is told of where its RMSD is at most this share of the other, which is above `NOTED`."""

NOTED = 0.05
"""Å. Below it, both fit alike."""

THIN = 0.02
"""Atoms lie on a line where their spread across it is at most this many Å."""


def register_molecules(
    source: Structure, target: Structure, *, permute: bool = False, heavy: bool = False, reflect: bool = False
) -> RegisteredStructures:
    """The motion that lays one molecule onto another with the least RMSD.

    Parameters
    ----------
    permute
        Whether atoms are matched by their bonds, all symmetry-equivalent ways tried, and by elements where there are
        no bonds; the atoms of both files correspond in order without it. Molecules that differ are matched by their
        largest common substructure.
    heavy
        Whether hydrogens are left out.
    reflect
        Whether the mirror image may be used where it fits better.

    Raises
    ------
    InputError
        There are no atoms; without `permute`, the elements of the two differ; with it, nothing can be matched.
    """
    for structure in (source, target):
        if len(structure) == 0:
            raise InputError("there are no atoms", structure.where)
        if not np.isfinite(structure.positions).all():
            raise InputError("a position is not a finite number", structure.where)
    paired = pair_by_structure(source, target, heavy) if permute else pair_by_order(source, target, heavy)
    chosen, mirrored = paired.chosen, False
    notes = list(paired.notes)
    mirror = paired.mirror
    if mirror.rmsd <= MIRRORED * chosen.rmsd and chosen.rmsd > NOTED:
        notes.append(_mirror_note(source, chosen.rmsd, mirror.rmsd, reflect))
        if reflect:
            chosen, mirrored = mirror, True
    pairs = chosen.pairs
    one, other = source.positions[pairs[:, 0]], target.positions[pairs[:, 1]]
    rotation, shift = superpositions(_flipped(one, mirrored), other)
    rotation = -rotation if mirrored else rotation
    notes += _free(one)
    return _result((source, target), pairs, (rotation, shift), paired, notes, mirrored)


def _flipped(points: FloatArray, mirrored: bool) -> FloatArray:
    return -points if mirrored else points


def _mirror_note(source: Structure, own: float, mirror: float, reflect: bool) -> str:
    kind = "enantiomers" if _has_centres(source) else "mirror images of each other"
    end = "" if reflect else f", and the molecule itself at {own:.2f} Å"
    return f"the mirror image fits at {mirror:.2f} Å: these are {kind}{end}"


def _has_centres(structure: Structure) -> bool:
    """Whether the molecule has stereocentres that its bonds and positions state."""
    from rdkit import Chem

    from eqcli.io.rdkit_molecule import molecule_of, sanitised

    if structure.info.get("bonds") is None:
        return False
    try:
        molecule = sanitised(molecule_of(structure))
    except InputError:
        return False
    return bool(Chem.FindMolChiralCenters(molecule, includeUnassigned=False))


def _free(points: FloatArray) -> list[str]:
    """What the matched atoms leave undetermined."""
    if len(points) == 1:
        return ["one atom is matched: any rotation about it fits as well"]
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) / np.sqrt(len(points))
    if spread[1] <= THIN:
        return ["the matched atoms lie on a line: any turn about it fits as well"]
    return []


def _result(
    structures: tuple[Structure, Structure],
    pairs: IntArray,
    motion: tuple[FloatArray, FloatArray],
    paired: Paired,
    notes: list[str],
    mirrored: bool,
) -> RegisteredStructures:
    source, target = structures
    moved = moved_structure(source, *motion)
    distances = np.linalg.norm(moved.positions[pairs[:, 0]] - target.positions[pairs[:, 1]], axis=1)
    names = zip(_names(source, pairs[:, 0]), _names(target, pairs[:, 1]), strict=True)
    return RegisteredStructures(
        kind="molecules",
        motion=Motion(torch.from_numpy(motion[0].copy()), torch.from_numpy(motion[1].copy())),
        rmsd=float(np.sqrt((distances**2).mean())),
        matched=pairs,
        mapping=tuple(MatchRow(a, b, d) for (a, b), d in zip(names, distances.tolist(), strict=True)),
        moved=moved,
        reliable=not paired.reasons,
        reasons=tuple(paired.reasons),
        notes=tuple(notes),
        facts={"rmsd_over": paired.over, "mirrored": mirrored, **paired.facts},
    )


def _names(structure: Structure, atoms: IntArray) -> list[str]:
    """`C1`, with the name in the file where it has one: `C1 (CA)`."""
    plain = [f"{SYMBOLS[structure.numbers[i]]}{i + 1}" for i in atoms.tolist()]
    given = structure.arrays.get("atom_name")
    if given is None:
        return plain
    return [f"{name} ({str(given[i]).strip()})" for name, i in zip(plain, atoms.tolist(), strict=True)]
